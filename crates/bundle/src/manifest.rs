//! The manifest of a bundle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of the manifest's entry, which is the first.
pub const MANIFEST: &str = "bakehouse.json";

/// The largest size of a manifest, in bytes.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// What a template is loaded with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format: [`Manifest::VERSION`].
    pub bakehouse: u16,
    /// The recipe's name.
    pub recipe: String,
    /// The template's path, absolute, as on the machine where the bundle was made.
    pub template: String,
    /// The working directory on that machine: relative paths are resolved against it, and it is the value of `pwd`.
    pub working_directory: String,
    /// `-var`: names and values.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// `-var-file`, absolute, in their order: later ones override earlier ones.
    #[serde(default)]
    pub var_files: Vec<String>,
    /// The environment variables that the template uses. Others are not packed.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl Manifest {
    /// The only version so far.
    pub const VERSION: u16 = 1;
}

/// The version, which is checked before anything else.
#[derive(Deserialize)]
struct Version {
    bakehouse: u16,
}

/// Parses a manifest. The error says what is wrong with it.
pub(crate) fn read(text: &[u8]) -> Result<Manifest, String> {
    let version: Version = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if version.bakehouse != Manifest::VERSION {
        return Err(format!("it has version {}, and only {} can be read", version.bakehouse, Manifest::VERSION));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}
