//! Splits the output of programs into lines of text.

use std::collections::VecDeque;

/// A line that is longer than this, in bytes, is cut into several.
const MAX_LINE: usize = 8 * 1024;
/// How many of the last lines of a step are reported with its failure.
const TAIL_LINES: usize = 20;

/// Collects bytes until a line is complete.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Adds bytes, and calls `line` with each line that is complete then, without its line ending. Bytes that are not
    /// UTF-8 are replaced.
    pub(crate) fn push(&mut self, bytes: &[u8], line: &mut dyn FnMut(&str)) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.flush(line);
            }
            while self.partial.len() > MAX_LINE {
                let rest = self.partial.split_off(char_boundary(&self.partial, MAX_LINE));
                self.flush(line);
                self.partial = rest;
            }
        }
    }

    /// Ends the stream: calls `line` with the incomplete last line, if there is one.
    pub(crate) fn finish(&mut self, line: &mut dyn FnMut(&str)) {
        if !self.partial.is_empty() {
            self.flush(line);
        }
    }

    fn flush(&mut self, line: &mut dyn FnMut(&str)) {
        let text = self.partial.strip_suffix(b"\n").unwrap_or(&self.partial);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        line(&String::from_utf8_lossy(text));
        self.partial.clear();
    }
}

/// Returns the last index up to `at` that is not inside of a UTF-8 character.
fn char_boundary(bytes: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at).rev().find(|&i| bytes.get(i).is_none_or(|b| b & 0xc0 != 0x80)).unwrap_or(at)
}

/// The last lines of a program's output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
}

impl Tail {
    pub(crate) fn push(&mut self, line: &str) {
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for piece in pieces {
            lines.push(piece, &mut |line| out.push(line.to_owned()));
        }
        lines.finish(&mut |line| out.push(line.to_owned()));
        out
    }

    #[test]
    fn lines_end_at_newlines_and_at_the_end() {
        assert_eq!(lines_of(&[b"a\nb", b"c\r\n\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(lines_of(&[b"caf\xe9\n"]), ["caf\u{fffd}"]);
    }

    #[test]
    fn a_very_long_line_is_cut_between_characters() {
        let text = "x".to_owned() + &"ä".repeat(MAX_LINE);
        let lines = lines_of(&[text.as_bytes()]);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= MAX_LINE));
        assert_eq!(lines.concat(), text);
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let mut tail = Tail::default();
        (0..50).for_each(|i| tail.push(&i.to_string()));
        let lines = tail.into_lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[19].as_str()), (20, "30", "49"));
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_are_split(text in "[a-zäö\n]{0,200}", at in 0usize..200) {
            let (a, b) = text.as_bytes().split_at(at.min(text.len()));
            prop_assert_eq!(lines_of(&[a, b]), lines_of(&[text.as_bytes()]));
        }
    }
}
