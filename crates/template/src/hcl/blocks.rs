//! What all blocks of the language have in common: which parts they may have.

use bakehouse_hcl::nearest;

use super::syntax::{Attribute, Block, Item, Role};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::Location,
};

/// The parts that a type of block may have.
pub(super) struct Schema {
    /// The type of the block, as in messages.
    pub(super) owner: &'static str,
    pub(super) attributes: &'static [&'static str],
    /// The nested blocks, with the names of their labels.
    pub(super) blocks: &'static [(&'static str, &'static [&'static str])],
}

/// The blocks at the root of a template.
pub(super) const ROOT: Schema = Schema {
    owner: "a template",
    attributes: &[],
    blocks: &[
        ("packer", &[]),
        ("variable", &["name"]),
        ("variables", &[]),
        ("locals", &[]),
        ("local", &["name"]),
        ("data", &["type", "name"]),
        ("source", &["type", "name"]),
        ("build", &[]),
        ("hcp_packer_registry", &[]),
        ("communicator", &["type", "name"]),
    ],
};

/// A `build` block.
pub(super) const BUILD: Schema = Schema {
    owner: "`build`",
    attributes: &["name", "description", "sources"],
    blocks: &[
        ("source", &["source"]),
        ("provisioner", &["type"]),
        ("error-cleanup-provisioner", &["type"]),
        ("post-processor", &["type"]),
        ("post-processors", &[]),
        ("hcp_packer_registry", &[]),
    ],
};

impl Schema {
    pub(super) fn role(&self, name: &str) -> Role {
        if self.attributes.contains(&name) {
            return Role::Attribute;
        }
        let found = self.blocks.iter().find(|(block, _)| *block == name);
        found.map_or(Role::Unknown, |(_, labels)| Role::Block(labels.len()))
    }

    /// Sorts the parts of a block into attributes and blocks. What may not be there is reported.
    pub(super) fn check<'a>(
        &self,
        items: Vec<Item<'a>>,
        diagnostics: &Diagnostics,
    ) -> (Vec<Attribute<'a>>, Vec<Block<'a>>) {
        let (mut attributes, mut blocks): (Vec<Attribute<'a>>, Vec<Block<'a>>) = (Vec::new(), Vec::new());
        for item in items {
            match self.role(&item.name().value) {
                Role::Attribute => {
                    let Some(attribute) = item.into_attribute(diagnostics) else { continue };
                    let name = &attribute.name;
                    match attributes.iter().find(|known| known.name.value == name.value) {
                        Some(first) => {
                            twice(&name.location, &format!("`{}`", name.value), &first.name.location, diagnostics)
                        }
                        None => attributes.push(attribute),
                    }
                }
                Role::Block(_) => {
                    let block = item.into_block(diagnostics);
                    blocks.extend(block.filter(|block| self.has_labels(block, diagnostics)));
                }
                Role::Unknown => self.unknown(&item, diagnostics),
            }
        }
        (attributes, blocks)
    }

    fn has_labels(&self, block: &Block<'_>, diagnostics: &Diagnostics) -> bool {
        let kind = block.kind.value.as_str();
        let wanted = self.blocks.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, labels)| labels);
        if block.labels.len() == wanted.len() {
            return true;
        }
        let labels: String = wanted.iter().map(|label| format!(" \"{}\"", label.to_uppercase())).collect();
        let count = match wanted.len() {
            0 => "no label".to_owned(),
            1 => format!("one label, its {}", wanted[0]),
            _ => format!("{} labels, its {}", wanted.len(), wanted.join(" and its ")),
        };
        let found = match block.labels.len() {
            0 => "none".to_owned(),
            found => found.to_string(),
        };
        diagnostics.add(
            Diagnostic::error(&block.header(), format!("a `{kind}` block has {count}"))
                .label(format!("this has {found}"))
                .help(format!("Write {kind}{labels} {{ … }}")),
        );
        false
    }

    fn unknown(&self, item: &Item<'_>, diagnostics: &Diagnostics) {
        let name = item.name();
        let (what, known): (&str, Vec<&str>) = match item {
            Item::Attribute(_) => ("attribute", self.attributes.to_vec()),
            Item::Block(_) => ("block", self.blocks.iter().map(|(name, _)| *name).collect()),
        };
        let all = known
            .iter()
            .copied()
            .chain(self.attributes.iter().copied())
            .chain(self.blocks.iter().map(|(name, _)| *name));
        let help = match misplaced(&name.value, self.owner) {
            Some(help) => help.to_owned(),
            None => match nearest(&name.value, all) {
                Some(near) => format!("Did you mean `{near}`?"),
                None if known.is_empty() => format!("{} has no {what}s. Remove it.", capital(self.owner)),
                None => format!("The {what}s of {} are {}.", self.owner, known.join(", ")),
            },
        };
        let article = if what == "attribute" { "an" } else { "a" };
        let message = format!("`{}` is not {article} {what} of {}", name.value, self.owner);
        diagnostics.add(Diagnostic::error(&name.location, message).label(format!("unknown {what}")).help(help));
    }
}

/// Returns where a block belongs that is in the wrong place.
fn misplaced(name: &str, owner: &str) -> Option<&'static str> {
    let is_in = |schema: &Schema| schema.role(name) != Role::Unknown && schema.owner != owner;
    if is_in(&ROOT) && name != "hcp_packer_registry" {
        return Some("It belongs at the root of the template, outside of all other blocks.");
    }
    if is_in(&BUILD) && name != "name" && name != "description" {
        return Some("It belongs in a `build` block.");
    }
    None
}

/// Reports something that is there for the second time.
pub(super) fn twice(location: &Location, what: &str, first: &Location, diagnostics: &Diagnostics) {
    let label = format!("the first is {}", first.beside(location));
    diagnostics
        .add(Diagnostic::error(location, format!("{what} is set twice")).label(label).help("Keep one of the two."));
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
