//! The embedded cloud: EC2 as the controller meets it, without an account.
//!
//! - It answers EC2's calls ([`Ec2`]) at once; requests, resources and errors are those of [`bakehouse_ec2`].
//! - [`model`]: the semantics, pure: the time is an argument, ids come from a seeded generator in the state.
//! - [`VirtualCloud`]: the model under a clock that tests set; no disks.
//! - [`LocalCloud`]: the model kept in a directory, with sparse files as volumes and loop devices as attachments.

pub mod disks;
mod embedded;
#[cfg(feature = "http")]
pub mod http;
pub mod model;
pub mod request;
mod timestamp;
mod virtual_cloud;

pub use bakehouse_ec2::{ApiError, Ec2, resource};
pub use disks::LocalCloud;
pub use embedded::EmbeddedCloud;
pub use model::{Delays, Model};
pub use virtual_cloud::{Call, VirtualCloud};
