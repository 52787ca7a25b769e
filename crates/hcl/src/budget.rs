//! How much work and memory the evaluation of one template may take.

use std::cell::Cell;

use crate::{error::Fault, value::Value};

/// The deepest nesting of a value: lists and maps in each other.
pub const MAX_VALUE_DEPTH: usize = 64;

/// The work of an [`Evaluator`](crate::Evaluator), in units of one expression, one element of a list, or 32 bytes of
/// text.
///
/// One budget is meant for all expressions of a template, so that no chain of definitions, each small, grows without
/// end.
#[derive(Debug)]
pub struct Budget {
    left: Cell<u64>,
}

impl Budget {
    /// About a second of work and at most some hundred megabytes: a thousand times what large templates take.
    pub const DEFAULT: u64 = 4_000_000;

    /// A budget of so many units.
    pub fn new(units: u64) -> Self {
        Self { left: Cell::new(units) }
    }

    /// Whether no more can be taken.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// Takes units.
    pub(crate) fn spend(&self, units: usize) -> Result<(), Fault> {
        match self.left.get().checked_sub(units as u64) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.left.set(0);
                Err(Fault::new("evaluating the template takes too long or yields too much")
                    .help("Use smaller lists and texts, or fewer nested loops."))
            }
        }
    }

    /// Takes the units of a text of so many bytes.
    pub(crate) fn spend_text(&self, bytes: usize) -> Result<(), Fault> {
        self.spend(bytes / 32 + 1)
    }

    /// Takes the units of a value.
    pub(crate) fn spend_value(&self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.spend(1),
            Value::String(text) | Value::Deferred(text) => self.spend_text(text.len()),
            Value::List(items) => {
                self.spend(1)?;
                items.iter().try_for_each(|item| self.spend_value(item))
            }
            Value::Map(items) => {
                self.spend(1)?;
                items.iter().try_for_each(|(key, item)| {
                    self.spend_text(key.len())?;
                    self.spend_value(item)
                })
            }
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}
