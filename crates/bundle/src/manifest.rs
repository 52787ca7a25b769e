//! What a bundle says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The name of the manifest's entry, which is the first.
pub const MANIFEST: &str = "bakehouse.json";

/// No manifest is larger.
pub(crate) const MOST: u64 = 1 << 20;

/// What a template must be loaded with, and how its author loads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format: [`Manifest::VERSION`].
    pub bakehouse: u16,
    /// What the recipe is called.
    pub recipe: String,
    /// The template's path, absolute, as on the machine where the bundle was made.
    pub template: String,
    /// The working directory there: where relative paths begin, and what `pwd` gives.
    pub working_directory: String,
    /// `-var`: names and values.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// `-var-file`, absolute, in their order: the later one wins.
    #[serde(default)]
    pub var_files: Vec<String>,
    /// Those variables of the environment that the template reads. Others are not carried.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

impl Manifest {
    /// The only version so far.
    pub const VERSION: u16 = 1;
}

/// Looked at before anything else.
#[derive(Deserialize)]
struct Version {
    bakehouse: u16,
}

/// Reads a manifest; the error says what is wrong with it.
pub(crate) fn read(text: &[u8]) -> Result<Manifest, String> {
    let version: Version = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if version.bakehouse != Manifest::VERSION {
        return Err(format!("it has version {}, and only {} can be read", version.bakehouse, Manifest::VERSION));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}
