//! What is in a JSON template. Everything that has not the expected form is passed over: `validate` reports it.

use std::collections::BTreeSet;

use super::{syntax, variables};
use crate::{
    diagnostic::Diagnostics,
    inspection::{InspectedVariable, Inspection},
    request::{LoadRequest, TemplateText},
    tree::{Map, Node},
};

/// Returns what is in a template. `None` only after an error was reported.
pub(crate) fn inspect(template: &TemplateText, request: &LoadRequest, diagnostics: &Diagnostics) -> Option<Inspection> {
    let given = variables::given(request, diagnostics);
    let node = syntax::parse(&template.name, &template.text, true, diagnostics)?;
    let mut inspection = Inspection::default();
    let Node::Map(map) = &node else { return Some(inspection) };
    let sensitive: BTreeSet<&str> = list(map, "sensitive-variables").iter().filter_map(string).collect();
    inspection.description = member(map, "description").and_then(string).map(str::to_owned);
    if let Some(Node::Map(declared)) = member(map, "variables") {
        inspection.variables = declared
            .entries
            .iter()
            .map(|entry| {
                let name = entry.key.value.clone();
                let given = given.get(&name).and_then(|value| value.as_ref().map(|text| text.value.clone()));
                let default = string(&entry.value).map(str::to_owned);
                InspectedVariable {
                    is_required: default.is_none(),
                    is_sensitive: sensitive.contains(name.as_str()),
                    value: given.or(default),
                    name,
                }
            })
            .collect();
    }
    for builder in list(map, "builders") {
        let Some(kind) = kind(builder) else { continue };
        let name = option(builder, "name").filter(|name| !name.is_empty()).unwrap_or(kind);
        inspection.builders.push((name.to_owned(), kind.to_owned()));
    }
    inspection.provisioners = list(map, "provisioners").iter().filter_map(kind).map(str::to_owned).collect();
    for entry in list(map, "post-processors") {
        let chain = if let Node::List(chain) = entry { chain.value.as_slice() } else { std::slice::from_ref(entry) };
        let types = chain.iter().filter_map(|one| string(one).or_else(|| kind(one)));
        inspection.post_processors.extend(types.map(str::to_owned));
    }
    Some(inspection)
}

fn member<'m>(map: &'m Map, key: &str) -> Option<&'m Node> {
    map.entries.iter().find(|entry| entry.key.value.eq_ignore_ascii_case(key)).map(|entry| &entry.value)
}

fn list<'m>(map: &'m Map, key: &str) -> &'m [Node] {
    match member(map, key) {
        Some(Node::List(list)) => &list.value,
        _ => &[],
    }
}

fn string(node: &Node) -> Option<&str> {
    if let Node::String(text) = node { Some(&text.value) } else { None }
}

fn option<'m>(node: &'m Node, key: &str) -> Option<&'m str> {
    if let Node::Map(map) = node { string(&map.get(key)?.value) } else { None }
}

fn kind(node: &Node) -> Option<&str> {
    option(node, "type")
}
