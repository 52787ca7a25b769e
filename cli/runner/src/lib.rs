//! Builds on one machine: the controller's loop with the embedded cloud (or EC2), the agent as a child process, and
//! records in a directory.
//!
//! A package of its own so that tests of other packages can run a local build without the command line.

mod access;
pub mod agents;
pub mod dry_run;
mod files;
pub mod leases;
pub mod local_runner;
mod mailboxes;
mod message;
pub mod orphans;
pub mod records;
mod reserve_file;
mod settings;

pub use agents::AnswerHandle;
pub use local_runner::{BuildRequest, CancelHandle, LocalRunner, RunnerError};
pub use orphans::Orphan;
pub use records::Records;
pub use settings::Settings;
