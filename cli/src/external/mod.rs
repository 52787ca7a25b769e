//! Values that templates take from other services: Vault and Consul over HTTP, and AWS through the SDK.

mod consul;
mod http;
mod services;
mod vault;

pub(crate) use services::Services;
