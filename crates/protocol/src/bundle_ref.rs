//! A reference to a bundle in the stack's bucket.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// A reference to a bundle: a template and the files that it names, as one object in the stack's bucket, under its
/// digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleRef {
    /// The object's key.
    pub key: String,
    /// SHA-256 of the object, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}
