//! The embedded cloud: EC2 as the controller meets it, without an account.
//!
//! - [`api`]: the calls as a trait ([`Ec2`]), their requests ([`request`]) and what they answer ([`resource`]).
//!   Names, states and error codes are EC2's.
//! - [`model`]: the semantics, pure: the time is an argument, ids come from a seeded generator in the state.
//! - [`VirtualCloud`]: the model under a clock that tests set; no disks.
//! - [`LocalCloud`]: the model kept in a directory, with sparse files as volumes and loop devices as attachments.

pub mod api;
pub mod disks;

pub mod model;
pub mod request;
pub mod resource;
mod virtual_cloud;

pub use api::{ApiError, Ec2};

pub use disks::LocalCloud;
pub use model::{Delays, Model};
pub use virtual_cloud::{Call, VirtualCloud};
