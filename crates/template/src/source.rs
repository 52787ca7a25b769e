//! The text of a file, and locations in it.

use std::{fmt, ops::Range, sync::Arc};

/// The text of a file or of another source, with its name.
pub(crate) struct SourceText {
    name: String,
    text: String,
    /// The first byte of each line; computed once, because a template may have very many mistakes.
    line_starts: Vec<usize>,
}

impl SourceText {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name: name.to_owned(), text: text.to_owned(), line_starts }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the line, from 0, that a byte is in.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Returns the bytes of a line, without its line break; `None` after the last line.
    pub(crate) fn line(&self, line: usize) -> Option<Range<usize>> {
        let start = *self.line_starts.get(line)?;
        let end = self.line_starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let text = self.text.get(start..end)?;
        Some(start..start + text.strip_suffix('\r').unwrap_or(text).len())
    }

    /// Returns the last character boundary at or before `at`.
    pub(crate) fn boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }
}

/// A range of bytes in a source text.
#[derive(Clone)]
pub(crate) struct Location {
    pub(crate) source: Arc<SourceText>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}..{}", self.source.name, self.start, self.end)
    }
}

impl Location {
    pub(crate) fn new(source: &Arc<SourceText>, range: Range<usize>) -> Self {
        Self { source: source.clone(), start: range.start, end: range.end }
    }

    /// Returns its line and column, both from 1, in characters.
    pub(crate) fn line_column(&self) -> (usize, usize) {
        let at = self.source.boundary(self.start);
        let line = self.source.line_of(at);
        let start = self.source.line_starts.get(line).copied().unwrap_or_default();
        let column = self.source.text.get(start..at).map_or(0, |before| before.chars().count());
        (line + 1, column + 1)
    }

    /// Returns its line, from 1, for a message that mentions a second location.
    pub(crate) fn line(&self) -> usize {
        self.source.line_of(self.start) + 1
    }

    /// Returns where it is, for a message about another location: `on line 3`, or `in b.pkr.hcl, line 3`.
    pub(crate) fn beside(&self, other: &Self) -> String {
        let line = self.line();
        match self.source.name() {
            name if name == other.source.name() => format!("on line {line}"),
            name => format!("in {name}, line {line}"),
        }
    }
}
