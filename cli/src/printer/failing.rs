//! What goes on failing and is tried again.

use bakehouse_machine::{Build, Failing, Step};
use serde::Serialize;

use crate::text;

/// One step that is tried again, for machines.
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
    pub(crate) fn of(failing: &Failing) -> Self {
        Self {
            message: failing.fault.message.clone(),
            hint: failing.fault.hint.clone(),
            times: failing.times,
            since: text::rfc3339(failing.since),
        }
    }

    /// All that a build is worth telling of.
    pub(crate) fn all(build: &Build) -> Vec<Self> {
        build.worth_telling().map(Self::of).collect()
    }
}

/// One line for people.
pub(crate) fn line(failing: &Failing) -> String {
    format!("{} ({} times in {})", text::plain(&failing.fault.message), failing.times, failing.lasts())
}

/// What has been told of what goes on failing: each step's reason once, however often it comes, until the step goes well.
#[derive(Debug, Default)]
pub(crate) struct Told(Vec<(Step, String)>);

impl Told {
    /// What is to be told now.
    pub(crate) fn news<'a>(&mut self, build: &'a Build) -> Vec<&'a Failing> {
        self.0.retain(|(step, _)| build.failing.iter().any(|failing| failing.step == *step));
        let mut news = Vec::new();
        for failing in build.worth_telling() {
            let one = (failing.step.clone(), failing.reason().to_owned());
            if !self.0.contains(&one) {
                self.0.push(one);
                news.push(failing);
            }
        }
        news
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::changes::tests::a_build;
    use super::*;
    use bakehouse_machine::{Fault, FaultKind};
    use bakehouse_protocol::Timestamp;

    /// The build's one step fails for the so manieth time, with this code.
    pub(crate) fn fail(build: &mut Build, code: &str, times: u32) {
        let fault = Fault::new(FaultKind::Throttled, format!("DescribeImages: {code}: text {times}")).hint("wait");
        let last = Timestamp(1000 * u64::from(times));
        build.failing = vec![Failing { step: Step::Resolve, fault, times, since: Timestamp(1000), last }];
    }

    #[test]
    fn a_reason_is_told_once_until_the_step_goes_well() {
        let (mut build, mut told) = (a_build(), Told::default());
        let mut news = |code: &str, times| {
            fail(&mut build, code, times);
            told.news(&build).len()
        };
        assert_eq!([news("A", 1), news("A", 2), news("A", 3), news("A", 4)], [0, 0, 1, 0]);
        assert_eq!([news("B", 5), news("A", 6), news("B", 7)], [1, 0, 0]);
        assert_eq!(told.news(&a_build()).len(), 0);
        fail(&mut build, "A", 3);
        assert_eq!(told.news(&build).len(), 1);
    }
}
