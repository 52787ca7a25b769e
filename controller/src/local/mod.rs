//! The adapters of one place: the embedded cloud, the agent as a child process, records in a directory.

pub mod agents;
mod ballast;
pub mod clock;
pub mod cloud;
pub mod leases;
pub mod mask;
pub mod orphans;
pub mod records;
pub mod workshop;

pub use cloud::Ec2Cloud;
pub use mask::Mask;
pub use orphans::Orphan;
pub use records::Records;
pub use workshop::{Order, Remote, Settings, Workshop, WorkshopError};
