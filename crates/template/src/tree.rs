//! Values with places: what every template language is read into.

use std::sync::Arc;

use crate::source::{Place, Source};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, place: &Place) -> Self {
        Self { value, place: place.clone() }
    }
}

/// A value of a template.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Null(Place),
    Bool(At<bool>),
    /// A number as it is written.
    Number(At<String>),
    Text(Text),
    List(At<Vec<Node>>),
    Map(Map),
}

/// Named values in the template's order; no name comes twice.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) entries: Vec<Entry>,
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Text,
    pub(crate) value: Node,
}

/// Text that knows where each of its bytes is written, escapes notwithstanding.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// The literal, quotes included.
    pub(crate) place: Place,
    /// From (byte of `value`) on, the bytes stand from (byte of the source) on, one to one until the next entry.
    pub(crate) offsets: Vec<(usize, usize)>,
}

impl Text {
    /// Text that is in no file, such as a value from the command line.
    pub(crate) fn loose(name: &str, value: &str) -> Self {
        let source = Arc::new(Source::new(name, value));
        let place = Place { source, start: 0, end: value.len() };
        Self { value: value.to_owned(), place, offsets: vec![(0, 0)] }
    }

    fn offset(&self, at: usize) -> usize {
        let piece = self.offsets.iter().rev().find(|(from, _)| *from <= at);
        let (from, source) = piece.copied().unwrap_or((0, self.place.start));
        (source + (at - from)).min(self.place.end)
    }

    /// Where a part of the text is written.
    pub(crate) fn part(&self, start: usize, end: usize) -> Place {
        let from = self.offset(start);
        // The end of the last byte, not the start of the next: an escape may lie between.
        let to = if end > start { self.offset(end - 1) + 1 } else { from };
        let text = self.place.source.text();
        let to = (to.max(from)..=self.place.end).find(|at| text.is_char_boundary(*at)).unwrap_or(self.place.end);
        Place { source: self.place.source.clone(), start: from, end: to }
    }

    /// A part as a text of its own.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Self {
        let inside = self.offsets.iter().filter(|(from, _)| (start + 1..end).contains(from));
        let offsets = std::iter::once((0, self.offset(start)))
            .chain(inside.map(|(from, source)| (from - start, *source)))
            .collect();
        let value = self.value.get(start..end).unwrap_or("").to_owned();
        Self { value, place: self.part(start, end), offsets }
    }
}

impl Node {
    pub(crate) fn place(&self) -> &Place {
        match self {
            Self::Null(place) => place,
            Self::Bool(at) => &at.place,
            Self::Number(at) => &at.place,
            Self::Text(text) => &text.place,
            Self::List(at) => &at.place,
            Self::Map(map) => &map.place,
        }
    }

    /// The kind in a message, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null(_) => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }
}

impl Map {
    /// The value of exactly this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.value == key)
    }

    /// Its first character: where a message about something missing points.
    pub(crate) fn opening(&self) -> Place {
        Place { end: (self.place.start + 1).min(self.place.end), ..self.place.clone() }
    }
}
