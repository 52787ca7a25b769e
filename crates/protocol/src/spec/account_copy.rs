//! Copies of the image that other accounts own.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::id::{Region, RoleArn};

/// `bakehouse_account_copies`: copies of the image that the account of a role owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCopies {
    /// The role that makes them.
    #[serde(flatten)]
    pub role: CopyRole,
    /// `regions`, each once; empty: all regions in which the image stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
    /// `kms_key_id`: the key of that account; absent: encrypted only if the image is, with that account's default key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// A role of another account, and how it is assumed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CopyRole {
    /// `role_arn`.
    #[serde(rename = "role_arn")]
    pub arn: RoleArn,
    /// `external_id`. AWS does not treat it as a secret, and undoing needs it: so it is in the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// `session_name`; absent: `bakehouse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
}
