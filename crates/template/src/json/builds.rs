//! The builds of a JSON template: each builder, with the provisioners that all of them share.

use std::collections::BTreeMap;

use super::document::{Document, wrong_type};
use crate::{
    blocks::{Block, BuildBlocks},
    diagnostic::{Diagnostic, Diagnostics},
    functions::Section,
    inputs::Inputs,
    options::AMAZON_CHROOT,
    renderer::Renderer,
    source::Location,
    tree::{Located, Map, Node, SourceString},
};

/// Reads all builds.
pub(super) fn read(document: &Document, inputs: &Inputs<'_>) -> Vec<BuildBlocks> {
    let diagnostics = inputs.diagnostics;
    let mut builds = Vec::new();
    let mut names: BTreeMap<String, Location> = BTreeMap::new();
    for map in &document.builders {
        let Some(kind) = kind(map, "builder", diagnostics) else {
            continue;
        };
        if kind.value != AMAZON_CHROOT.owner {
            diagnostics.add(
                Diagnostic::error(&kind.location, format!("the builder \"{}\" is not supported", kind.value))
                    .help("Bakehouse supports Packer's \"amazon-chroot\" builder only."),
            );
            continue;
        }
        let Some(name) = name(map, kind, inputs) else {
            continue;
        };
        if let Some(first) = names.insert(name.value.clone(), name.location.clone()) {
            diagnostics.add(
                Diagnostic::error(&name.location, format!("two builders have the name \"{}\"", name.value))
                    .label(format!("the other is on line {}", first.line()))
                    .help("Give each builder a name of its own: \"name\": \"…\""),
            );
        }
        builds.push(BuildBlocks {
            display_name: name.value.clone(),
            name: name.value,
            builder: Block { kind: kind.clone(), options: map.without(&["type", "name"]) },
            provisioners: provisioners(document, diagnostics),
        });
    }
    builds
}

/// Returns the provisioners.
pub(super) fn provisioners(document: &Document, diagnostics: &Diagnostics) -> Vec<Block> {
    let block = |map: &Map| {
        let kind = kind(map, "provisioner", diagnostics)?;
        Some(Block { kind: kind.clone(), options: map.without(&["type"]) })
    };
    document.provisioners.iter().filter_map(block).collect()
}

fn name(map: &Map, kind: &SourceString, inputs: &Inputs<'_>) -> Option<Located<String>> {
    let name = match map.get("name").map(|entry| &entry.value) {
        None | Some(Node::Null(_)) => return Some(Located::new(kind.value.clone(), &kind.location)),
        Some(Node::String(text)) => text,
        Some(other) => {
            wrong_type(other, "name", "a string", inputs.diagnostics);
            return None;
        }
    };
    // Its own name is not known yet while it is rendered; the type is.
    let value =
        Renderer { inputs: *inputs, section: Section::Builder, build: Some(("", AMAZON_CHROOT.owner)) }.render(name)?;
    let value = if value.is_empty() { kind.value.clone() } else { value };
    Some(Located::new(value, &name.location))
}

/// Returns the type of a builder or a provisioner.
fn kind<'m>(map: &'m Map, what: &str, diagnostics: &Diagnostics) -> Option<&'m SourceString> {
    match map.get("type").map(|entry| &entry.value) {
        Some(Node::String(text)) => Some(text),
        Some(other) => {
            wrong_type(other, "type", "a string", diagnostics);
            None
        }
        None => {
            let help = match map.entries.iter().find(|entry| entry.key.value.eq_ignore_ascii_case("type")) {
                Some(entry) => format!("Write `type` instead of `{}`.", entry.key.value),
                None if what == "builder" => "Write \"type\": \"amazon-chroot\".".to_owned(),
                None => "Write \"type\": \"shell\" or \"type\": \"file\".".to_owned(),
            };
            diagnostics.add(
                Diagnostic::error(&map.opening(), format!("this {what} has no type"))
                    .label("in this object")
                    .help(help),
            );
            None
        }
    }
}
