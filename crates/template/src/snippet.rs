//! The part of a source text that is shown with a diagnostic. A template may be one line of megabytes, and a mistake
//! may be about a list of a thousand lines: miette gets a few hundred bytes around the location, and the location's
//! line and column in the whole text.

use std::{borrow::Cow, ops::Range};

use bakehouse_protocol::mask::Mask;
use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::source::{Location, SourceText};

/// How many bytes of a line are shown.
const MAX_WIDTH: usize = 200;
/// How many of them are before the location.
const BEFORE: usize = 80;
/// How many lines of a longer location are shown.
const MAX_LINES: usize = 4;
/// Replaces the part of a line that is not shown.
const ELLIPSIS: char = '…';

/// A few lines of a text around a location.
#[derive(Clone, Debug)]
pub(crate) struct Snippet {
    name: String,
    text: String,
    /// The part of `text` that the location covers.
    marked: Range<usize>,
    /// The number of the first line of `text` in the whole text, from 0.
    first_line: usize,
    /// The line and column of the location in the whole text, from 0.
    position: (usize, usize),
}

impl Snippet {
    pub(crate) fn of(location: &Location) -> Self {
        let source = &location.source;
        let start = source.boundary(location.start);
        let end = source.boundary(location.end).max(start);
        let (line, column) = location.line_column();
        let (line, column) = (line - 1, column - 1);
        let last = source.line_of(end.saturating_sub(1).max(start)).min(line + MAX_LINES - 1);
        // With one line before and one after, if there are any.
        let first_line = line.saturating_sub(1);
        let (mut text, mut marked) = (String::new(), 0..0);
        for number in first_line..=last + 1 {
            let Some(whole) = source.line(number) else { break };
            if number > last && whole.start == source.text().len() {
                break;
            }
            if number > first_line {
                text.push('\n');
            }
            let shown = shown_part(source, &whole, if number == line { start } else { whole.start });
            let (from, to) = (start.clamp(shown.start, shown.end), end.clamp(shown.start, shown.end));
            if shown.start > whole.start {
                text.push(ELLIPSIS);
            }
            push(&mut text, source, shown.start..from);
            if number == line {
                marked.start = text.len();
            }
            push(&mut text, source, from..to);
            if (line..=last).contains(&number) {
                marked.end = text.len();
            }
            push(&mut text, source, to..shown.end);
            if shown.end < whole.end {
                text.push(ELLIPSIS);
            }
        }
        if marked.start == text.len() {
            // At the end of the text miette needs a character to point at.
            text.push(' ');
        }
        Self { name: source.name().to_owned(), text, marked, first_line, position: (line, column) }
    }

    /// Whether a sensitive value is in the shown text.
    pub(crate) fn shows(&self, mask: &Mask) -> bool {
        matches!(mask.apply(&self.text), Cow::Owned(_))
    }

    /// Returns the range of the shown text that the location covers.
    pub(crate) fn marked(&self) -> Range<usize> {
        self.marked.clone()
    }
}

/// Returns the part of a line to show around a byte.
fn shown_part(source: &SourceText, line: &Range<usize>, at: usize) -> Range<usize> {
    if line.len() <= MAX_WIDTH {
        return line.clone();
    }
    let from = at.saturating_sub(BEFORE).clamp(line.start, line.end - MAX_WIDTH);
    source.boundary(from)..source.boundary(from + MAX_WIDTH)
}

fn push(text: &mut String, source: &SourceText, range: Range<usize>) {
    let piece = source.text().get(range).unwrap_or_default();
    text.extend(piece.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }));
}

impl SourceCode for Snippet {
    /// miette calls this twice: for the location alone, to print its line and column, and with the lines around it.
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        lines_before: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let ((line, column), range) = match lines_before {
            0 => (self.position, self.marked()),
            _ => ((self.first_line, 0), 0..self.text.len()),
        };
        let data = self.text.get(range.clone()).unwrap_or_default();
        let span = (range.start, data.len()).into();
        let lines = data.matches('\n').count();
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), data.as_bytes(), span, line, column, lines)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Diagnostic;
    use miette::{GraphicalReportHandler, GraphicalTheme};
    use proptest::prelude::*;

    fn render(text: &str, location: Range<usize>) -> String {
        let location = Location::new(&Arc::new(SourceText::new("t.json", text)), location);
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_width(100);
        handler.render_report(&mut out, &Diagnostic::error(&location, "wrong").label("here")).unwrap();
        out
    }

    #[test]
    fn a_long_line_is_cut_around_the_location() {
        let text = format!("{{\n{}bad{}\n}}\n", "é".repeat(70_000), "z".repeat(500));
        let at = text.find("bad").unwrap();
        insta::assert_snapshot!(render(&text, at..at + 3), @r"
         x wrong
          ,-[t.json:2:70001]
        1 | {
        2 | …éééééééééééééééééééééééééééééééééééééééébadzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz…
          :                                          ^|^
          :                                           `-- here
        3 | }
          `----
        ");
        let text = format!("[{}]", "\"x\",".repeat(30_000));
        let at_the_end = render(&text, text.len() - 1..text.len());
        assert!(at_the_end.contains("[t.json:1:120002]") && at_the_end.contains("\n 1 | …x\","), "{at_the_end}");
    }

    #[test]
    fn only_the_first_of_many_lines_are_shown() {
        let text = format!("{{\"builders\": [\n{}]}}\n", "  1,\n".repeat(1000));
        insta::assert_snapshot!(render(&text, 13..text.len() - 2), @r#"
        x wrong
         ,-[t.json:1:14]
       1 | ,-> {"builders": [
       2 | |     1,
       3 | |     1,
       4 | |->   1,
         : `---- here
       5 |       1,
         `----
        "#);
    }

    #[test]
    fn a_location_at_the_end_of_the_text_is_shown() {
        let shown = render("{\n", 2..2);
        assert!(shown.contains("[t.json:2:1]") && shown.contains("\n 2 |  \n   : ^\n"), "{shown}");
        assert!(render("", 0..0).contains("\n 1 |  \n   : ^"), "{}", render("", 0..0));
    }

    #[test]
    fn control_characters_are_replaced() {
        let shown = render("a\u{1b}[31mb\rc", 6..7);
        assert!(shown.contains("\n 1 | a\u{fffd}[31mb\u{fffd}c\n"), "{shown}");
    }

    proptest! {
        /// Strings that are hard to cut: wide and combining characters, tabs, line breaks of every kind.
        #[test]
        fn any_location_in_any_text_is_shown_within_bounds(
            pieces in prop::collection::vec(("[ab\\t\\r\\n漢é\u{301}\u{1f469}\u{200d}\u{1b}\u{0}]{0,4}", 1usize..400), 0..12),
            start in 0usize..6000,
            length in 0usize..6000,
        ) {
            let text: String = pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect();
            // Locations outside the text or inside a character are wrong, but must not panic.
            let out = render(&text, start..start + length);
            prop_assert!(out.len() < 8192, "{} bytes: {out}", out.len());
            prop_assert!(out.contains("[t.json:"), "{out}");
        }

        #[test]
        fn line_and_column_are_those_of_the_whole_text(before in "[a\\n漢]{0,600}", after in "[a\\n]{0,300}") {
            let text = format!("{before}x{after}");
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            let out = render(&text, before.len()..before.len() + 1);
            let location = format!("[t.json:{line}:{column}]");
            prop_assert!(out.contains(&location), "{location} in {out}");
        }
    }
}
