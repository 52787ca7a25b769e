//! The builds of a template: each builder, with the provisioners that all of them share.

use std::collections::BTreeMap;

use bakehouse_protocol::{Access, BuildSpec, spec::Provisioner};

use crate::{
    builder,
    diagnostic::{Diagnostic, Diagnostics},
    document::{Document, wrong_type},
    functions::Section,
    inputs::Inputs,
    options::{self, AMAZON_CHROOT},
    provisioner,
    renderer::Renderer,
    source::Location,
    tree::{Located, Map, Node, SourceString},
};

/// Reads all builds. Values that must be masked are added to `sensitive`.
pub(crate) fn read(document: &Document, inputs: &Inputs<'_>, sensitive: &mut Vec<String>) -> Vec<(BuildSpec, Access)> {
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
        let renderer =
            Renderer { inputs: *inputs, section: Section::Builder, build: Some((&name.value, AMAZON_CHROOT.owner)) };
        let values = options::read(&AMAZON_CHROOT, map, &["type", "name"], kind.location.clone(), &renderer);
        let spec = builder::spec(&values, &name.value, diagnostics);
        sensitive.extend(["secret_key", "token"].into_iter().filter_map(|it| Some(values.string(it)?.value)));
        let provisioners = provisioners(document, inputs, &name.value);
        builds.extend(spec.map(|(spec, access)| (BuildSpec { provisioners, ..spec }, access)));
    }
    if names.is_empty() {
        // No builder could be read: errors of the steps are reported all the same.
        provisioners(document, inputs, AMAZON_CHROOT.owner);
    }
    builds
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

fn provisioners(document: &Document, inputs: &Inputs<'_>, build: &str) -> Vec<Provisioner> {
    let mut steps = Vec::new();
    for map in &document.provisioners {
        if let Some(kind) = kind(map, "provisioner", inputs.diagnostics) {
            steps.extend(provisioner::read(map, kind, build, inputs));
        }
    }
    steps
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
