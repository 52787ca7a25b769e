//! A named text, and places in it.

use std::{fmt, ops::Range, sync::Arc};

/// A text with its name, and where its lines begin.
pub(crate) struct Source {
    name: String,
    text: String,
    /// The first byte of each line; worked out once, because a template may have very many mistakes.
    starts: Vec<usize>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.to_owned(), text: text.to_owned(), starts }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the line, from 0, in which a byte stands.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Returns the bytes of a line, without what ends it; `None` behind the last line.
    pub(crate) fn line(&self, line: usize) -> Option<Range<usize>> {
        let start = *self.starts.get(line)?;
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let text = self.text.get(start..end)?;
        Some(start..start + text.strip_suffix('\r').unwrap_or(text).len())
    }

    /// Returns the nearest place at or before `at` that is not inside a character.
    pub(crate) fn boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

/// A range of bytes in a named text.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) source: Arc<Source>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.source.name, self.start, self.end)
    }
}

impl Place {
    /// Returns line and column, from 1, in characters.
    pub(crate) fn line_column(&self) -> (usize, usize) {
        let at = self.source.boundary(self.start);
        let line = self.source.line_of(at);
        let start = self.source.starts.get(line).copied().unwrap_or_default();
        let column = self.source.text.get(start..at).map_or(0, |before| before.chars().count());
        (line + 1, column + 1)
    }

    /// Returns its line, from 1, for a message that speaks of a second place.
    pub(crate) fn line(&self) -> usize {
        self.source.line_of(self.start) + 1
    }
}
