//! Values that must not be shown, or kept where they are not needed.

use alloc::{
    borrow::{Cow, ToOwned},
    string::String,
    vec::Vec,
};
use core::ops::Range;

use crate::report::{Failure, Outcome, Report, ReportBody};

/// What stands in place of a sensitive value.
const SHOWN: &str = "<sensitive>";

/// A value of fewer bytes is not hidden: it says little, and is found inside of words everywhere.
pub const SHORTEST: usize = 4;

/// Hides sensitive values in text from elsewhere: what steps print, what errors say, names that a template gives. The
/// program's own words are not put through it, so that they stay readable whatever a value is; a sentence that quotes
/// such a text is masked there only.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    hidden: Vec<String>,
}

impl Mask {
    /// Hides these values. Output comes line by line and without the blanks that a shell drops: of a value with several
    /// lines each one is hidden, and blanks around a line don't count.
    pub fn new(sensitive: &[String]) -> Self {
        let parts =
            sensitive.iter().flat_map(|value| core::iter::once(value.trim()).chain(value.lines().map(str::trim)));
        let mut hidden: Vec<String> = parts.filter(|part| part.len() >= SHORTEST).map(str::to_owned).collect();
        hidden.sort();
        hidden.dedup();
        Self { hidden }
    }

    /// Returns whether a value, or at least one of its lines, is long enough to be hidden.
    pub fn hides(value: &str) -> bool {
        value.lines().any(|line| line.trim().len() >= SHORTEST)
    }

    /// Returns the text without them. Text that is without them already comes back as it is.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.found(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut masked, mut at) = (String::with_capacity(text.len()), 0);
        for Range { start, end } in found {
            masked.push_str(text.get(at..start).unwrap_or_default());
            masked.push_str(SHOWN);
            at = end;
        }
        masked.push_str(text.get(at..).unwrap_or_default());
        Cow::Owned(masked)
    }

    /// Returns where the values are, in order. All are looked for in the text as it came, and values that overlap are one
    /// place: none is spoiled by another, and no end of one is left over.
    fn found(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = self.hidden.iter().flat_map(|value| occurrences(text, value)).collect();
        if found.is_empty() {
            return found;
        }
        // A value such as "sensitive" does not garble what stands for another.
        let marks: Vec<Range<usize>> = occurrences(text, SHOWN).collect();
        found.retain(|range| !marks.iter().any(|mark| mark.start <= range.start && range.end <= mark.end));
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

    /// Hides them in what the steps have printed and in why one failed. Titles and notes are the agent's own words; what
    /// these quote the agent hides.
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
            | ReportBody::Heartbeat => {}
        }
    }

    fn hide_in(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.apply(text) {
            *text = masked;
        }
    }
}

/// Returns every place of a value, also those that overlap.
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
    fn every_occurrence_is_hidden() {
        assert_eq!(mask(&["pass"]).apply("a pass, b pass"), "a <sensitive>, b <sensitive>");
        assert_eq!(mask(&["pass"]).apply("passpass"), "<sensitive><sensitive>");
        assert_eq!(mask(&[""]).apply("abc"), "abc");
    }

    #[test]
    fn a_value_inside_another_does_not_give_the_rest_away() {
        assert_eq!(mask(&["pass", "password"]).apply("x=password"), "x=<sensitive>");
        assert_eq!(mask(&["password", "wordplay"]).apply("x=passwordplay."), "x=<sensitive>.");
        assert_eq!(mask(&["abab"]).apply("-ababab-"), "-<sensitive>-");
    }

    #[test]
    fn what_stands_for_a_value_is_no_value() {
        assert_eq!(mask(&["hunter2", "sens", "itive"]).apply("hunter2 senses"), "<sensitive> <sensitive>es");
        assert_eq!(mask(&["sensitive"]).apply("<sensitive>"), "<sensitive>");
    }

    #[test]
    fn values_under_four_bytes_are_shown() {
        assert_eq!(mask(&["k", "ab", "pin"]).apply("kill the cab spin"), "kill the cab spin");
        let hides = ["", "   ", "k", "pin", "\nab\ncd\n", "pass", "ab\n-----BEGIN"].map(Mask::hides);
        assert_eq!(hides, [false, false, false, false, false, true, true]);
    }

    #[test]
    fn a_report_is_kept_without_them() {
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
    fn each_line_of_a_key_is_hidden() {
        let key = mask(&["-----BEGIN\r\n  abcd  \n}\n"]);
        assert_eq!(key.apply("now abcd }"), "now <sensitive> }");
        assert_eq!(key.apply("-----BEGIN abcd }"), "<sensitive> <sensitive> }");
    }

    proptest! {
        #[test]
        fn nothing_of_a_value_is_left_and_nothing_else_is_touched(
            values in prop::collection::vec("[abé \n]{0,7}", 0..4),
            text in "[abé<\n]{0,40}",
        ) {
            let mask = Mask::new(&values);
            let masked = mask.apply(&text);
            prop_assert_eq!(mask.apply(&masked), masked.as_ref());
            let mut rest = text.as_str();
            for (n, piece) in masked.split(SHOWN).enumerate() {
                prop_assert!(mask.hidden.iter().all(|value| !piece.contains(value.as_str())), "{masked}");
                let at = if n == 0 { rest.starts_with(piece).then_some(0) } else { rest.find(piece) };
                prop_assert!(at.is_some(), "{masked} of {text}");
                rest = &rest[at.unwrap_or_default() + piece.len()..];
            }
            prop_assert_eq!(masked == text.as_str(), mask.hidden.iter().all(|value| !text.contains(value.as_str())));
        }
    }
}
