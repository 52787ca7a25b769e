//! Values that a template takes from other services.

use std::fmt;

/// Where the functions `aws_secretsmanager`, `aws_secretsmanager_raw`, `vault` and `consul_key` get their values from.
/// An error is what to tell about a value that can't be had; it must not contain the value of another.
pub trait External: fmt::Debug + Send + Sync {
    /// Returns the current version of a secret of AWS Secrets Manager: its whole text.
    ///
    /// # Errors
    /// Why it can't be had.
    fn secret(&self, name: &str) -> Result<String, String>;

    /// Returns one key of a secret of Vault's KV engine, version 2 or 1. `path` is as in Vault's API, `secret/data/web`
    /// for version 2.
    ///
    /// # Errors
    /// Why it can't be had.
    fn vault(&self, path: &str, key: &str) -> Result<String, String>;

    /// Returns the value of a key of Consul's KV store.
    ///
    /// # Errors
    /// Why it can't be had; a key without a value is an error, too.
    fn consul_key(&self, key: &str) -> Result<String, String>;
}
