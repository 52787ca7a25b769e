//! Values that templates take from other services: Vault and Consul over HTTP, and AWS through the SDK.

mod assumed;
mod consul;
mod http;
pub(crate) mod images;
mod local;
mod services;
mod vault;

pub(crate) use assumed::AssumedValues;
pub(crate) use local::LocalValues;
pub(crate) use services::Services;
