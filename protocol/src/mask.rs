//! Values that must not be shown, or kept where they are not needed.

use alloc::{
    borrow::{Cow, ToOwned},
    string::String,
    vec::Vec,
};

use crate::{Failure, Outcome, Report, ReportBody};

/// What stands in place of a sensitive value.
const SHOWN: &str = "<sensitive>";

/// A line of a longer secret that is shorter than this says nothing, and hiding it would garble everything.
const SHORTEST_LINE: usize = 4;

/// Hides sensitive values.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Longest first, so that a value is not spoiled by one that it contains.
    hidden: Vec<String>,
}

impl Mask {
    /// Hides these values. Output comes line by line: of a value with several lines each one is hidden.
    pub fn new(sensitive: &[String]) -> Self {
        let mut hidden: Vec<String> = sensitive.iter().filter(|value| !value.is_empty()).cloned().collect();
        for value in sensitive.iter().filter(|value| value.contains('\n')) {
            hidden.extend(value.lines().filter(|line| line.len() >= SHORTEST_LINE).map(str::to_owned));
        }
        hidden.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        hidden.dedup();
        Self { hidden }
    }

    /// The text without them.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for value in &self.hidden {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), SHOWN));
            }
        }
        text
    }

    /// The agent's words without them.
    pub fn hide(&self, report: &mut Report) {
        if self.hidden.is_empty() {
            return;
        }
        match &mut report.body {
            ReportBody::Output { line: text, .. } | ReportBody::Note(text) => self.hide_in(text),
            ReportBody::Provisioner { title, .. } => self.hide_in(title),
            ReportBody::Ended(Outcome::Failed { failure, .. }) => {
                let Failure { message, tail, .. } = failure;
                self.hide_in(message);
                tail.iter_mut().for_each(|line| self.hide_in(line));
            }
            ReportBody::Ended(_) | ReportBody::Phase(_) | ReportBody::Heartbeat => {}
        }
    }

    fn hide_in(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.apply(text) {
            *text = masked;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    fn mask(values: &[&str]) -> Mask {
        Mask::new(&values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_occurrence_is_hidden() {
        assert_eq!(mask(&["pw"]).apply("a pw, b pw"), "a <sensitive>, b <sensitive>");
        assert_eq!(mask(&[""]).apply("abc"), "abc");
    }

    #[test]
    fn a_value_inside_another_does_not_give_the_rest_away() {
        assert_eq!(mask(&["pass", "password"]).apply("x=password"), "x=<sensitive>");
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
        assert_eq!(mask(&["BEGIN\nabcd\n}\n"]).apply("now abcd }"), "now <sensitive> }");
    }
}
