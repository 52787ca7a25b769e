//! The top level of a JSON template: its keys and their values.

use std::collections::BTreeSet;

use bakehouse_hcl::nearest;

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    packer,
    tree::{Entry, Map, Node, SourceString},
};

/// The keys.
const KEYS: [&str; 9] = [
    "builders",
    "provisioners",
    "post-processors",
    "error-cleanup-provisioner",
    "variables",
    "sensitive-variables",
    "min_packer_version",
    "description",
    "push",
];

/// The parts of a template.
#[derive(Default)]
pub(super) struct Document {
    pub(super) builders: Vec<Map>,
    pub(super) provisioners: Vec<Map>,
    pub(super) error_cleanup: Option<Map>,
    /// Chains of post-processors. One that is written as a string is an object with this `type`.
    pub(super) post_processors: Vec<Vec<Map>>,
    pub(super) variables: Option<Map>,
    /// The names of variables whose values must be masked.
    pub(super) sensitive: Vec<SourceString>,
}

/// Reads a template's top level. Returns what can be read; errors are reported.
pub(super) fn read(node: Node, diagnostics: &Diagnostics) -> Option<Document> {
    let Node::Map(map) = node else {
        diagnostics.add(
            Diagnostic::error(node.location(), format!("a template is an object, not {}", node.kind()))
                .help("Write {\"builders\": [{…}], \"provisioners\": [{…}]}"),
        );
        return None;
    };
    let opening = map.opening();
    let mut document = Document::default();
    let mut seen = BTreeSet::new();
    for entry in map.entries {
        let (key, location) = (&entry.key.value, &entry.key.location);
        if key.starts_with('_') {
            if !matches!(entry.value, Node::String(_)) {
                let message = format!("the comment `{key}` is {}", entry.value.kind());
                diagnostics
                    .add(Diagnostic::error(entry.value.location(), message).help("Packer allows only strings here."));
            }
            continue;
        }
        let Some(known) = KEYS.into_iter().find(|known| known.eq_ignore_ascii_case(key)) else {
            let help = match nearest(key, KEYS) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("The keys are {}; a key that starts with _ is a comment.", KEYS.join(", ")),
            };
            diagnostics.add(Diagnostic::error(location, format!("`{key}` is not a key of a template")).help(help));
            continue;
        };
        if matches!(entry.value, Node::Null(_)) {
            continue;
        }
        if !seen.insert(known) {
            let message = format!("`{known}` is set twice");
            diagnostics
                .add(Diagnostic::error(location, message).help("Keys are not case-sensitive. Keep one of the two."));
            continue;
        }
        match known {
            "builders" => document.builders = maps(entry.value, known, diagnostics),
            "provisioners" => document.provisioners = maps(entry.value, known, diagnostics),
            "post-processors" => document.post_processors = chains(entry.value, diagnostics),
            "error-cleanup-provisioner" => match entry.value {
                Node::Map(map) => document.error_cleanup = Some(map),
                other => wrong_type(&other, known, "an object", diagnostics),
            },
            // What `packer push` used, which Packer does not have any more.
            "push" => match entry.value {
                Node::Map(_) => {}
                other => wrong_type(&other, known, "an object", diagnostics),
            },
            "variables" => match entry.value {
                Node::Map(map) => document.variables = Some(map),
                other => wrong_type(&other, known, "an object", diagnostics),
            },
            "sensitive-variables" => document.sensitive = names(&entry.value, known, diagnostics),
            "min_packer_version" => check_version(&entry.value, diagnostics),
            _ => {
                if !matches!(entry.value, Node::String(_)) {
                    wrong_type(&entry.value, known, "a string", diagnostics);
                }
            }
        }
    }
    if document.builders.is_empty() && !seen.contains("builders") {
        diagnostics.add(
            Diagnostic::error(&opening, "the template has no builders")
                .label("in this object")
                .help("Write \"builders\": [{\"type\": \"amazon-chroot\", …}]"),
        );
    }
    Some(document)
}

/// Reports that the value of a key has the wrong type.
pub(super) fn wrong_type(node: &Node, key: &str, wanted: &str, diagnostics: &Diagnostics) {
    let message = format!("`{key}` is {}", node.kind());
    diagnostics.add(Diagnostic::error(node.location(), message).label(format!("{wanted} is needed")));
}

fn maps(node: Node, key: &str, diagnostics: &Diagnostics) -> Vec<Map> {
    let Node::List(list) = node else {
        wrong_type(&node, key, "a list of objects", diagnostics);
        return Vec::new();
    };
    if list.value.is_empty() && key == "builders" {
        diagnostics.add(Diagnostic::error(&list.location, "the template has no builders"));
    }
    let mut maps = Vec::new();
    for element in list.value {
        match element {
            Node::Map(map) => maps.push(map),
            other => wrong_type(&other, key, "an object", diagnostics),
        }
    }
    maps
}

/// Returns the chains of `post-processors`: each entry is one, alone or as a list.
fn chains(node: Node, diagnostics: &Diagnostics) -> Vec<Vec<Map>> {
    let Node::List(list) = node else {
        wrong_type(&node, "post-processors", "a list", diagnostics);
        return Vec::new();
    };
    let chain = |entry: Node| match entry {
        Node::List(list) => list.value.into_iter().filter_map(|element| post_processor(element, diagnostics)).collect(),
        single => post_processor(single, diagnostics).into_iter().collect(),
    };
    list.value.into_iter().map(chain).collect()
}

fn post_processor(node: Node, diagnostics: &Diagnostics) -> Option<Map> {
    match node {
        Node::Map(map) => Some(map),
        Node::String(kind) => {
            let location = kind.location.clone();
            let key = SourceString { value: "type".to_owned(), ..kind.clone() };
            Some(Map { entries: vec![Entry { key, value: Node::String(kind) }], location })
        }
        other => {
            wrong_type(&other, "post-processors", "an object, a type or a list of these", diagnostics);
            None
        }
    }
}

fn names(node: &Node, key: &str, diagnostics: &Diagnostics) -> Vec<SourceString> {
    let Node::List(list) = node else {
        wrong_type(node, key, "a list of names", diagnostics);
        return Vec::new();
    };
    let mut names = Vec::new();
    for element in &list.value {
        match element {
            Node::String(text) => names.push(text.clone()),
            other => wrong_type(other, key, "a name", diagnostics),
        }
    }
    names
}

fn check_version(node: &Node, diagnostics: &Diagnostics) {
    let Node::String(text) = node else {
        return wrong_type(node, "min_packer_version", "a string", diagnostics);
    };
    // What follows these (`1.2.0-dev`) makes it older, or nothing.
    let released = text.value.split(['-', '+']).next().unwrap_or_default();
    let numbers: Result<Vec<u64>, _> = released.trim_start_matches('v').split('.').map(str::parse).collect();
    match numbers {
        Ok(numbers) if numbers.as_slice() <= packer::VERSION.as_slice() => {}
        Ok(_) => diagnostics.add(
            Diagnostic::error(&text.location, format!("the template needs Packer {} or newer", text.value))
                .help(packer::version_help()),
        ),
        Err(_) => diagnostics.add(
            Diagnostic::error(&text.location, format!("\"{}\" is not a version", text.value)).help("Write \"1.2.3\"."),
        ),
    }
}
