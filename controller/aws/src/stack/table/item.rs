//! Reading an item's attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bakehouse_protocol::Timestamp;

/// An item: its attributes by name.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An attribute that is missing or of another type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the attribute \"{0}\" is missing or not as Bakehouse writes it")]
pub(super) struct InvalidAttribute(pub(super) &'static str);

pub(super) fn text<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, InvalidAttribute> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(InvalidAttribute(name)),
    }
}

pub(super) fn number(item: &Item, name: &'static str) -> Result<u64, InvalidAttribute> {
    match item.get(name) {
        Some(AttributeValue::N(digits)) => digits.parse().map_err(|_| InvalidAttribute(name)),
        _ => Err(InvalidAttribute(name)),
    }
}

pub(super) fn time(item: &Item, name: &'static str) -> Result<Timestamp, InvalidAttribute> {
    number(item, name).map(Timestamp)
}

pub(super) fn boolean(item: &Item, name: &'static str) -> Result<bool, InvalidAttribute> {
    match item.get(name) {
        Some(AttributeValue::Bool(boolean)) => Ok(*boolean),
        _ => Err(InvalidAttribute(name)),
    }
}

/// Returns a set of texts; a missing one is empty, as DynamoDB has no empty sets.
pub(super) fn texts(item: &Item, name: &'static str) -> Result<Vec<String>, InvalidAttribute> {
    match item.get(name) {
        None => Ok(Vec::new()),
        Some(AttributeValue::Ss(texts)) => Ok(texts.clone()),
        Some(_) => Err(InvalidAttribute(name)),
    }
}

/// Returns a value that is stored as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(item: &Item, name: &'static str) -> Result<T, InvalidAttribute> {
    serde_json::from_str(text(item, name)?).map_err(|_| InvalidAttribute(name))
}
