//! The adapters of one place: the embedded cloud, the agent as a child process, records in a directory.

mod access;
pub mod agents;
pub mod leases;
pub mod local_runner;
pub mod orphans;
pub mod records;
mod reserve_file;

pub use local_runner::{BuildRequest, CancelHandle, LocalRunner, RunnerError, Settings};
pub use orphans::Orphan;
pub use records::Records;
