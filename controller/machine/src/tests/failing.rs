//! Commands that fail and are retried.

use alloc::{string::ToString, vec, vec::Vec};
use bakehouse_protocol::{Millis, Region, Timestamp, VolumeId};

use super::fixtures::{build, next, plan};
use crate::{
    Build, CommandKey, Decision, Event, Fault, FaultKind, Output, Phase, Timing, UndoReason, VolumeStage, decide,
    failing::MAX_TEXT, resources::VolumeRecord,
};

const THROTTLED: &str = "DescribeImages ami-1: RequestLimitExceeded: Request limit exceeded.";

fn result(key: CommandKey, outcome: Result<Output, Fault>) -> Event {
    Event::Result { key, outcome }
}

fn fails(key: CommandKey, kind: FaultKind, message: &str) -> Event {
    result(key, Err(Fault::new(kind, message).hint("wait")))
}

/// The build after this event, a minute later.
fn a_minute_after(build: &Build, event: Event, minute: u64) -> Build {
    let (build, _) = next(build, event, Timestamp(minute * 60_000));
    next(&build, Event::Tick, Timestamp(minute * 60_000 + 60_000)).0
}

fn reported(build: &Build) -> Vec<(&str, u32)> {
    build.reportable_failures().map(|failing| (failing.summary(), failing.times)).collect()
}

#[test]
fn a_failing_command_is_reported_from_the_third_time_on() {
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
        let after = a_minute_after(&build, fails(CommandKey::Resolve, kind, message), minute);
        news.push(after.newly_reportable_failures(&build).map(|it| it.summary().to_string()).collect::<Vec<_>>());
        build = after;
    }
    let limit = vec!["DescribeImages ami-1: RequestLimitExceeded".to_string()];
    let unavailable = vec!["DescribeImages ami-1: Unavailable".to_string()];
    assert_eq!(news, [vec![], vec![], limit, vec![], unavailable]);
    assert_eq!(reported(&build), [("DescribeImages ami-1: Unavailable", 5)]);
    assert_eq!(build.failing[0].duration(), Millis::minutes(4));
    // Waiting for a resource is no failure.
    let waits =
        a_minute_after(&build, fails(CommandKey::Resolve, FaultKind::NotReady, "DescribeImages ami-1: x: y"), 6);
    assert_eq!((reported(&waits), waits.failing[0].times), (vec![], 1));
    let plan = Output::Plan(alloc::boxed::Box::new(plan()));
    let (done, _) = next(&build, result(CommandKey::Resolve, Ok(plan)), Timestamp(400_000));
    assert_eq!(done.failing, []);
}

#[test]
fn a_phase_that_times_out_names_the_last_fault() {
    let (build, _) = next(&build(), Event::Tick, Timestamp(0));
    let late = Timestamp(Timing::AWS.phase_timeout.0);
    let reason = |build: &Build| match next(build, Event::Tick, late).0.phase {
        Phase::Undoing(UndoReason::Failed(reason)) | Phase::Failed(reason) => (reason.message, reason.hint),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(&build), ("resolving took longer than 1 h 0 min".into(), None));
    let waits = a_minute_after(&build, fails(CommandKey::Resolve, FaultKind::NotReady, "the image is pending"), 1);
    assert_eq!(reason(&waits).0, "resolving took longer than 1 h 0 min; the last answer: the image is pending");
    let failing = a_minute_after(&build, fails(CommandKey::Resolve, FaultKind::Throttled, THROTTLED), 1);
    let message = alloc::format!("resolving took longer than 1 h 0 min; the last fault: {THROTTLED}");
    assert_eq!(reason(&failing), (message, Some("wait".into())));
}

#[test]
fn leftovers_are_listed_with_the_reason() {
    let mut undoing = build();
    undoing.phase = Phase::Undoing(UndoReason::Cancelled);
    undoing.plan = Some(plan());
    undoing.record_phase(Timestamp(0));
    let id = VolumeId::new("vol-00000001").unwrap();
    undoing.resources.volume = Some(VolumeRecord { id, created_at: Timestamp(0), stage: VolumeStage::Free });
    undoing.resources.record_create(&Region::new("us-east-1").unwrap().into(), Timestamp(0));
    let (mut build, _) = next(&undoing, Event::Tick, Timestamp(0));
    let refused = "DeleteVolume vol-00000001: UnauthorizedOperation: no";
    for minute in 1..=3 {
        build = a_minute_after(&build, fails(CommandKey::DeleteVolume, FaultKind::Permanent, refused), minute);
    }
    assert_eq!(reported(&build), [("DeleteVolume vol-00000001: UnauthorizedOperation", 3)]);
    // The time-out of undoing is counted from its own beginning.
    let late = build.phase_began() + Timing::AWS.phase_timeout;
    let Decision::Advance { next, .. } = decide(&build, Event::Tick, late) else { panic!() };
    assert_eq!(next.phase, Phase::Cancelled);
    assert_eq!(next.leftovers, [alloc::format!("volume vol-00000001 in us-east-1 ({refused})")]);
    assert_eq!(next.failing, []);
}

#[test]
fn a_search_by_tag_that_failed_is_listed_in_the_leftovers() {
    let mut undoing = build();
    undoing.phase = Phase::Undoing(UndoReason::Cancelled);
    undoing.record_phase(Timestamp(0));
    let region = Region::new("us-east-1").unwrap();
    undoing.resources.record_create(&(&region).into(), Timestamp(0));
    let (build, commands) = next(&undoing, Event::Tick, Timestamp(0));
    assert_eq!(commands, ["find tagged in us-east-1"]);
    let down = "DescribeImages us-east-1: Unavailable";
    let build = a_minute_after(&build, fails(CommandKey::FindTagged(region.into()), FaultKind::Ambiguous, down), 1);
    let (ended, _) = next(&build, Event::Tick, Timestamp(Timing::AWS.phase_timeout.0));
    let unknown = alloc::format!("whatever else carries the build's tag in us-east-1: the search failed ({down})");
    assert_eq!(ended.leftovers, [unknown]);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let (build, _) = next(&build(), Event::Tick, Timestamp(0));
    let long = alloc::format!("x{}", "é".repeat(MAX_TEXT));
    let failing = a_minute_after(&build, fails(CommandKey::Resolve, FaultKind::Throttled, &long), 1);
    let kept = &failing.failing[0].fault.message;
    assert!(kept.len() <= MAX_TEXT + '…'.len_utf8() && kept.ends_with("é…"), "{kept}");
}
