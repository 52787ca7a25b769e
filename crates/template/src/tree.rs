//! Values with their locations: the form that every template language is parsed into.

use std::sync::Arc;

use crate::source::{Location, SourceText};

/// A value and its location.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) location: Location,
}

impl<T> Located<T> {
    pub(crate) fn new(value: T, location: &Location) -> Self {
        Self { value, location: location.clone() }
    }
}

/// A value of a template.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Null(Location),
    Bool(Located<bool>),
    /// A number as it is written.
    Number(Located<String>),
    String(SourceString),
    List(Located<Vec<Node>>),
    Map(Map),
    /// A value that could not be evaluated. Why has been reported.
    Invalid(Location),
}

/// An object, in the template's order; every key is unique.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
    pub(crate) location: Location,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: SourceString,
    pub(crate) value: Node,
}

/// A string that maps its bytes to those of the source, where escapes make it longer.
#[derive(Clone, Debug)]
pub(crate) struct SourceString {
    pub(crate) value: String,
    /// The literal, quotes included.
    pub(crate) location: Location,
    /// Pairs of an offset in `value` and one in the source: from there on they correspond byte by byte until the next
    /// pair.
    pub(crate) offsets: Vec<(usize, usize)>,
}

impl SourceString {
    /// Returns a string that is not in a file, such as a value from the command line.
    pub(crate) fn without_file(name: &str, value: &str) -> Self {
        let source = Arc::new(SourceText::new(name, value));
        let location = Location::new(&source, 0..value.len());
        Self { value: value.to_owned(), location, offsets: vec![(0, 0)] }
    }

    fn offset(&self, at: usize) -> usize {
        let pair = self.offsets.iter().rev().find(|(from, _)| *from <= at);
        let (from, source) = pair.copied().unwrap_or((0, self.location.start));
        (source + (at - from)).min(self.location.end)
    }

    /// Returns the location of a part of the string.
    pub(crate) fn part(&self, start: usize, end: usize) -> Location {
        let from = self.offset(start);
        // The end of the last byte, not the start of the next: there may be an escape between them.
        let to = if end > start { self.offset(end - 1) + 1 } else { from };
        let text = self.location.source.text();
        let to = (to.max(from)..=self.location.end).find(|at| text.is_char_boundary(*at)).unwrap_or(self.location.end);
        Location::new(&self.location.source, from..to)
    }

    /// Returns the string with a part of it replaced.
    pub(crate) fn with(&self, start: usize, end: usize, new: &str) -> Self {
        let after = |at: usize| at - end + start + new.len();
        let before = self.offsets.iter().filter(|(from, _)| *from <= start).copied();
        let behind = self.offsets.iter().filter(|(from, _)| *from > end).map(|(from, source)| (after(*from), *source));
        let offsets = before.chain(std::iter::once((after(end), self.offset(end)))).chain(behind).collect();
        let (head, tail) = (self.value.get(..start).unwrap_or(""), self.value.get(end..).unwrap_or(""));
        Self { value: format!("{head}{new}{tail}"), location: self.location.clone(), offsets }
    }

    /// Returns a part of the string.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Self {
        let inside = self.offsets.iter().filter(|(from, _)| (start + 1..end).contains(from));
        let offsets = std::iter::once((0, self.offset(start)))
            .chain(inside.map(|(from, source)| (from - start, *source)))
            .collect();
        let value = self.value.get(start..end).unwrap_or("").to_owned();
        Self { value, location: self.part(start, end), offsets }
    }
}

impl Node {
    pub(crate) fn location(&self) -> &Location {
        match self {
            Self::Null(location) | Self::Invalid(location) => location,
            Self::Bool(at) => &at.location,
            Self::Number(at) => &at.location,
            Self::String(text) => &text.location,
            Self::List(at) => &at.location,
            Self::Map(map) => &map.location,
        }
    }

    /// The name of its type in messages, with an article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null(_) => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
            Self::Invalid(_) => "an invalid value",
        }
    }
}

/// Returns all items, or `None` if one is `None`. Every item is evaluated, so that all errors are reported.
pub(crate) fn all<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = items.collect();
    read.into_iter().collect()
}

impl Map {
    /// Returns the entry of exactly this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// Returns the location for messages about something missing: its brace, or in HCL the type of its block.
    pub(crate) fn opening(&self) -> Location {
        if !self.location.source.text().get(self.location.start..).is_some_and(|text| text.starts_with('{')) {
            return self.location.clone();
        }
        Location { end: (self.location.start + 1).min(self.location.end), ..self.location.clone() }
    }
}
