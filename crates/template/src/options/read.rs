//! Reading a block by its table.

use std::collections::BTreeMap;

use bakehouse_protocol::Millis;

use super::{
    scalars::Scalars,
    table::{Kind, Opt, Table},
    values::{Value, Values},
};
use crate::{
    diagnostic::{Diagnostic, Notes},
    duration,
    engine::Engine,
    known::Site,
    nearest::nearest,
    source::Place,
    tree::{At, Entry, Map, Node, Text},
};

/// Reads a block. `meta` are keys that have already been looked at; they are spelled exactly so.
pub(crate) fn read(table: &Table, map: &Map, meta: &[&str], anchor: Place, engine: &Engine<'_>) -> Values {
    let notes = engine.inputs.notes;
    let mut given: BTreeMap<&'static str, (Place, Option<Value>)> = BTreeMap::new();
    let mut slips = Vec::new();
    for entry in &map.entries {
        if meta.contains(&entry.key.value.as_str()) {
            continue;
        }
        let (option, kind) = match find(table, entry, notes) {
            Found::Option(option, kind) => (option, kind),
            Found::Slip(meant) => {
                slips.push((meant, entry.value.place().clone()));
                continue;
            }
            Found::Nothing => continue,
        };
        if let Some((first, _)) = given.get(option.name) {
            notes.add(
                Diagnostic::error(&entry.key.place, format!("`{}` comes twice", option.name))
                    .label(format!("it is already set in line {}", first.line()))
                    .help("Capitals make no difference in the names of options. Keep one of the two."),
            );
            continue;
        }
        if matches!(entry.value, Node::Null(_)) {
            continue;
        }
        let value = Reader { scalars: Scalars { engine } }.value(kind, entry);
        given.insert(option.name, (entry.value.place().clone(), value));
    }
    // What was meant is not missing, only misspelled or not done yet.
    for (meant, place) in slips {
        given.entry(meant).or_insert((place, None));
    }
    Values { anchor, given }
}

/// What a key names.
enum Found {
    Option(&'static Opt, Kind),
    /// Nothing that can be used, but this option was meant.
    Slip(&'static str),
    Nothing,
}

/// Finds the option of a key; what cannot be used is noted.
fn find(table: &Table, entry: &Entry, notes: &Notes) -> Found {
    let (key, place) = (entry.key.value.as_str(), &entry.key.place);
    let Some(option) = table.options.iter().find(|option| option.name.eq_ignore_ascii_case(key)) else {
        if key.starts_with("packer_") {
            let message = format!("`{key}` has no effect");
            notes.add(Diagnostic::warning(place, message).help("Keys that begin with packer_ are Packer's own."));
            return Found::Nothing;
        }
        let near = nearest(key, table.options.iter().filter(|option| option.kind.is_some()).map(|option| option.name));
        let help = match near {
            Some(near) => format!("Did you mean `{near}`?"),
            None if key.starts_with('_') => "Comments may stand at the root of the template only.".to_owned(),
            None => "Remove it.".to_owned(),
        };
        let message = format!("`{key}` is not an option of {}", table.owner);
        notes.add(Diagnostic::error(place, message).label("nobody knows this option").help(help));
        return near.map_or(Found::Nothing, Found::Slip);
    };
    match option.kind {
        Some(kind) => Found::Option(option, kind),
        None => {
            let message = format!("`{}` is an option of {} that Bakehouse does not do yet", option.name, table.owner);
            notes.add(Diagnostic::error(place, message).label(format!("in Packer: {}", option.does)).help(
                "Remove it if the build can do without; it is refused because ignoring it would change what you get.",
            ));
            Found::Slip(option.name)
        }
    }
}

struct Reader<'a> {
    scalars: Scalars<'a>,
}

impl Reader<'_> {
    fn value(&self, kind: Kind, entry: &Entry) -> Option<Value> {
        let (node, scalars) = (&entry.value, self.scalars);
        let engine = scalars.engine;
        Some(match kind {
            Kind::Text => Value::Text(scalars.text(node)?),
            Kind::Late(fields) => {
                let raw = scalars.raw(node)?;
                Value::Late(At { value: engine.late(&raw, fields)?, place: raw.place })
            }
            Kind::Integer => Value::Integer(scalars.integer(node)?),
            Kind::Bool => Value::Bool(scalars.bool(node)?),
            Kind::Texts => Value::Texts(self.texts(node)?),
            Kind::Lates(fields) => {
                let elements = self.late_elements(node, fields)?;
                Value::Lates(all(elements
                    .into_iter()
                    .map(|text| engine.late(&text, fields).map(|value| At { value, place: text.place.clone() })))?)
            }
            Kind::Integers => Value::Integers(match node {
                Node::List(list) => all(list.value.iter().map(|element| scalars.integer(element)))?,
                Node::Text(text) => {
                    all(scalars.commas(text).into_iter().map(|part| scalars.integer(&Node::Text(part))))?
                }
                other => vec![scalars.integer(other)?],
            }),
            Kind::Pairs => {
                let early = |text: Text| engine.early(&text).map(|value| At { value, place: text.place });
                Value::Pairs(all(scalars.pairs(node)?.into_iter().map(|(k, v)| Some((early(k)?, early(v)?))))?)
            }
            Kind::LatePairs(fields) => {
                let late = |text: Text| engine.late(&text, fields).map(|value| At { value, place: text.place });
                let pairs = scalars.pairs(node)?.into_iter().map(|(k, v)| match (late(k), late(v)) {
                    (Some(key), Some(value)) => Some((key, value)),
                    _ => None,
                });
                Value::LatePairs(all(pairs)?)
            }
            Kind::Rows => {
                let Node::List(rows) = node else {
                    scalars.wrong(node, "a list of lists", "Write [[\"…\", \"…\", \"…\"], …]");
                    return None;
                };
                let rows = rows.value.iter().map(|row| self.texts(row).map(|texts| At::new(texts, row.place())));
                Value::Rows(all(rows)?)
            }
            Kind::Duration => Value::Duration(self.duration(node)?),
            Kind::Block(table) => {
                let Node::Map(map) = node else {
                    scalars.wrong(node, "an object", "Write an object: {\"…\": …}");
                    return None;
                };
                Value::Block(self.block(table, map, entry.key.place.clone()))
            }
            Kind::Blocks(table) => match node {
                Node::Map(map) => Value::Blocks(vec![self.block(table, map, map.opening())]),
                Node::List(list) => Value::Blocks(all(list.value.iter().map(|element| match element {
                    Node::Map(map) => Some(self.block(table, map, map.opening())),
                    other => {
                        scalars.wrong(other, "an object", "Write an object: {\"…\": …}");
                        None
                    }
                }))?),
                other => {
                    scalars.wrong(other, "a list of objects", "Write a list: [{\"…\": …}]");
                    return None;
                }
            },
        })
    }

    fn block(&self, table: &Table, map: &Map, anchor: Place) -> Values {
        read(table, map, &[], anchor, self.scalars.engine)
    }

    /// Lists that are known early. A lone text is rendered first and then split: `"{{user `accounts`}}"`.
    fn texts(&self, node: &Node) -> Option<Vec<At<String>>> {
        let engine = self.scalars.engine;
        if let Node::Text(text) = node {
            let rendered = At { value: engine.early(text)?, place: text.place.clone() };
            if rendered.value == text.value {
                let parts = self.scalars.commas(text).into_iter();
                return Some(parts.map(|part| At { value: part.value, place: part.place }).collect());
            }
            let value = rendered.value.as_str();
            let parts = value.split(',').filter(|_| !value.is_empty());
            return Some(parts.map(|part| At::new(part.to_owned(), &rendered.place)).collect());
        }
        let elements = self.scalars.elements(node)?;
        all(elements.into_iter().map(|text| engine.early(&text).map(|value| At { value, place: text.place })))
    }

    /// Lists of late text. A provisioner's lone text is worked out before it is split, a builder's after.
    fn late_elements(&self, node: &Node, fields: crate::known::Fields) -> Option<Vec<Text>> {
        match node {
            Node::Text(text) if self.scalars.engine.site == Site::Provisioner && text.value.contains("{{") => {
                let late = self.scalars.engine.late(text, fields)?;
                if late.0 == text.value || late.0.contains("{{") {
                    return Some(self.scalars.commas(text));
                }
                let known = Text { value: late.0, place: text.place.clone(), offsets: vec![(0, text.place.start)] };
                Some(self.scalars.commas(&known))
            }
            other => self.scalars.elements(other),
        }
    }

    fn duration(&self, node: &Node) -> Option<Millis> {
        const HELP: &str = "Write a number with its unit: \"300ms\", \"10s\", \"5m\", \"1h30m\".";
        let text = match node {
            Node::Text(_) => self.scalars.text(node)?,
            Node::Number(number) if number.value == "0" => number.clone(),
            Node::Number(number) => {
                let message = format!("{} has no unit", number.value);
                self.scalars.notes().add(
                    Diagnostic::error(&number.place, message)
                        .label("Packer would take it for nanoseconds")
                        .help(format!("Write \"{}s\" if you mean seconds.", number.value)),
                );
                return None;
            }
            other => {
                self.scalars.wrong(other, "a length of time", HELP);
                return None;
            }
        };
        match duration::parse(&text.value) {
            Ok(length) => Some(length),
            Err(why) => {
                self.scalars.notes().add(Diagnostic::error(&text.place, why).help(HELP));
                None
            }
        }
    }
}

/// All of them, or nothing; each is looked at, so that every mistake is noted.
fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.collect();
    read.into_iter().collect()
}
