//! Masks sensitive values in text and in reports.

use alloc::{
    borrow::{Cow, ToOwned},
    string::String,
    vec::Vec,
};
use core::ops::Range;

use crate::report::{Failure, Outcome, Report, ReportBody};

/// What replaces a sensitive value.
const PLACEHOLDER: &str = "<sensitive>";

/// A value of fewer bytes is not masked: it reveals little and is part of too many words.
pub const MIN_LENGTH: usize = 4;

/// Masks sensitive values in text from outside the program: the output of steps, error messages, names from a template.
/// The program's own words are not masked, so that they stay readable whatever a value is; in a sentence that quotes
/// such text, only the quotation is.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    hidden: Vec<String>,
}

impl Mask {
    /// Returns a mask of these values. Output comes line by line and without the whitespace that a shell drops, so each
    /// line of a value is masked, without the whitespace around it.
    pub fn new(sensitive: &[String]) -> Self {
        let parts =
            sensitive.iter().flat_map(|value| core::iter::once(value.trim()).chain(value.lines().map(str::trim)));
        let mut hidden: Vec<String> = parts.filter(|part| part.len() >= MIN_LENGTH).map(str::to_owned).collect();
        hidden.sort();
        hidden.dedup();
        Self { hidden }
    }

    /// Whether a value, or at least one of its lines, is long enough to be masked.
    pub fn hides(value: &str) -> bool {
        value.lines().any(|line| line.trim().len() >= MIN_LENGTH)
    }

    /// Returns the text with the values masked, borrowed if there are none in it.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.found(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut masked, mut at) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in found {
            masked.push_str(text.get(at..start).unwrap_or_default());
            masked.push_str(PLACEHOLDER);
            at = end;
        }
        masked.push_str(text.get(at..).unwrap_or_default());
        Cow::Owned(masked)
    }

    /// Returns where the values are, in order. All are searched for in the original text, and overlapping ones are
    /// merged, so that masking one can't leave a part of another.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = self.hidden.iter().flat_map(|value| occurrences(text, value)).collect();
        if found.is_empty() {
            return found;
        }
        // A value such as "sensitive" must not change a placeholder.
        let masked: Vec<Range<usize>> = occurrences(text, PLACEHOLDER).collect();
        found.retain(|range| !masked.iter().any(|other| other.start <= range.start && range.end <= other.end));
        found.sort_by_key(|range| range.start);
        found.dedup_by(|next, range| {
            let is_overlap = next.start < range.end;
            if is_overlap {
                range.end = range.end.max(next.end);
            }
            is_overlap
        });
        found
    }

    /// Masks the values in the output of steps and in why one failed. Titles and notes are the agent's own words; what
    /// they quote has been masked by the agent.
    pub fn hide(&self, report: &mut Report) {
        if self.hidden.is_empty() {
            return;
        }
        match &mut report.body {
            ReportBody::Output { line, .. } => self.hide_in(line),
            ReportBody::Ended(Outcome::Failed { failure, .. }) => {
                let Failure { message, tail, .. } = failure;
                self.hide_in(message);
                tail.iter_mut().for_each(|line| self.hide_in(line));
            }
            ReportBody::Ended(_)
            | ReportBody::Note(_)
            | ReportBody::Phase(_)
            | ReportBody::Provisioner { .. }
            | ReportBody::Waiting(_)
            | ReportBody::Heartbeat => {}
        }
    }

    fn hide_in(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.apply(text) {
            *text = masked;
        }
    }
}

/// Returns where a value occurs, including occurrences that overlap.
fn occurrences<'a>(text: &'a str, value: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut from = 0;
    core::iter::from_fn(move || {
        let start = from + text.get(from..)?.find(value)?;
        from = start + value.chars().next()?.len_utf8();
        Some(start..start + value.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use proptest::prelude::*;

    fn mask(values: &[&str]) -> Mask {
        Mask::new(&values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_occurrence_is_masked() {
        assert_eq!(mask(&["pass"]).apply("a pass, b pass"), "a <sensitive>, b <sensitive>");
        assert_eq!(mask(&["pass"]).apply("passpass"), "<sensitive><sensitive>");
        assert_eq!(mask(&[""]).apply("abc"), "abc");
    }

    #[test]
    fn overlapping_values_are_masked_as_a_whole() {
        assert_eq!(mask(&["pass", "password"]).apply("x=password"), "x=<sensitive>");
        assert_eq!(mask(&["password", "wordplay"]).apply("x=passwordplay."), "x=<sensitive>.");
        assert_eq!(mask(&["abab"]).apply("-ababab-"), "-<sensitive>-");
    }

    #[test]
    fn a_placeholder_is_not_masked_again() {
        assert_eq!(mask(&["hunter2", "sens", "itive"]).apply("hunter2 senses"), "<sensitive> <sensitive>es");
        assert_eq!(mask(&["sensitive"]).apply("<sensitive>"), "<sensitive>");
    }

    #[test]
    fn values_under_four_bytes_are_not_masked() {
        assert_eq!(mask(&["k", "ab", "pin"]).apply("kill the cab spin"), "kill the cab spin");
        let hides = ["", "   ", "k", "pin", "\nab\ncd\n", "pass", "ab\n-----BEGIN"].map(Mask::hides);
        assert_eq!(hides, [false, false, false, false, false, true, true]);
    }

    #[test]
    fn a_report_is_masked() {
        let failure = Failure {
            phase: crate::AgentPhase::Provision,
            provisioner: None,
            message: "login with hunter2 failed".into(),
            tail: vec!["+ login hunter2".into()],
            hint: None,
        };
        let mut report = Report {
            version: 1,
            build: crate::BuildId::from_parts(1, 1),
            host: crate::HostId::new("here").unwrap(),
            attempt: 1,
            at: crate::Timestamp(0),
            body: ReportBody::Ended(Outcome::Failed { failure, proof: None }),
        };
        mask(&["hunter2"]).hide(&mut report);
        assert!(!format!("{report:?}").contains("hunter2"));
    }

    #[test]
    fn each_line_of_a_key_is_masked() {
        let key = mask(&["-----BEGIN\r\n  abcd  \n}\n"]);
        assert_eq!(key.apply("now abcd }"), "now <sensitive> }");
        assert_eq!(key.apply("-----BEGIN abcd }"), "<sensitive> <sensitive> }");
    }

    proptest! {
        #[test]
        fn values_are_masked_and_nothing_else_changes(
            values in prop::collection::vec("[abé \n]{0,7}", 0..4),
            text in "[abé<\n]{0,40}",
        ) {
            let mask = Mask::new(&values);
            let masked = mask.apply(&text);
            prop_assert_eq!(mask.apply(&masked), masked.as_ref());
            let mut rest = text.as_str();
            for (n, piece) in masked.split(PLACEHOLDER).enumerate() {
                prop_assert!(mask.hidden.iter().all(|value| !piece.contains(value.as_str())), "{masked}");
                let at = if n == 0 { rest.starts_with(piece).then_some(0) } else { rest.find(piece) };
                prop_assert!(at.is_some(), "{masked} of {text}");
                rest = &rest[at.unwrap_or_default() + piece.len()..];
            }
            prop_assert_eq!(masked == text.as_str(), mask.hidden.iter().all(|value| !text.contains(value.as_str())));
        }
    }
}
