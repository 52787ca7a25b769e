//! Values that a template takes from other services.

use std::{collections::BTreeMap, fmt};

use bakehouse_protocol::{Access, Region, spec::ImageQuery};

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
    fn vault(&self, path: &str, key: &str) -> Result<String, String> {
        let _ = (path, key);
        Err(NOT_AVAILABLE.to_owned())
    }

    /// Returns the value of a key of Consul's KV store.
    ///
    /// # Errors
    /// Why it can't be had; a key without a value is an error, too.
    fn consul_key(&self, key: &str) -> Result<String, String> {
        let _ = key;
        Err(NOT_AVAILABLE.to_owned())
    }

    /// Finds an image, as the data source `amazon-ami` does.
    ///
    /// # Errors
    /// Why there is none, or that there are several and the query does not ask for the newest.
    fn image(&self, query: &ImageQuery, place: &Place) -> Result<ImageData, String> {
        let _ = (query, place);
        Err(NOT_AVAILABLE.to_owned())
    }

    /// Returns a parameter of Systems Manager, as the data source `amazon-parameterstore` does.
    ///
    /// # Errors
    /// Why it can't be had.
    fn parameter(&self, name: &str, with_decryption: bool, place: &Place) -> Result<ParameterData, String> {
        let _ = (name, with_decryption, place);
        Err(NOT_AVAILABLE.to_owned())
    }

    /// Returns a version of a secret, as the data source `amazon-secretsmanager` does.
    ///
    /// # Errors
    /// Why it can't be had.
    fn secret_version(&self, name: &str, version: &SecretVersion, place: &Place) -> Result<SecretData, String> {
        let _ = (name, version, place);
        Err(NOT_AVAILABLE.to_owned())
    }
}

const NOT_AVAILABLE: &str = "not available here: give the value with -var";

/// Where a data source asks, and with which credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `region`; absent: that of the environment.
    pub region: Option<Region>,
    /// The other access options.
    pub access: Access,
}

/// An image, as the data source `amazon-ami` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageData {
    /// `ami-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// As EC2 gives it: `2026-11-22T21:22:09.000Z`.
    pub creation_date: String,
    /// The account that owns it.
    pub owner: String,
    /// The alias of that account, "" if it has none.
    pub owner_name: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A parameter of Systems Manager.
#[derive(Clone, PartialEq, Eq)]
pub struct ParameterData {
    /// Its value; masked in all output.
    pub value: String,
    /// The number of its version.
    pub version: String,
    /// Its ARN.
    pub arn: String,
}

/// Which version of a secret is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretVersion {
    /// `version_id`.
    Id(String),
    /// `version_stage`: `AWSCURRENT` unless another is named.
    Stage(String),
}

/// A version of a secret of Secrets Manager.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretData {
    /// Its text, "" if it is binary; masked in all output.
    pub string: String,
    /// Its bytes in base64, "" if it is text; masked in all output.
    pub binary: String,
    /// The version.
    pub version_id: String,
}
