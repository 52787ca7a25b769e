//! Whole builds by the built `bakehouse`, as a user runs it, on this machine's loop devices: their images, their
//! output, and that nothing is left behind on good days and on bad ones. They need root and skip themselves without it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod build;
mod cancel;
mod common;
mod corpus;
mod debian;
mod exit_codes;
mod failures;
mod full_disk;
mod killed;
mod parallel;
mod scratch;
