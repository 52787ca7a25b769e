//! The version of messages and records.

/// The version of every message and record. A reader refuses a version it does not know instead of guessing.
pub const VERSION: u16 = 1;
