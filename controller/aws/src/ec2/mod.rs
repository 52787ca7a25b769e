//! EC2, Parameter Store and KMS through the SDK.
//!
//! - [`connect()`]: credentials, region, endpoints, from a template's access options, the environment and the instance.
//! - [`SdkEc2`]: EC2's calls, by resource (`volumes`, `snapshots`, `images`, `instances`, `tags`); `convert` for ids
//!   and states.
//! - `batch`: merges describe calls for single resources.
//! - [`SsmParameters`]: Parameter Store, and KMS (`keys`).

mod authorization;
mod batch;
mod calls;
pub mod connect;
mod convert;
mod images;
mod instances;
mod keys;
mod mfa;
mod pages;
mod parameters;
mod retries;
mod role;
mod secrets;
mod snapshots;
mod tags;
mod unverified_http;
mod volumes;

pub use calls::SdkEc2;
pub use connect::{Connection, connect};
pub use parameters::SsmParameters;
pub use secrets::{ParameterDetails, SecretValue};
