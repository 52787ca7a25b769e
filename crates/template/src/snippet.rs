//! The part of a text that is shown with a mistake. A template may be one line of megabytes, and a mistake may be about a
//! list of a thousand lines: the renderer is given a few hundred bytes around the place, and the line and the column
//! that the place has in the whole text.

use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::source::{Place, Source};

/// How many bytes of a line are shown.
const WIDTH: usize = 200;
/// How many of them stand before the place.
const BEFORE: usize = 80;
/// How many lines of a place that has several are shown.
const LINES: usize = 4;
/// Stands where a line is cut.
const CUT: char = '…';

/// A few lines of a text around a place.
#[derive(Clone, Debug)]
pub(crate) struct Snippet {
    name: String,
    text: String,
    /// The place in `text`; of a place that is larger than what is shown, the part that is.
    marked: Range<usize>,
    /// The number of the first line of `text` in the whole text, from 0.
    first_line: usize,
    /// Line and column of the place in the whole text, from 0.
    position: (usize, usize),
}

impl Snippet {
    pub(crate) fn of(place: &Place) -> Self {
        let source = &place.source;
        let start = source.boundary(place.start);
        let end = source.boundary(place.end).max(start);
        let (line, column) = place.line_column();
        let (line, column) = (line - 1, column - 1);
        let last = source.line_of(end.saturating_sub(1).max(start)).min(line + LINES - 1);
        // With one line before and one after, if they are there.
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
            let shown = cut(source, &whole, if number == line { start } else { whole.start });
            let (from, to) = (start.clamp(shown.start, shown.end), end.clamp(shown.start, shown.end));
            if shown.start > whole.start {
                text.push(CUT);
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
                text.push(CUT);
            }
        }
        if marked.start == text.len() {
            // The end of the text: the renderer needs something to point at.
            text.push(' ');
        }
        Self { name: source.name().to_owned(), text, marked, first_line, position: (line, column) }
    }

    /// Returns where the place is in what is shown.
    pub(crate) fn marked(&self) -> Range<usize> {
        self.marked.clone()
    }
}

/// Returns the part of a line that is shown if it has a place there.
fn cut(source: &Source, line: &Range<usize>, place: usize) -> Range<usize> {
    if line.len() <= WIDTH {
        return line.clone();
    }
    let from = place.saturating_sub(BEFORE).clamp(line.start, line.end - WIDTH);
    source.boundary(from)..source.boundary(from + WIDTH)
}

fn push(text: &mut String, source: &Source, range: Range<usize>) {
    let piece = source.text().get(range).unwrap_or_default();
    text.extend(piece.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }));
}

impl SourceCode for Snippet {
    /// The renderer asks twice: for the place alone, to tell its line and column, and with lines around it, to print it.
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

    fn render(text: &str, place: Range<usize>) -> String {
        let place = Place { source: Arc::new(Source::new("t.json", text)), start: place.start, end: place.end };
        let mut out = String::new();
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_width(100);
        handler.render_report(&mut out, &Diagnostic::error(&place, "wrong").label("here")).unwrap();
        out
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
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
    fn a_place_of_many_lines_shows_the_first_of_them() {
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
    fn the_end_of_the_text_is_pointed_at() {
        let shown = render("{\n", 2..2);
        assert!(shown.contains("[t.json:2:1]") && shown.contains("\n 2 |  \n   : ^\n"), "{shown}");
        assert!(render("", 0..0).contains("\n 1 |  \n   : ^"), "{}", render("", 0..0));
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_printed() {
        let shown = render("a\u{1b}[31mb\rc", 6..7);
        assert!(shown.contains("\n 1 | a\u{fffd}[31mb\u{fffd}c\n"), "{shown}");
    }

    proptest! {
        /// Pieces that are hard to cut: wide, joined and many characters, tabs, ends of lines of every kind.
        #[test]
        fn any_text_with_any_place_is_shown_within_bounds(
            pieces in prop::collection::vec(("[ab\\t\\r\\n漢é\u{301}\u{1f469}\u{200d}\u{1b}\u{0}]{0,4}", 1usize..400), 0..12),
            start in 0usize..6000,
            length in 0usize..6000,
        ) {
            let text: String = pieces.iter().map(|(piece, times)| piece.repeat(*times)).collect();
            // Also places that are not in the text, or inside a character: wrong, but no reason to panic.
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
            let place = format!("[t.json:{line}:{column}]");
            prop_assert!(out.contains(&place), "{place} in {out}");
        }
    }
}
