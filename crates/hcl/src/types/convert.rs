//! The conversion of a value to a type, by HCL's rules: numbers and bools become text and back, nothing else changes
//! its kind.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    shape::{Attribute, Type},
    unify::unify,
};
use crate::{number::Number, value::Value};

/// A value that is not of a type and can't be converted to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ConvertError {
    /// The part of the value, as it is written after the value's name: `[0].name`; empty if it is the whole.
    pub path: String,
    /// What is wrong: `a number is required, but this is a list`.
    pub message: String,
}

impl ConvertError {
    fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    fn within(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }
}

impl Type {
    /// Converts a value.
    ///
    /// # Errors
    /// The part that can't be converted.
    pub fn convert(&self, value: Value) -> Result<Value, ConvertError> {
        match (self, value) {
            (_, Value::Null) => Ok(Value::Null),
            (Self::Any, value) => Ok(value),
            (Self::String, value @ Value::Deferred(_)) => Ok(value),
            (Self::String, value) => {
                to_text(&value).map(|text| Value::String(text.into_owned())).map_err(ConvertError::new)
            }
            (Self::Number, value) => {
                to_number(&value).map(|n| Value::Number(n.into_owned())).map_err(ConvertError::new)
            }
            (Self::Bool, value) => to_bool(&value).map(Value::Bool).map_err(ConvertError::new),
            (Self::List(of), Value::List(items)) => convert_items(of, items).map(Value::List),
            (Self::Set(of), Value::List(items)) => {
                let mut items = convert_items(of, items)?;
                items.sort();
                items.dedup();
                Ok(Value::List(items))
            }
            (Self::Map(of), Value::Map(items)) => convert_map(of, items).map(Value::Map),
            (Self::Tuple(types), Value::List(items)) if types.len() == items.len() => {
                let items = types.iter().zip(items).enumerate();
                let items =
                    items.map(|(i, (of, item))| of.convert(item).map_err(|error| error.within(&format!("[{i}]"))));
                items.collect::<Result<_, _>>().map(Value::List)
            }
            (Self::Tuple(types), Value::List(items)) => Err(ConvertError::new(format!(
                "a list of {} elements is required, but this has {}",
                types.len(),
                items.len()
            ))),
            (Self::Object(attributes), Value::Map(items)) => convert_object(attributes, items).map(Value::Map),
            (Self::List(_) | Self::Set(_) | Self::Tuple(_), other) => Err(wrong_kind("a list", &other)),
            (Self::Map(_) | Self::Object(_), other) => Err(wrong_kind("a map", &other)),
        }
    }
}

fn wrong_kind(required: &str, value: &Value) -> ConvertError {
    ConvertError::new(format!("{required} is required, but this is {}", value.kind()))
}

/// Returns the type of the elements: if any will do, the one that all can be converted to.
fn element_type<'a>(of: &'a Type, items: impl Iterator<Item = &'a Value>) -> Result<Cow<'a, Type>, ConvertError> {
    if *of != Type::Any {
        return Ok(Cow::Borrowed(of));
    }
    let types: Vec<Type> = items.map(Type::of).collect();
    unify(&types).map(Cow::Owned).ok_or_else(|| ConvertError::new("all elements must be of the same type"))
}

fn convert_items(of: &Type, items: Vec<Value>) -> Result<Vec<Value>, ConvertError> {
    let of = element_type(of, items.iter())?.into_owned();
    let items = items.into_iter().enumerate();
    items.map(|(i, item)| of.convert(item).map_err(|error| error.within(&format!("[{i}]")))).collect()
}

fn convert_map(of: &Type, items: BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, ConvertError> {
    let of = element_type(of, items.values())?.into_owned();
    let converted = items.into_iter().map(|(key, item)| match of.convert(item) {
        Ok(item) => Ok((key, item)),
        Err(error) => Err(error.within(&format!("[{key:?}]"))),
    });
    converted.collect()
}

/// Attributes that the type does not have are dropped, as HCL does.
fn convert_object(
    attributes: &BTreeMap<String, Attribute>,
    mut items: BTreeMap<String, Value>,
) -> Result<BTreeMap<String, Value>, ConvertError> {
    let converted = attributes.iter().map(|(name, Attribute { of, default })| {
        let value = match (items.remove(name), default) {
            (None | Some(Value::Null), Some(default)) => default.clone(),
            (Some(value), _) => value,
            (None, None) => return Err(ConvertError::new(format!("the attribute {name} is required"))),
        };
        let value = of.convert(value).map_err(|error| error.within(&format!(".{name}")))?;
        Ok((name.clone(), value))
    });
    converted.collect()
}

/// Returns what is wrong with a value that is not what is required: `a list`.
pub(crate) fn required(wanted: &str, value: &Value) -> String {
    match value {
        Value::Deferred(_) => DEFERRED.to_owned(),
        other => format!("{wanted} is required, but this is {}", other.kind()),
    }
}

/// What is wrong with using a [`Value::Deferred`] for anything but text.
pub(crate) const DEFERRED: &str = "this is known only while the build runs, so it can only be put into text: \"${…}\"";

/// Returns the text of a string, number or bool.
pub(crate) fn to_text(value: &Value) -> Result<Cow<'_, str>, String> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        Value::Bool(yes) => Ok(Cow::Borrowed(if *yes { "true" } else { "false" })),
        other => Err(required("a string", other)),
    }
}

/// Returns the number of a number or of a string that holds one.
pub(crate) fn to_number(value: &Value) -> Result<Cow<'_, Number>, String> {
    match value {
        Value::Number(number) => Ok(Cow::Borrowed(number)),
        Value::String(text) => {
            text.parse().map(Cow::Owned).map_err(|error| format!("a number is required, but {error}"))
        }
        other => Err(required("a number", other)),
    }
}

/// Returns the bool of a bool or of a string that holds one.
pub(crate) fn to_bool(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(yes) => Ok(*yes),
        Value::String(text) => match text.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("a bool is required, but this is the string {other:?}; write true or false")),
        },
        other => Err(required("a bool", other)),
    }
}
