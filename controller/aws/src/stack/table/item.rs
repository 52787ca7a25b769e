//! Reading an item's attributes.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bakehouse_protocol::Timestamp;

/// An item: its attributes by name.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An item that is not as we write them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the attribute \"{0}\" is missing or not as Bakehouse writes it")]
pub(super) struct Damaged(pub(super) &'static str);

pub(super) fn text<'a>(item: &'a Item, name: &'static str) -> Result<&'a str, Damaged> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(Damaged(name)),
    }
}

pub(super) fn number(item: &Item, name: &'static str) -> Result<u64, Damaged> {
    match item.get(name) {
        Some(AttributeValue::N(digits)) => digits.parse().map_err(|_| Damaged(name)),
        _ => Err(Damaged(name)),
    }
}

pub(super) fn time(item: &Item, name: &'static str) -> Result<Timestamp, Damaged> {
    number(item, name).map(Timestamp)
}

pub(super) fn truth(item: &Item, name: &'static str) -> Result<bool, Damaged> {
    match item.get(name) {
        Some(AttributeValue::Bool(truth)) => Ok(*truth),
        _ => Err(Damaged(name)),
    }
}

/// A set of texts; one that is missing is empty, as DynamoDB keeps no empty sets.
pub(super) fn texts(item: &Item, name: &'static str) -> Result<Vec<String>, Damaged> {
    match item.get(name) {
        None => Ok(Vec::new()),
        Some(AttributeValue::Ss(texts)) => Ok(texts.clone()),
        Some(_) => Err(Damaged(name)),
    }
}

/// A value that is kept as JSON.
pub(super) fn json<T: serde::de::DeserializeOwned>(item: &Item, name: &'static str) -> Result<T, Damaged> {
    serde_json::from_str(text(item, name)?).map_err(|_| Damaged(name))
}
