//! The root of a JSON template: which keys it has, which builds come of it.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_protocol::{Access, BuildSpec, spec::Provisioner};

use crate::{
    builder,
    diagnostic::{Diagnostic, Notes},
    engine::Engine,
    inputs::Inputs,
    known::Site,
    nearest::nearest,
    options::{self, AMAZON_CHROOT},
    provisioner,
    source::Place,
    tree::{At, Map, Node, Text},
};

/// The Packer version whose templates we read; `min_packer_version` is compared with it.
const PACKER_VERSION: [u64; 3] = [1, 16, 0];

/// The root keys that are read.
const KEYS: [&str; 6] =
    ["builders", "provisioners", "variables", "sensitive-variables", "min_packer_version", "description"];

/// Packer's other root keys.
const LATER: [&str; 3] = ["post-processors", "error-cleanup-provisioner", "push"];

/// The root's parts.
#[derive(Default)]
pub(crate) struct Root {
    builders: Vec<Map>,
    provisioners: Vec<Map>,
    pub(crate) variables: Option<Map>,
    /// The names of variables whose values must not be shown.
    pub(crate) sensitive: Vec<Text>,
}

/// Reads the root. Mistakes are noted, and what can be read is given.
pub(crate) fn read(node: Node, notes: &Notes) -> Option<Root> {
    let Node::Map(map) = node else {
        notes.add(
            Diagnostic::error(node.place(), format!("a template is an object, not {}", node.kind()))
                .help("Write {\"builders\": [{…}], \"provisioners\": [{…}]}"),
        );
        return None;
    };
    let opening = map.opening();
    let mut root = Root::default();
    let mut seen = BTreeSet::new();
    for entry in map.entries {
        let (key, place) = (&entry.key.value, &entry.key.place);
        if key.starts_with('_') {
            if !matches!(entry.value, Node::Text(_)) {
                let message = format!("the comment `{key}` is {}", entry.value.kind());
                notes.add(Diagnostic::error(entry.value.place(), message).help("Packer takes text only here."));
            }
            continue;
        }
        let Some(known) = KEYS.into_iter().chain(LATER).find(|known| known.eq_ignore_ascii_case(key)) else {
            let help = match nearest(key, KEYS) {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("The root has {}; a key that begins with _ is a comment.", KEYS.join(", ")),
            };
            notes.add(Diagnostic::error(place, format!("`{key}` is not a key of a template")).help(help));
            continue;
        };
        if !seen.insert(known) {
            let message = format!("`{known}` comes twice");
            notes.add(Diagnostic::error(place, message).help("Capitals make no difference here. Keep one of the two."));
            continue;
        }
        if LATER.contains(&known) {
            let message = format!("`{known}` is a part of Packer's templates that Bakehouse does not do yet");
            notes.add(
                Diagnostic::error(place, message)
                    .help("Remove it if the build can do without; ignoring it would change what you get."),
            );
            continue;
        }
        match known {
            "builders" => root.builders = maps(entry.value, known, notes),
            "provisioners" => root.provisioners = maps(entry.value, known, notes),
            "variables" => match entry.value {
                Node::Map(map) => root.variables = Some(map),
                other => wrong(&other, known, "an object", notes),
            },
            "sensitive-variables" => root.sensitive = names(&entry.value, known, notes),
            "min_packer_version" => version(&entry.value, notes),
            _ => {
                if !matches!(entry.value, Node::Text(_)) {
                    wrong(&entry.value, known, "text", notes);
                }
            }
        }
    }
    if root.builders.is_empty() && !seen.contains("builders") {
        notes.add(
            Diagnostic::error(&opening, "the template has no builders")
                .label("in this object")
                .help("Write \"builders\": [{\"type\": \"amazon-chroot\", …}]"),
        );
    }
    Some(root)
}

fn wrong(node: &Node, key: &str, wanted: &str, notes: &Notes) {
    let message = format!("`{key}` is {}", node.kind());
    notes.add(Diagnostic::error(node.place(), message).label(format!("{wanted} is needed")));
}

fn maps(node: Node, key: &str, notes: &Notes) -> Vec<Map> {
    let Node::List(list) = node else {
        wrong(&node, key, "a list of objects", notes);
        return Vec::new();
    };
    if list.value.is_empty() && key == "builders" {
        notes.add(Diagnostic::error(&list.place, "the template has no builders"));
    }
    let mut maps = Vec::new();
    for element in list.value {
        match element {
            Node::Map(map) => maps.push(map),
            other => wrong(&other, key, "an object", notes),
        }
    }
    maps
}

fn names(node: &Node, key: &str, notes: &Notes) -> Vec<Text> {
    let Node::List(list) = node else {
        wrong(node, key, "a list of names", notes);
        return Vec::new();
    };
    let mut names = Vec::new();
    for element in &list.value {
        match element {
            Node::Text(text) => names.push(text.clone()),
            other => wrong(other, key, "a name", notes),
        }
    }
    names
}

fn version(node: &Node, notes: &Notes) {
    let Node::Text(text) = node else {
        return wrong(node, "min_packer_version", "text", notes);
    };
    let numbers: Result<Vec<u64>, _> = text.value.trim_start_matches('v').split('.').map(str::parse).collect();
    match numbers {
        Ok(numbers) if numbers.as_slice() <= PACKER_VERSION.as_slice() => {}
        Ok(_) => notes.add(
            Diagnostic::error(&text.place, format!("the template needs Packer {} or newer", text.value))
                .help("Bakehouse reads templates as Packer 1.16.0 does."),
        ),
        Err(_) => notes.add(
            Diagnostic::error(&text.place, format!("\"{}\" is not a version", text.value)).help("Write \"1.2.3\"."),
        ),
    }
}

/// The type of a builder or provisioner.
fn kind<'m>(map: &'m Map, what: &str, notes: &Notes) -> Option<&'m Text> {
    match map.get("type").map(|entry| &entry.value) {
        Some(Node::Text(text)) => Some(text),
        Some(other) => {
            wrong(other, "type", "text", notes);
            None
        }
        None => {
            let help = match map.entries.iter().find(|entry| entry.key.value.eq_ignore_ascii_case("type")) {
                Some(entry) => format!("Write `type` instead of `{}`.", entry.key.value),
                None if what == "builder" => "Write \"type\": \"amazon-chroot\".".to_owned(),
                None => "Write \"type\": \"shell\" or \"type\": \"file\".".to_owned(),
            };
            notes.add(
                Diagnostic::error(&map.opening(), format!("this {what} has no type"))
                    .label("in this object")
                    .help(help),
            );
            None
        }
    }
}

/// All the builds. What must not be shown is added to `sensitive`.
pub(crate) fn builds(root: &Root, inputs: &Inputs<'_>, sensitive: &mut Vec<String>) -> Vec<(BuildSpec, Access)> {
    let notes = inputs.notes;
    let mut builds = Vec::new();
    let mut names: BTreeMap<String, Place> = BTreeMap::new();
    for map in &root.builders {
        let Some(kind) = kind(map, "builder", notes) else {
            continue;
        };
        if kind.value != AMAZON_CHROOT.owner {
            notes.add(
                Diagnostic::error(&kind.place, format!("there is no builder \"{}\" here", kind.value))
                    .help("Bakehouse does what Packer's \"amazon-chroot\" builder does."),
            );
            continue;
        }
        let Some(name) = name(map, kind, inputs) else {
            continue;
        };
        if let Some(first) = names.insert(name.value.clone(), name.place.clone()) {
            notes.add(
                Diagnostic::error(&name.place, format!("two builders have the name \"{}\"", name.value))
                    .label(format!("the other is in line {}", first.line()))
                    .help("Give each builder a name of its own: \"name\": \"…\""),
            );
        }
        let engine = Engine { inputs: *inputs, site: Site::Builder, build: Some((&name.value, AMAZON_CHROOT.owner)) };
        let values = options::read(&AMAZON_CHROOT, map, &["type", "name"], kind.place.clone(), &engine);
        let spec = builder::spec(&values, &name.value, notes);
        sensitive.extend(["secret_key", "token"].into_iter().filter_map(|it| Some(values.text(it)?.value)));
        let provisioners = provisioners(root, inputs, &name.value);
        builds.extend(spec.map(|(spec, access)| (BuildSpec { provisioners, ..spec }, access)));
    }
    if names.is_empty() {
        // No builder could be read: the steps' own mistakes are told all the same.
        provisioners(root, inputs, AMAZON_CHROOT.owner);
    }
    builds
}

fn name(map: &Map, kind: &Text, inputs: &Inputs<'_>) -> Option<At<String>> {
    let name = match map.get("name").map(|entry| &entry.value) {
        None | Some(Node::Null(_)) => return Some(At::new(kind.value.clone(), &kind.place)),
        Some(Node::Text(text)) => text,
        Some(other) => {
            wrong(other, "name", "text", inputs.notes);
            return None;
        }
    };
    // Its own name is not known yet while it is rendered; the type is.
    let value = Engine { inputs: *inputs, site: Site::Builder, build: Some(("", AMAZON_CHROOT.owner)) }.early(name)?;
    let value = if value.is_empty() { kind.value.clone() } else { value };
    Some(At::new(value, &name.place))
}

fn provisioners(root: &Root, inputs: &Inputs<'_>, build: &str) -> Vec<Provisioner> {
    let mut steps = Vec::new();
    for map in &root.provisioners {
        if let Some(kind) = kind(map, "provisioner", inputs.notes) {
            steps.extend(provisioner::read(map, kind, build, inputs));
        }
    }
    steps
}
