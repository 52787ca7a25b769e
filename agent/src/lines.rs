//! Cutting a stream of bytes into lines for people.

use std::collections::VecDeque;

/// A line longer than this many bytes is cut into several.
const LONGEST: usize = 8 * 1024;
/// How many last lines of a step go into its failure.
const KEPT: usize = 20;

/// Collects bytes until they make lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes and calls back with each line that is now complete, without its line end. Bytes that are not UTF-8
    /// are replaced.
    pub(crate) fn push(&mut self, bytes: &[u8], line: &mut dyn FnMut(&str)) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.flush(line);
            }
            while self.partial.len() > LONGEST {
                let rest = self.partial.split_off(char_boundary(&self.partial, LONGEST));
                self.flush(line);
                self.partial = rest;
            }
        }
    }

    /// The end of the stream: what is left is a line, too.
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

/// The last place up to `at` that is not inside a character.
fn char_boundary(bytes: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at).rev().find(|&i| bytes.get(i).is_none_or(|b| b & 0xc0 != 0x80)).unwrap_or(at)
}

/// The last lines of a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
}

impl Tail {
    pub(crate) fn push(&mut self, line: &str) {
        if self.lines.len() == KEPT {
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

    fn cut(pieces: &[&[u8]]) -> Vec<String> {
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
        assert_eq!(cut(&[b"a\nb", b"c\r\n\nd"]), ["a", "bc", "", "d"]);
        assert_eq!(cut(&[b"caf\xe9\n"]), ["caf\u{fffd}"]);
    }

    #[test]
    fn a_very_long_line_is_cut_between_characters() {
        let text = "x".to_owned() + &"ä".repeat(LONGEST);
        let lines = cut(&[text.as_bytes()]);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= LONGEST));
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
        fn how_the_bytes_arrive_changes_nothing(text in "[a-zäö\n]{0,200}", at in 0usize..200) {
            let (a, b) = text.as_bytes().split_at(at.min(text.len()));
            prop_assert_eq!(cut(&[a, b]), cut(&[text.as_bytes()]));
        }
    }
}
