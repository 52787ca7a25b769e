//! A build as both template languages yield it: blocks whose options have not been read yet.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    source::Location,
    tree::{Map, Node, SourceString},
};

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
    /// The display names of builders that are not built.
    pub(crate) skipped: Vec<String>,
    /// Where values stand that depend on data sources that were not asked. They are not checked.
    pub(crate) unknown: Vec<Location>,
}

/// One block: a builder, a provisioner or a post-processor.
pub(crate) struct Block {
    /// Its type, as `amazon-chroot` or `shell`.
    pub(crate) kind: SourceString,
    /// Its options, without `type`, `only`, `except` and `override` and, for a builder, without `name`.
    pub(crate) options: Map,
}

/// Returns the name by which `-except` leaves out a post-processor: its `name`, or else its type.
pub(crate) fn selectable_name<'a>(kind: &'a SourceString, options: &'a Map) -> &'a str {
    match options.get("name").map(|entry| &entry.value) {
        Some(Node::String(name)) if !name.value.is_empty() => &name.value,
        _ => &kind.value,
    }
}

/// A build of a template: a builder, with what applies to it of the rest of the template.
pub(crate) struct BuildBlocks {
    /// The builder's name as the template sets it: `build_name`, `PACKER_BUILD_NAME`.
    pub(crate) name: String,
    /// The name that output shows and that `-only` and `-except` take.
    pub(crate) display_name: String,
    pub(crate) builder: Block,
    /// The provisioners of this build, in order: those that its name does not leave out, with their `override` applied.
    pub(crate) provisioners: Vec<Block>,
    /// `error-cleanup-provisioner`, if there is one for this build.
    pub(crate) error_cleanup: Option<Block>,
    /// The post-processors of this build, as chains. Their options include `name` and `keep_input_artifact`.
    pub(crate) post_processors: Vec<Vec<Block>>,
}

impl Map {
    /// Returns the object without these keys.
    pub(crate) fn without(&self, keys: &[&str]) -> Self {
        let kept = self.entries.iter().filter(|entry| !keys.contains(&entry.key.value.as_str()));
        Self { entries: kept.cloned().collect(), location: self.location.clone() }
    }
}
