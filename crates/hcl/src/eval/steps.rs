//! Attributes and elements of values. What is borrowed stays so: only the part that is used is ever copied.

use std::borrow::Cow;

use crate::{
    error::Fault,
    nearest::suggest,
    types::{DEFERRED, to_number, to_text},
    value::Value,
};

pub(super) fn attribute<'a>(value: Cow<'a, Value>, name: &str) -> Result<Cow<'a, Value>, Fault> {
    let found = match value {
        Cow::Borrowed(Value::Map(items)) => match items.get(name) {
            Some(item) => return Ok(Cow::Borrowed(item)),
            None => items.keys().map(String::as_str).take(500).collect::<Vec<_>>(),
        },
        Cow::Owned(Value::Map(mut items)) => match items.remove(name) {
            Some(item) => return Ok(Cow::Owned(item)),
            None => {
                let names: Vec<&str> = items.keys().map(String::as_str).take(500).collect();
                return Err(no_attribute(name, &names));
            }
        },
        other => return Err(no_attributes(&other, name)),
    };
    Err(no_attribute(name, &found))
}

fn no_attribute(name: &str, known: &[&str]) -> Fault {
    let mut fault = Fault::new(format!("there is no attribute {name}"));
    fault.help = suggest(name, known.iter().copied());
    fault
}

fn no_attributes(value: &Value, name: &str) -> Fault {
    match value {
        Value::Null => Fault::new(format!("this is null, so it has no attribute {name}")),
        Value::List(_) => Fault::new(format!("this is a list, so it has no attribute {name}"))
            .help(format!("Write [0].{name} for that of the first element, or [*].{name} for those of all.")),
        Value::Deferred(_) => Fault::new(DEFERRED),
        other => Fault::new(format!("this is {}, so it has no attribute {name}", other.kind())),
    }
}

pub(super) fn index<'a>(value: Cow<'a, Value>, key: &Value) -> Result<Cow<'a, Value>, Fault> {
    match &*value {
        Value::List(items) => {
            let number =
                to_number(key).map_err(|error| Fault::new(format!("the index of a list: {error}")).argument(1))?;
            let length = items.len();
            let Some(position) = number.to_usize().filter(|position| *position < length) else {
                return Err(out_of_range(&number.to_string(), length).argument(1));
            };
            Ok(match value {
                Cow::Borrowed(Value::List(items)) => Cow::Borrowed(&items[position]),
                Cow::Owned(Value::List(mut items)) => Cow::Owned(items.swap_remove(position)),
                other => other,
            })
        }
        Value::Map(_) => {
            let key = to_text(key).map_err(|error| Fault::new(format!("the key of a map: {error}")).argument(1))?;
            attribute(value, &key)
        }
        Value::Deferred(_) => Err(Fault::new(DEFERRED)),
        Value::Null => Err(Fault::new("this is null, so it has no elements")),
        other => Err(Fault::new(format!("this is {}, so it has no elements", other.kind()))),
    }
}

fn out_of_range(index: &str, length: usize) -> Fault {
    let fault = Fault::new(format!("there is no element {index}"));
    match length {
        0 => fault.help("The list is empty."),
        1 => fault.help("The list has one element, 0."),
        _ => fault.help(format!("The list has the elements 0 to {}.", length - 1)),
    }
}

/// Returns what a splat goes through: the elements of a list, nothing for null, else the value itself.
pub(super) fn splat(value: Cow<'_, Value>) -> Result<Vec<Cow<'_, Value>>, Fault> {
    Ok(match value {
        Cow::Borrowed(Value::List(items)) => items.iter().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::List(items)) => items.into_iter().map(Cow::Owned).collect(),
        value => match &*value {
            Value::Null => Vec::new(),
            Value::Deferred(_) => return Err(Fault::new(DEFERRED)),
            _ => vec![value],
        },
    })
}

/// Returns the keys and elements that a `for` goes through.
pub(super) fn entries(collection: Cow<'_, Value>) -> Result<Vec<(Value, Cow<'_, Value>)>, Fault> {
    Ok(match collection {
        Cow::Borrowed(Value::List(items)) => {
            items.iter().enumerate().map(|(i, item)| (Value::Number(i.into()), Cow::Borrowed(item))).collect()
        }
        Cow::Owned(Value::List(items)) => {
            items.into_iter().enumerate().map(|(i, item)| (Value::Number(i.into()), Cow::Owned(item))).collect()
        }
        Cow::Borrowed(Value::Map(items)) => {
            items.iter().map(|(key, item)| (Value::String(key.clone()), Cow::Borrowed(item))).collect()
        }
        Cow::Owned(Value::Map(items)) => {
            items.into_iter().map(|(key, item)| (Value::String(key), Cow::Owned(item))).collect()
        }
        other => match &*other {
            Value::Deferred(_) => return Err(Fault::new(DEFERRED)),
            other => return Err(Fault::new(format!("a list or a map is required, but this is {}", other.kind()))),
        },
    })
}
