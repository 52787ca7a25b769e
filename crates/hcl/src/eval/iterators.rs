//! The names of a `for`, in front of those around it.

use std::borrow::Cow;

use crate::{scope::Scope, value::Value};

pub(super) struct Iterators<'a> {
    pub(super) outer: &'a dyn Scope,
    pub(super) key: Option<(&'a str, &'a Value)>,
    pub(super) value: (&'a str, &'a Value),
}

impl Scope for Iterators<'_> {
    fn variable(&self, name: &str) -> Option<Cow<'_, Value>> {
        match self.key {
            _ if name == self.value.0 => Some(Cow::Borrowed(self.value.1)),
            Some((key, value)) if name == key => Some(Cow::Borrowed(value)),
            _ => self.outer.variable(name),
        }
    }

    fn names(&self) -> Vec<&str> {
        let mut names = vec![self.value.0];
        names.extend(self.key.map(|(name, _)| name));
        names.extend(self.outer.names());
        names
    }

    fn missing(&self, path: &[&str]) -> Option<(String, Option<String>)> {
        self.outer.missing(path)
    }
}
