//! EC2 and Parameter Store through the SDK.
//!
//! - [`connect()`]: credentials, region, endpoints, from a template's access options and the machine's surroundings.
//! - [`SdkEc2`]: EC2's calls, by thing (`volumes`, `snapshots`, `images`, `instances`, `tags`); `convert` for ids and states.
//! - `batch`: looks at single things, merged into one call.
//! - [`SsmParameters`]: Parameter Store.

mod batch;
mod calls;
pub mod connect;
mod convert;
mod images;
mod instances;
mod once;
mod pages;
mod parameters;
mod snapshots;
mod tags;
mod volumes;

pub use calls::SdkEc2;
pub use connect::{Connection, connect};
pub use parameters::SsmParameters;
