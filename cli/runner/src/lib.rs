//! The adapters of one place: the embedded cloud, the agent as a child process, records in a directory.

mod access;
pub mod agents;
mod ballast;
pub mod leases;
pub mod orphans;
pub mod records;
pub mod workshop;

pub use orphans::Orphan;
pub use records::Records;
pub use workshop::{Order, Remote, Settings, Workshop, WorkshopError};
