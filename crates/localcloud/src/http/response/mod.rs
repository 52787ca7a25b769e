//! From resources to EC2's XML. Element names and their order are those of the service model (2016-11-15).

mod common;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod network;
pub(crate) mod snapshot;
pub(crate) mod volume;

pub(crate) use common::{done, next};
