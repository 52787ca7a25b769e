//! Values that templates take from other services: Vault and Consul over HTTP, and AWS through the SDK.

mod assumed;
mod consul;
mod http;
pub(crate) mod images;
mod local;
mod services;
mod vault;
#[cfg(feature = "aws")]
mod vault_keys;

pub(crate) use assumed::AssumedValues;
pub(crate) use local::LocalValues;
pub(crate) use services::Services;
#[cfg(feature = "aws")]
pub(crate) use vault_keys::aws_keys;
