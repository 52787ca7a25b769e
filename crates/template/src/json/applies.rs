//! For which builders a provisioner or a post-processor is: `only`, `except`, `override`.

use std::collections::BTreeSet;

use bakehouse_hcl::nearest;

use super::document::wrong_type;
use crate::{
    blocks::Block,
    diagnostic::{Diagnostic, Diagnostics},
    tree::{Map, Node, SourceString},
};

/// The keys that say so.
pub(super) const KEYS: [&str; 3] = ["only", "except", "override"];

/// For which builders a provisioner or a post-processor is.
pub(super) struct Applies<'d> {
    only: Vec<&'d SourceString>,
    except: Vec<&'d SourceString>,
    /// Options of one builder, which replace those of the same name.
    overrides: Vec<(&'d SourceString, &'d Map)>,
}

/// What may be named: the builders' names, as they are written and as they are rendered.
pub(super) type Names = BTreeSet<String>;

impl<'d> Applies<'d> {
    /// Reads the keys of a provisioner or, if `lists_only`, of a post-processor: it can't have a single name for a
    /// list.
    pub(super) fn read(map: &'d Map, lists_only: bool, known: &Names, diagnostics: &Diagnostics) -> Self {
        let names = |key: &str| match map.get(key) {
            Some(entry) => names(key, &entry.value, lists_only, known, diagnostics),
            None => Vec::new(),
        };
        let (only, except) = (names("only"), names("except"));
        if let (false, Some(first)) = (only.is_empty(), except.first()) {
            let message = "`except` cannot be combined with `only`";
            diagnostics.add(Diagnostic::error(&first.location, message).help("Keep one of the two."));
        }
        let overrides = match map.get("override").map(|entry| &entry.value) {
            None | Some(Node::Null(_)) => Vec::new(),
            Some(Node::Map(overrides)) => overrides
                .entries
                .iter()
                .filter(|entry| is_known(&entry.key, known, diagnostics))
                .filter_map(|entry| match &entry.value {
                    Node::Map(options) => Some((&entry.key, options)),
                    Node::Null(_) => None,
                    other => {
                        wrong_type(other, &entry.key.value, "an object of options", diagnostics);
                        None
                    }
                })
                .collect(),
            Some(other) => {
                wrong_type(other, "override", "an object: builder names, each with its options", diagnostics);
                Vec::new()
            }
        };
        Self { only, except, overrides }
    }

    /// Whether it is for the builder that has one of these names.
    pub(super) fn to(&self, names: &[&str]) -> bool {
        let is_in = |list: &[&SourceString]| list.iter().any(|name| names.contains(&name.value.as_str()));
        (self.only.is_empty() || is_in(&self.only)) && !is_in(&self.except)
    }

    /// Returns the block as it is for the builder that has one of these names.
    pub(super) fn block(&self, kind: &SourceString, options: &Map, names: &[&str]) -> Block {
        let mut entries = options.entries.clone();
        for (_, replaced) in self.overrides.iter().filter(|(name, _)| names.contains(&name.value.as_str())) {
            for entry in &replaced.entries {
                // Option names are not case-sensitive.
                entries.retain(|old| !old.key.value.eq_ignore_ascii_case(&entry.key.value));
                entries.push(entry.clone());
            }
        }
        Block { kind: kind.clone(), options: Map { entries, location: options.location.clone() } }
    }
}

fn names<'d>(
    key: &str,
    node: &'d Node,
    lists_only: bool,
    known: &Names,
    diagnostics: &Diagnostics,
) -> Vec<&'d SourceString> {
    let found: Vec<&SourceString> = match node {
        Node::Null(_) => Vec::new(),
        Node::String(name) if !lists_only => vec![name],
        Node::List(list) => list
            .value
            .iter()
            .filter_map(|element| match element {
                Node::String(name) => Some(name),
                other => {
                    wrong_type(other, key, "the name of a builder", diagnostics);
                    None
                }
            })
            .collect(),
        other => {
            wrong_type(other, key, "a list of builder names", diagnostics);
            Vec::new()
        }
    };
    for name in &found {
        is_known(name, known, diagnostics);
    }
    found
}

/// Whether there is a builder of this name; it is reported if not.
fn is_known(name: &SourceString, known: &Names, diagnostics: &Diagnostics) -> bool {
    if known.contains(&name.value) {
        return true;
    }
    let help = match nearest(&name.value, known.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean \"{near}\"?"),
        None => format!("The builders are {}.", known.iter().map(String::as_str).collect::<Vec<_>>().join(", ")),
    };
    diagnostics.add(Diagnostic::error(&name.location, format!("there is no builder \"{}\"", name.value)).help(help));
    false
}
