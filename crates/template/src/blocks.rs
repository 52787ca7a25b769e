//! A build as both template languages yield it: blocks whose options have not been read yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{Map, SourceString};

/// A template whose variables are known.
pub(crate) struct ParsedTemplate {
    pub(crate) builds: Vec<BuildBlocks>,
    /// All provisioners, to be checked even if no builder could be read.
    pub(crate) provisioners: Vec<Block>,
    /// The values that the function `user` returns.
    pub(crate) variables: BTreeMap<String, String>,
    /// Variables that could not be read.
    pub(crate) invalid: BTreeSet<String>,
    /// Values that must be masked in all output.
    pub(crate) sensitive: Vec<String>,
}

/// One block: a builder, a provisioner or a post-processor.
pub(crate) struct Block {
    /// Its type, as `amazon-chroot` or `shell`.
    pub(crate) kind: SourceString,
    /// Its options, without `type` and, for a builder, without `name`.
    pub(crate) options: Map,
}

/// A build of a template: a builder, with what applies to it of the rest of the template.
pub(crate) struct BuildBlocks {
    /// The builder's name as the template sets it: `build_name`, `PACKER_BUILD_NAME`.
    pub(crate) name: String,
    /// The name that output shows and that `-only` and `-except` take.
    pub(crate) display_name: String,
    pub(crate) builder: Block,
    /// The provisioners of this build, in order. Their `override` has been applied already.
    pub(crate) provisioners: Vec<Block>,
}

impl Map {
    /// Returns the object without these keys.
    pub(crate) fn without(&self, keys: &[&str]) -> Self {
        let kept = self.entries.iter().filter(|entry| !keys.contains(&entry.key.value.as_str()));
        Self { entries: kept.cloned().collect(), location: self.location.clone() }
    }
}
