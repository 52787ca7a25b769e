//! Reads a block by its table.

use std::collections::BTreeMap;

use bakehouse_hcl::nearest;
use bakehouse_protocol::Millis;

use super::{
    coerce::Coerce,
    table::{Kind, Opt, Table},
    values::{Value, Values},
};
use crate::{
    diagnostic::Diagnostic,
    duration,
    fields::Fields,
    inputs::Inputs,
    language::Language,
    renderer::Renderer,
    source::Location,
    tree::{Entry, Located, Map, Node, SourceString, all},
};

/// Reads a block. `anchor` is the location for messages about a missing option.
pub(crate) fn read(table: &Table, map: &Map, anchor: Location, renderer: &Renderer<'_>) -> Values {
    let diagnostics = renderer.inputs.diagnostics;
    let mut set: BTreeMap<&'static str, (Location, Option<Value>)> = BTreeMap::new();
    let mut misspelled = Vec::new();
    for entry in &map.entries {
        let option = match find(table, entry, &renderer.inputs) {
            Found::Option(option) => option,
            Found::Meant(meant) => {
                misspelled.push((meant, entry.value.location().clone()));
                continue;
            }
            Found::Nothing => continue,
        };
        if let Some((first, _)) = set.get(option.name) {
            diagnostics.add(
                Diagnostic::error(&entry.key.location, format!("`{}` is set twice", option.name))
                    .label(format!("it is already set on line {}", first.line()))
                    .help("Option names are not case-sensitive. Keep one of the two."),
            );
            continue;
        }
        if is_unset(option, &entry.value, renderer.inputs.language) {
            continue;
        }
        if let Node::Invalid(location) = &entry.value {
            set.insert(option.name, (location.clone(), None));
            continue;
        }
        let value = Reader { coerce: Coerce { renderer } }.value(option.kind, entry);
        set.insert(option.name, (entry.value.location().clone(), value));
    }
    // An option that was meant is not missing, only misspelled.
    for (meant, location) in misspelled {
        set.entry(meant).or_insert((location, None));
    }
    Values { anchor, set }
}

/// Returns whether a value leaves an option unset: null, and in HCL "" for the two durations that Packer reads there
/// by itself.
fn is_unset(option: &Opt, value: &Node, language: Language) -> bool {
    match value {
        Node::Null(_) => true,
        Node::String(text) => {
            language == Language::Hcl && text.value.is_empty() && matches!(option.name, "pause_before" | "timeout")
        }
        _ => false,
    }
}

/// What a key stands for.
enum Found {
    Option(&'static Opt),
    /// Not an option that can be used, but this one was meant.
    Meant(&'static str),
    Nothing,
}

/// Finds the option of a key. A key that can't be used is reported.
fn find(table: &Table, entry: &Entry, inputs: &Inputs<'_>) -> Found {
    let (key, location, diagnostics) = (entry.key.value.as_str(), &entry.key.location, inputs.diagnostics);
    let named = |name: &str| table.options().find(|option| option.name.eq_ignore_ascii_case(name));
    if let Some(option) = named(key) {
        return Found::Option(option);
    }
    let of =
        |list: &'static [(&'static str, &'static str)]| list.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    if let Some((old, new)) = of(table.renamed)
        && let Some(option) = named(new)
    {
        let message = format!("`{old}` is the old name of `{new}`");
        diagnostics.add(Diagnostic::warning(location, message).help(format!("Write `{new}`.")));
        return Found::Option(option);
    }
    if let Some((name, why)) = of(table.ignored) {
        let message = format!("`{name}` has no effect: {why}");
        diagnostics.add(Diagnostic::warning(location, message).help("Remove it."));
        return Found::Nothing;
    }
    // Packer adds such keys to the options of a JSON template, and lets through those that are there.
    if key.starts_with("packer_") && inputs.language == Language::Json {
        let message = format!("`{key}` has no effect");
        diagnostics.add(Diagnostic::warning(location, message).help("Keys that start with packer_ are Packer's own."));
        return Found::Nothing;
    }
    let near = if diagnostics.are_many() { None } else { nearest(key, table.options().map(|option| option.name)) };
    let help = match near {
        Some(near) => format!("Did you mean `{near}`?"),
        None if key.starts_with('_') => "Comments are allowed at the top level of the template only.".to_owned(),
        None => "Remove it.".to_owned(),
    };
    let message = format!("`{key}` is not an option of {}", table.owner);
    diagnostics.add(Diagnostic::error(location, message).label("unknown option").help(help));
    near.map_or(Found::Nothing, Found::Meant)
}

struct Reader<'a> {
    coerce: Coerce<'a>,
}

impl Reader<'_> {
    fn value(&self, kind: Kind, entry: &Entry) -> Option<Value> {
        let (node, coerce) = (&entry.value, self.coerce);
        let renderer = coerce.renderer;
        Some(match kind {
            Kind::String => Value::String(coerce.string(node)?),
            Kind::Deferred(fields) => {
                let raw = coerce.raw(node)?;
                Value::Deferred(Located { value: renderer.defer(&raw, fields)?, location: raw.location })
            }
            Kind::Integer => Value::Integer(coerce.integer(node)?),
            Kind::Bool => Value::Bool(coerce.bool(node)?),
            Kind::TriState => Value::TriState(coerce.tri_state(node)?),
            Kind::StringList => Value::StringList(self.string_list(node)?),
            Kind::DeferredList(fields) => {
                let elements = self.deferred_elements(node, fields)?;
                Value::DeferredList(all(elements.into_iter().map(|text| {
                    renderer.defer(&text, fields).map(|value| Located { value, location: text.location.clone() })
                }))?)
            }
            Kind::IntegerList => Value::IntegerList(match node {
                Node::List(list) => all(list.value.iter().map(|element| coerce.integer(element)))?,
                Node::String(text) => {
                    all(coerce.split_commas(text).into_iter().map(|part| coerce.integer(&Node::String(part))))?
                }
                other => vec![coerce.integer(other)?],
            }),
            Kind::StringMap => {
                let render =
                    |text: SourceString| renderer.render(&text).map(|value| Located { value, location: text.location });
                Value::StringMap(all(coerce.map(node)?.into_iter().map(|(k, v)| Some((render(k)?, render(v)?))))?)
            }
            Kind::DeferredMap(fields) => {
                let defer = |text: SourceString| {
                    renderer.defer(&text, fields).map(|value| Located { value, location: text.location })
                };
                let pairs = coerce.map(node)?.into_iter().map(|(k, v)| match (defer(k), defer(v)) {
                    (Some(key), Some(value)) => Some((key, value)),
                    _ => None,
                });
                Value::DeferredMap(all(pairs)?)
            }
            Kind::StringTable => {
                let Node::List(rows) = node else {
                    coerce.wrong_type(node, "a list of lists", "Write [[\"…\", \"…\", \"…\"], …]");
                    return None;
                };
                let rows = rows
                    .value
                    .iter()
                    .map(|row| self.string_list(row).map(|strings| Located::new(strings, row.location())));
                Value::StringTable(all(rows)?)
            }
            Kind::Duration => Value::Duration(self.duration(node)?),
            Kind::Block(table) => {
                let Node::Map(map) = node else {
                    coerce.wrong_type(node, "an object", "Write an object: {\"…\": …}");
                    return None;
                };
                Value::Block(self.block(table, map, entry.key.location.clone()))
            }
            Kind::BlockList(table) => match node {
                Node::Map(map) => Value::BlockList(vec![self.block(table, map, map.opening())]),
                Node::List(list) => Value::BlockList(all(list.value.iter().map(|element| match element {
                    Node::Map(map) => Some(self.block(table, map, map.opening())),
                    other => {
                        coerce.wrong_type(other, "an object", "Write an object: {\"…\": …}");
                        None
                    }
                }))?),
                other => {
                    coerce.wrong_type(other, "a list of objects", "Write a list: [{\"…\": …}]");
                    return None;
                }
            },
        })
    }

    fn block(&self, table: &Table, map: &Map, anchor: Location) -> Values {
        read(table, map, anchor, self.coerce.renderer)
    }

    /// Reads a list of strings. A single string is rendered first and then split: `"{{user `accounts`}}"`.
    fn string_list(&self, node: &Node) -> Option<Vec<Located<String>>> {
        let renderer = self.coerce.renderer;
        if let Node::String(text) = node {
            let rendered = Located { value: renderer.render(text)?, location: text.location.clone() };
            if rendered.value == text.value {
                let parts = self.coerce.split_commas(text).into_iter();
                return Some(parts.map(|part| Located { value: part.value, location: part.location }).collect());
            }
            let value = rendered.value.as_str();
            let parts = value.split(',').filter(|_| !value.is_empty());
            return Some(parts.map(|part| Located::new(part.to_owned(), &rendered.location)).collect());
        }
        let elements = self.coerce.elements(node)?;
        all(elements
            .into_iter()
            .map(|text| renderer.render(&text).map(|value| Located { value, location: text.location })))
    }

    /// Returns the elements of a list of deferred templates. A single string is evaluated before it is split in a
    /// provisioner, and afterwards in a builder.
    fn deferred_elements(&self, node: &Node, fields: Fields) -> Option<Vec<SourceString>> {
        match node {
            Node::String(text) if self.coerce.renderer.section.has_build() && text.value.contains("{{") => {
                let deferred = self.coerce.renderer.defer(text, fields)?;
                if deferred.0 == text.value || deferred.0.contains("{{") {
                    return Some(self.coerce.split_commas(text));
                }
                let known = SourceString {
                    value: deferred.0,
                    location: text.location.clone(),
                    offsets: vec![(0, text.location.start)],
                };
                Some(self.coerce.split_commas(&known))
            }
            other => self.coerce.elements(other),
        }
    }

    fn duration(&self, node: &Node) -> Option<Millis> {
        const HELP: &str = "Write a number with its unit: \"300ms\", \"10s\", \"5m\", \"1h30m\".";
        let text = match node {
            Node::String(_) => self.coerce.string(node)?,
            Node::Number(number) if number.value == "0" => number.clone(),
            Node::Number(number) => {
                let message = format!("{} has no unit", number.value);
                self.coerce.diagnostics().add(
                    Diagnostic::error(&number.location, message)
                        .label("Packer would take it for nanoseconds")
                        .help(format!("Write \"{}s\" if you mean seconds.", number.value)),
                );
                return None;
            }
            other => {
                self.coerce.wrong_type(other, "a duration", HELP);
                return None;
            }
        };
        match duration::parse(&text.value) {
            Ok(duration) => Some(duration),
            Err(why) => {
                self.coerce.diagnostics().add(Diagnostic::error(&text.location, why).help(HELP));
                None
            }
        }
    }
}
