//! Commands that fail and are retried.

use bakehouse_machine::{Build, CommandKey, FailingCommand};
use serde::Serialize;

use crate::text;

/// One command that is retried, for machines.
#[derive(Debug, Serialize)]
pub(crate) struct Retrying {
    message: String,
    hint: Option<String>,
    /// How many tries in a row have failed.
    times: u32,
    /// When the first of them did.
    since: String,
}

impl Retrying {
    pub(crate) fn of(failing: &FailingCommand) -> Self {
        Self {
            message: failing.fault.message.clone(),
            hint: failing.fault.hint.clone(),
            times: failing.times,
            since: text::rfc3339(failing.since),
        }
    }

    /// Those of a build that have failed often enough to be reported.
    pub(crate) fn all(build: &Build) -> Vec<Self> {
        build.reportable_failures().map(Self::of).collect()
    }
}

/// One line for people.
pub(crate) fn line(failing: &FailingCommand) -> String {
    format!("{} ({} times in {})", text::plain(&failing.fault.message), failing.times, failing.duration())
}

/// The failures that were printed: each fault of a command once, until the command succeeds.
#[derive(Debug, Default)]
pub(crate) struct ReportedFailures(Vec<(CommandKey, String)>);

impl ReportedFailures {
    /// Returns the failures that were not returned before.
    pub(crate) fn new_failures<'a>(&mut self, build: &'a Build) -> Vec<&'a FailingCommand> {
        self.0.retain(|(key, _)| build.failing.iter().any(|failing| failing.key == *key));
        let mut new = Vec::new();
        for failing in build.reportable_failures() {
            let one = (failing.key.clone(), failing.summary().to_owned());
            if !self.0.contains(&one) {
                self.0.push(one);
                new.push(failing);
            }
        }
        new
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::changes::tests::a_build;
    use super::*;
    use bakehouse_machine::{Fault, FaultKind};
    use bakehouse_protocol::Timestamp;

    /// The build's one command has failed this many times, the last time with this code.
    pub(crate) fn fail(build: &mut Build, code: &str, times: u32) {
        let fault = Fault::new(FaultKind::Throttled, format!("DescribeImages: {code}: text {times}")).hint("wait");
        let last = Timestamp(1000 * u64::from(times));
        build.failing = vec![FailingCommand { key: CommandKey::Resolve, fault, times, since: Timestamp(1000), last }];
    }

    #[test]
    fn a_fault_is_told_once_until_the_command_succeeds() {
        let (mut build, mut told) = (a_build(), ReportedFailures::default());
        let mut news = |code: &str, times| {
            fail(&mut build, code, times);
            told.new_failures(&build).len()
        };
        assert_eq!([news("A", 1), news("A", 2), news("A", 3), news("A", 4)], [0, 0, 1, 0]);
        assert_eq!([news("B", 5), news("A", 6), news("B", 7)], [1, 0, 0]);
        assert_eq!(told.new_failures(&a_build()).len(), 0);
        fail(&mut build, "A", 3);
        assert_eq!(told.new_failures(&build).len(), 1);
    }
}
