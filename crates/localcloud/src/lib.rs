//! The embedded cloud: EC2 without an account, as far as the controller and its clients need it.
//!
//! - It implements EC2's calls ([`Ec2`], [`EmbeddedCloud`]); resources and errors are those of [`bakehouse_ec2`].
//! - [`model`]: the semantics, pure: the time is an argument, ids come from a seeded generator in the state.
//! - [`VirtualCloud`]: the model in memory, with a clock that tests set.
//! - [`LocalCloud`]: the model in a directory, with sparse files as volumes and loop devices as attachments.
//! - `http` (a feature): an endpoint with EC2's protocol, and the instance metadata service.

pub mod disks;
mod embedded;
#[cfg(feature = "http")]
pub mod http;
pub mod model;
pub use bakehouse_ec2::request;
mod timestamp;
mod virtual_cloud;

pub use bakehouse_ec2::{ApiError, Ec2, resource};
pub use disks::LocalCloud;
pub use embedded::EmbeddedCloud;
pub use model::{Delays, Model};
pub use virtual_cloud::{Call, VirtualCloud};
