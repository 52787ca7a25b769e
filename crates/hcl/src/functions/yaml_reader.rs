//! Reads YAML as Packer does: YAML 1.1's bools (`yes`, `off`) and YAML 1.2's numbers.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::{civil::DateTime, fmt::temporal::DateTimeParser};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::times::zone;
use crate::{
    budget::{Budget, MAX_VALUE_DEPTH},
    error::Fault,
    number::Number,
    types::to_text,
    value::Value,
};

/// A list or map that is not finished.
enum Open {
    List(Vec<Value>),
    Map {
        items: BTreeMap<String, Value>,
        /// The key whose value comes next.
        key: Option<Key>,
        /// The maps of `<<`, whose items come after all others.
        merged: Vec<Value>,
    },
}

enum Key {
    Named(String),
    Merge,
}

struct Reader<'a> {
    budget: &'a Budget,
    /// The lists and maps around the current place, with their anchors.
    open: Vec<(Open, usize)>,
    anchors: BTreeMap<usize, Value>,
    root: Option<Value>,
}

/// Returns the value of a text with one YAML document.
pub(super) fn decode(text: &str, budget: &Budget) -> Result<Value, Fault> {
    let mut reader = Reader { budget, open: Vec::new(), anchors: BTreeMap::new(), root: None };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Fault::new(format!("this is not YAML: {error}")))?;
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                return Err(Fault::new("the text has more than one YAML document"));
            }
        }
        reader.event(event).map_err(|fault| Fault {
            message: format!("line {} of the YAML: {}", span.start.line(), fault.message),
            ..fault
        })?;
    }
    Ok(reader.root.unwrap_or(Value::Null))
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
                if is_merge && let Some((Open::Map { key: key @ None, .. }, _)) = self.open.last_mut() {
                    *key = Some(Key::Merge);
                    return Ok(());
                }
                self.value(scalar(&text, style, tag)?, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => {
                self.begin(Open::Map { items: BTreeMap::new(), key: None, merged: Vec::new() }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((Open::List(items), anchor)) => self.value(Value::List(items), anchor),
                Some((Open::Map { mut items, merged, .. }, anchor)) => {
                    for map in merged {
                        merge(map, &mut items)?;
                    }
                    self.value(Value::Map(items), anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).ok_or("an alias refers to what contains it")?;
                self.budget.spend_value(value)?;
                self.value(value.clone(), 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), Fault> {
        if self.open.len() == MAX_VALUE_DEPTH {
            return Err(Fault::new(format!("the lists and maps are nested deeper than {MAX_VALUE_DEPTH} levels")));
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn value(&mut self, value: Value, anchor: usize) -> Result<(), Fault> {
        self.budget.spend(1)?;
        if anchor > 0 {
            self.budget.spend_value(&value)?;
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::List(items), _)) => items.push(value),
            Some((Open::Map { items, key, merged }, _)) => match key.take() {
                None => {
                    let text = to_text(&value).map_err(|error| Fault::new(format!("the key of a map: {error}")))?;
                    *key = Some(Key::Named(text.into_owned()));
                }
                Some(Key::Named(name)) => {
                    items.insert(name, value);
                }
                Some(Key::Merge) => merged.push(value),
            },
        }
        Ok(())
    }
}

/// Adds the items that are not there yet.
fn merge(map: Value, items: &mut BTreeMap<String, Value>) -> Result<(), Fault> {
    match map {
        Value::Map(map) => {
            for (key, value) in map {
                items.entry(key).or_insert(value);
            }
            Ok(())
        }
        Value::List(maps) => maps.into_iter().try_for_each(|map| merge(map, items)),
        _ => Err(Fault::new("<< takes a map or a list of maps")),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<Cow<'_, Tag>>) -> Result<Value, Fault> {
    let tag =
        tag.map(
            |tag| {
                if tag.is_yaml_core_schema() { tag.suffix.clone() } else { format!("{}{}", tag.handle, tag.suffix) }
            },
        );
    let wrong = |kind: &str| Fault::new(format!("{text:?} is no {kind}"));
    match tag.as_deref() {
        None if style == ScalarStyle::Plain => Ok(plain(text)),
        None | Some("str" | "binary") => Ok(text.into()),
        Some("null") => Ok(Value::Null),
        Some("bool") => bool_of(text).map(Value::Bool).ok_or_else(|| wrong("bool")),
        Some("int" | "float") => number_of(text).map(Value::Number).ok_or_else(|| wrong("number")),
        Some("timestamp") => time_of(text).map(Value::String).ok_or_else(|| wrong("time")),
        Some(other) => Err(Fault::new(format!("the tag {other} is not supported"))),
    }
}

fn plain(text: &str) -> Value {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    if let Some(yes) = bool_of(text) {
        return Value::Bool(yes);
    }
    // A time is a string, as HCL has no type for it.
    if let Some(time) = time_of(text) {
        return Value::String(time);
    }
    number_of(text).map_or_else(|| text.into(), Value::Number)
}

fn bool_of(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number_of(text: &str) -> Option<Number> {
    let radix = |digits: &str, base| u64::from_str_radix(digits, base).ok().map(Number::from);
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    // What begins or ends with the point lacks a zero.
    let (sign, unsigned) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { "-" } else { "" }, rest),
        None => ("", text),
    };
    let zero = if unsigned.starts_with('.') { "0" } else { "" };
    format!("{sign}{zero}{unsigned}").parse().ok()
}

/// Returns a time by RFC 3339. It is one of the forms that Packer's package takes for a time (go-cty-yaml,
/// `resolve.go`): with a zone after `T`, without one after a blank, or a date alone.
fn time_of(text: &str) -> Option<String> {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    if year != 4 || text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    let (date, time) = text.split_at_checked(10)?;
    if time.starts_with(['T', 't']) {
        let (zone, offset) = zone(text)?;
        DateTimeParser::new().parse_timestamp(text).ok()?;
        // Another zone than UTC is kept as it is written.
        let zone = if offset.is_zero() { "Z" } else { zone };
        return Some(format!("{date}T{}{zone}", time.get(1..9)?));
    }
    // The parser takes offsets and shorter times, too.
    if !time.is_empty() && (time.matches(':').count() != 2 || time.contains(['+', '-', '['])) {
        return None;
    }
    let civil: DateTime = text.parse().ok()?;
    Some(format!("{}Z", civil.strftime("%Y-%m-%dT%H:%M:%S")))
}
