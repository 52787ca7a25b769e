//! Steps that are tried again and again: what each has met last, for whoever asks why a build takes so long, and for the
//! message that it ends with if it takes too long.

use alloc::{format, string::String, vec::Vec};
use bakehouse_protocol::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Build, Fault, FaultKind, Phase, Step};

/// From how many faults in a row on a step is worth telling of: one or two are everyday.
pub const WORTH_TELLING: u32 = 3;

/// The longest that is kept of a message or a hint, in bytes: a record has little room.
const LONGEST: usize = 600;

/// A step whose last try has failed, and which is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Which.
    pub step: Step,
    /// What the last try has met; its texts are cut.
    pub fault: Fault,
    /// How many tries in a row have met a fault.
    pub times: u32,
    /// When the first of them did.
    pub since: Timestamp,
    /// When the last of them did.
    pub last: Timestamp,
}

impl Failing {
    /// Whether it is more than the usual waiting for something that takes its time.
    pub fn is_fault(&self) -> bool {
        self.fault.kind != FaultKind::NotReady
    }

    /// Whether it has gone on long enough to be told.
    pub fn is_worth_telling(&self) -> bool {
        self.is_fault() && self.times >= WORTH_TELLING
    }

    /// How long it has gone on.
    pub fn lasts(&self) -> Millis {
        self.last.since(self.since)
    }

    /// The fault without the service's own words, which may differ each time: the call and the error's code.
    pub fn reason(&self) -> &str {
        let message = &self.fault.message;
        message.match_indices(": ").nth(1).map_or(message, |(end, _)| &message[..end])
    }
}

impl Build {
    /// The steps that go on failing, as far as they are worth telling.
    pub fn worth_telling(&self) -> impl Iterator<Item = &Failing> {
        self.failing.iter().filter(|failing| failing.is_worth_telling())
    }

    /// Those of them that were not in an earlier record, or for another reason.
    pub fn newly_worth_telling<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a Failing> {
        let was_told = |now: &Failing| {
            let same = |it: &Failing| it.step == now.step && it.reason() == now.reason();
            before.worth_telling().any(same)
        };
        self.worth_telling().filter(move |failing| !was_told(failing))
    }
}

/// Notes how a step's last try went: with a fault after which it is tried again, or otherwise.
pub(crate) fn note(build: &mut Build, step: &Step, fault: Option<&Fault>, now: Timestamp) {
    let before = build.failing.iter().position(|failing| &failing.step == step).map(|at| build.failing.remove(at));
    let undoing = matches!(build.phase, Phase::Undoing(_));
    let Some(fault) = fault.filter(|fault| match fault.kind {
        FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotReady => true,
        FaultKind::Permanent => undoing,
        FaultKind::NotFound | FaultKind::Conflict => false,
    }) else {
        return;
    };
    let fault = Fault { kind: fault.kind, message: cut(&fault.message), hint: fault.hint.as_deref().map(cut) };
    let first = Failing { step: step.clone(), fault, times: 1, since: now, last: now };
    // From faults to waiting, or back, it begins anew: in between the service has answered.
    build.failing.push(match before.filter(|before| before.is_fault() == first.is_fault()) {
        Some(before) => Failing { times: before.times.saturating_add(1), since: before.since, ..first },
        None => first,
    });
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}

/// The fault that has come last; the usual waiting only if there is no other.
pub(crate) fn last(build: &Build) -> Option<&Failing> {
    build.failing.iter().max_by_key(|failing| (failing.is_fault(), failing.last))
}

/// Why one of these steps did not get through, to follow the name of what it was about; empty if none was tried in vain.
pub(crate) fn why(build: &Build, steps: &[Step]) -> String {
    let failing = build.failing.iter().filter(|failing| steps.contains(&failing.step));
    let reasons: Vec<&str> = failing.map(|failing| failing.fault.message.as_str()).collect();
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};
    use bakehouse_protocol::{Region, VolumeId};

    use super::*;
    use crate::{
        Decision, Event, Output, Timing, UndoReason, VolumeStage, decide,
        resources::VolumeRecord,
        tests::{build, next},
    };

    const THROTTLED: &str = "DescribeImages ami-1: RequestLimitExceeded: Request limit exceeded.";

    fn result(step: Step, outcome: Result<Output, Fault>) -> Event {
        Event::Result { step, outcome }
    }

    fn fails(step: Step, kind: FaultKind, message: &str) -> Event {
        result(step, Err(Fault::new(kind, message).hint("wait")))
    }

    /// The build after a step has failed once more, a minute later.
    fn again(build: &Build, event: Event, minute: u64) -> Build {
        let (build, _) = next(build, event, Timestamp(minute * 60_000));
        next(&build, Event::Tick, Timestamp(minute * 60_000 + 60_000)).0
    }

    fn told(build: &Build) -> Vec<(&str, u32)> {
        build.worth_telling().map(|failing| (failing.reason(), failing.times)).collect()
    }

    #[test]
    fn a_step_that_goes_on_failing_is_told_from_the_third_time_on_and_until_it_goes_well() {
        let (mut build, _) = next(&build(), Event::Tick, Timestamp(0));
        let mut news = vec![];
        let faults = [
            (FaultKind::Throttled, THROTTLED),
            (FaultKind::Throttled, THROTTLED),
            (FaultKind::Throttled, THROTTLED),
            (FaultKind::Throttled, "DescribeImages ami-1: RequestLimitExceeded: in other words"),
            (FaultKind::Ambiguous, "DescribeImages ami-1: Unavailable: try again"),
        ];
        for (minute, (kind, message)) in (1..).zip(faults) {
            let after = again(&build, fails(Step::Resolve, kind, message), minute);
            news.push(after.newly_worth_telling(&build).map(|it| it.reason().to_string()).collect::<Vec<_>>());
            build = after;
        }
        let limit = vec!["DescribeImages ami-1: RequestLimitExceeded".to_string()];
        let unavailable = vec!["DescribeImages ami-1: Unavailable".to_string()];
        assert_eq!(news, [vec![], vec![], limit, vec![], unavailable]);
        assert_eq!(told(&build), [("DescribeImages ami-1: Unavailable", 5)]);
        assert_eq!(build.failing[0].lasts(), Millis::minutes(4));
        // The usual waiting is none.
        let waits = again(&build, fails(Step::Resolve, FaultKind::NotReady, "DescribeImages ami-1: x: y"), 6);
        assert_eq!((told(&waits), waits.failing[0].times), (vec![], 1));
        let plan = Output::Plan(alloc::boxed::Box::new(crate::tests::plan()));
        let (done, _) = next(&build, result(Step::Resolve, Ok(plan)), Timestamp(400_000));
        assert_eq!(done.failing, []);
    }

    #[test]
    fn what_took_too_long_ends_with_the_fault_that_it_has_met_last() {
        let (build, _) = next(&build(), Event::Tick, Timestamp(0));
        let late = Timestamp(Timing::AWS.phase.0);
        let why = |build: &Build| match next(build, Event::Tick, late).0.phase {
            Phase::Undoing(UndoReason::Failed(reason)) | Phase::Failed(reason) => (reason.message, reason.hint),
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&build), ("resolving took longer than 1 h 0 min".into(), None));
        let waits = again(&build, fails(Step::Resolve, FaultKind::NotReady, "the image is pending"), 1);
        assert_eq!(why(&waits).0, "resolving took longer than 1 h 0 min; the last answer: the image is pending");
        let failing = again(&build, fails(Step::Resolve, FaultKind::Throttled, THROTTLED), 1);
        let message = alloc::format!("resolving took longer than 1 h 0 min; the last fault: {THROTTLED}");
        assert_eq!(why(&failing), (message, Some("wait".into())));
    }

    #[test]
    fn what_could_not_be_removed_is_named_with_the_reason() {
        let mut undoing = build();
        undoing.phase = Phase::Undoing(UndoReason::Cancelled);
        undoing.plan = Some(crate::tests::plan());
        undoing.note_phase(Timestamp(0));
        let id = VolumeId::new("vol-00000001").unwrap();
        undoing.resources.volume = Some(VolumeRecord { id, made_at: Timestamp(0), stage: VolumeStage::Free });
        undoing.resources.touch(&Region::new("us-east-1").unwrap(), Timestamp(0));
        let (mut build, _) = next(&undoing, Event::Tick, Timestamp(0));
        let refused = "DeleteVolume vol-00000001: UnauthorizedOperation: no";
        for minute in 1..=3 {
            build = again(&build, fails(Step::DeleteVolume, FaultKind::Permanent, refused), minute);
        }
        assert_eq!(told(&build), [("DeleteVolume vol-00000001: UnauthorizedOperation", 3)]);
        // The time of undoing is counted from its own beginning.
        let late = build.phase_began() + Timing::AWS.phase;
        let Decision::Advance { next, .. } = decide(&build, Event::Tick, late) else { panic!() };
        assert_eq!(next.phase, Phase::Cancelled);
        assert_eq!(next.left, [alloc::format!("volume vol-00000001 in us-east-1 ({refused})")]);
        assert_eq!(next.failing, []);
    }

    #[test]
    fn a_look_by_tag_that_was_never_answered_is_named_too() {
        let mut undoing = build();
        undoing.phase = Phase::Undoing(UndoReason::Cancelled);
        undoing.note_phase(Timestamp(0));
        let region = Region::new("us-east-1").unwrap();
        undoing.resources.touch(&region, Timestamp(0));
        let (build, commands) = next(&undoing, Event::Tick, Timestamp(0));
        assert_eq!(commands, ["verify us-east-1"]);
        let down = "DescribeImages us-east-1: Unavailable";
        let build = again(&build, fails(Step::Verify(region), FaultKind::Ambiguous, down), 1);
        let (ended, _) = next(&build, Event::Tick, Timestamp(Timing::AWS.phase.0));
        let unseen = alloc::format!("whatever else is tagged with the build in us-east-1: nobody could look ({down})");
        assert_eq!(ended.left, [unseen]);
    }

    #[test]
    fn a_long_message_is_cut_between_two_characters() {
        let (build, _) = next(&build(), Event::Tick, Timestamp(0));
        let long = alloc::format!("x{}", "é".repeat(LONGEST));
        let failing = again(&build, fails(Step::Resolve, FaultKind::Throttled, &long), 1);
        let kept = &failing.failing[0].fault.message;
        assert!(kept.len() <= LONGEST + '…'.len_utf8() && kept.ends_with("é…"), "{kept}");
    }

    #[test]
    fn a_record_of_before_is_read() {
        let mut record = serde_json::to_value(build()).unwrap();
        assert!(record.as_object_mut().unwrap().remove("failing").is_some());
        assert_eq!(serde_json::from_value::<Build>(record).unwrap(), build());
    }
}
