//! Steps that fail again and again.

use alloc::{string::ToString, vec, vec::Vec};
use bakehouse_protocol::{Millis, Region, Timestamp, VolumeId};

use super::fixtures::{build, next, plan};
use crate::{
    Build, Decision, Event, Fault, FaultKind, Output, Phase, Step, Timing, UndoReason, VolumeStage, decide,
    failing::LONGEST, resources::VolumeRecord,
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
    let plan = Output::Plan(alloc::boxed::Box::new(plan()));
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
    undoing.plan = Some(plan());
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
