//! The arguments of a call, and their conversion to what a function takes.

use std::borrow::Cow;

use crate::{
    budget::Budget,
    error::Fault,
    number::Number,
    scope::Outside,
    types::{to_bool, to_number, to_text},
    value::Value,
};

/// The arguments of a call. Where an error names no argument, it is about all of them.
pub(crate) struct Arguments<'a> {
    values: &'a [Cow<'a, Value>],
    pub(super) outside: &'a dyn Outside,
    pub(super) budget: &'a Budget,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(values: &'a [Cow<'a, Value>], outside: &'a dyn Outside, budget: &'a Budget) -> Self {
        Self { values, outside, budget }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns an argument as it is; null if it is not given.
    pub(super) fn value(&self, index: usize) -> &'a Value {
        self.values.get(index).map_or(&Value::Null, |value| value)
    }

    /// Returns the arguments from this one on, as they are.
    pub(super) fn rest(&self, start: usize) -> impl Iterator<Item = (usize, &'a Value)> {
        self.values.iter().enumerate().skip(start).map(|(i, value)| (i, &**value))
    }

    pub(super) fn text(&self, index: usize) -> Result<Cow<'a, str>, Fault> {
        to_text(self.value(index)).map_err(|error| Fault::new(error).argument(index))
    }

    pub(super) fn number(&self, index: usize) -> Result<Cow<'a, Number>, Fault> {
        to_number(self.value(index)).map_err(|error| Fault::new(error).argument(index))
    }

    pub(super) fn integer(&self, index: usize) -> Result<i64, Fault> {
        let number = self.number(index)?;
        number
            .to_i64()
            .ok_or_else(|| Fault::new(format!("an integer is required, but this is {number}")).argument(index))
    }

    pub(super) fn bool(&self, index: usize) -> Result<bool, Fault> {
        to_bool(self.value(index)).map_err(|error| Fault::new(error).argument(index))
    }

    pub(super) fn list(&self, index: usize) -> Result<&'a [Value], Fault> {
        match self.value(index) {
            Value::List(items) => Ok(items),
            other => Err(required("a list", other).argument(index)),
        }
    }

    /// Returns the texts of a list of strings.
    pub(super) fn texts(&self, index: usize) -> Result<Vec<Cow<'a, str>>, Fault> {
        let texts = self.list(index)?.iter().enumerate().map(|(i, item)| {
            to_text(item).map_err(|error| Fault::new(format!("element {i}: {error}")).argument(index))
        });
        texts.collect()
    }
}

/// Returns the fault of a value that is not what is required.
pub(super) fn required(wanted: &str, value: &Value) -> Fault {
    match value {
        Value::Deferred(_) => Fault::new(crate::types::DEFERRED),
        other => Fault::new(format!("{wanted} is required, but this is {}", other.kind())),
    }
}
