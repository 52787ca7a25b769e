//! The arguments of a call, and their conversion to what a function takes.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    budget::Budget,
    error::Fault,
    number::Number,
    scope::Outside,
    types::{required, to_bool, to_number, to_text},
    value::Value,
};

/// The arguments of a call. Where a fault names no argument, it is about all of them.
pub(crate) struct Arguments<'a> {
    values: &'a [Cow<'a, Value>],
    pub(super) outside: &'a dyn Outside,
    pub(super) budget: &'a Budget,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(values: &'a [Cow<'a, Value>], outside: &'a dyn Outside, budget: &'a Budget) -> Self {
        Self { values, outside, budget }
    }

    /// Takes the units of reading the arguments.
    pub(super) fn spend(&self) -> Result<(), Fault> {
        for value in self.values {
            let size = match &**value {
                Value::String(text) | Value::Deferred(text) => text.len() / 32,
                Value::List(items) => items.len() / 8,
                Value::Map(items) => items.len() / 8,
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            };
            self.budget.spend(size + 1)?;
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Returns an argument as it is; null if it is not given.
    pub(super) fn value(&self, index: usize) -> &'a Value {
        self.values.get(index).map_or(&Value::Null, |value| value)
    }

    /// Returns an argument that must not be null.
    pub(super) fn present(&self, index: usize) -> Result<&'a Value, Fault> {
        match self.value(index) {
            Value::Null => Err(Fault::new("this must not be null").argument(index)),
            value => Ok(value),
        }
    }

    /// Returns the arguments from this one on, as they are, with their index.
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

    /// Returns an integer that is not negative.
    pub(super) fn count(&self, index: usize) -> Result<usize, Fault> {
        let number = self.integer(index)?;
        usize::try_from(number).map_err(|_| Fault::new(format!("{number} is below 0")).argument(index))
    }

    pub(super) fn list(&self, index: usize) -> Result<&'a [Value], Fault> {
        match self.value(index) {
            Value::List(items) => Ok(items),
            other => Err(Fault::new(required("a list", other)).argument(index)),
        }
    }

    pub(super) fn map(&self, index: usize) -> Result<&'a BTreeMap<String, Value>, Fault> {
        match self.value(index) {
            Value::Map(items) => Ok(items),
            other => Err(Fault::new(required("a map", other)).argument(index)),
        }
    }

    /// Returns the texts of a list of strings.
    pub(super) fn texts(&self, index: usize) -> Result<Vec<Cow<'a, str>>, Fault> {
        let texts = self.list(index)?.iter().enumerate().map(|(i, item)| {
            to_text(item).map_err(|error| Fault::new(format!("element {i}: {error}")).argument(index))
        });
        texts.collect()
    }

    /// Returns the bools of a list of bools; null is none.
    pub(super) fn bools(&self, index: usize) -> Result<Vec<Option<bool>>, Fault> {
        let bools = self.list(index)?.iter().enumerate().map(|(i, item)| match item {
            Value::Null => Ok(None),
            item => {
                to_bool(item).map(Some).map_err(|error| Fault::new(format!("element {i}: {error}")).argument(index))
            }
        });
        bools.collect()
    }

    /// Returns a list as HCL makes one of a tuple: all elements converted to one type, if they can be.
    pub(super) fn uniform(&self, index: usize) -> Result<Vec<Value>, Fault> {
        let items = self.list(index)?;
        items.iter().try_for_each(|item| self.budget.spend_value(item))?;
        unified(items.to_vec(), index)
    }
}

/// Converts all elements to one type.
pub(super) fn unified(items: Vec<Value>, argument: usize) -> Result<Vec<Value>, Fault> {
    let of = crate::types::Type::List(Box::new(crate::types::Type::Any));
    match of.convert(Value::List(items)) {
        Ok(Value::List(items)) => Ok(items),
        Ok(other) => Ok(vec![other]),
        Err(error) => Err(Fault::new(error.to_string()).argument(argument)),
    }
}
