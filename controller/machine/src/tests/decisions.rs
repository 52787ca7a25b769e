//! Single decisions.

use alloc::{borrow::ToOwned, string::ToString, vec, vec::Vec};
use bakehouse_protocol::{AgentPhase, Failure, ImageId, Millis, Outcome, Region, ReportBody, Timestamp};

use super::fixtures::{
    agent, build, failed, lease, managed, managed_plan, next, plan, proof, provisioning, region, retiring,
};
use crate::{
    Build, CommandKey, Decision, Event, Fault, FaultKind, ImageRecord, ImageStage, JobStage, Phase, Timing, UndoReason,
    decide, resources::ReplacedStage,
};

#[test]
fn a_command_without_a_result_is_issued_again() {
    let Decision::Advance { next, .. } = decide(&build(), Event::Tick, Timestamp(0)) else { panic!() };
    let issued = |build: &Build, at: u64| {
        let Decision::Advance { next, commands, .. } = decide(build, Event::Tick, Timestamp(at)) else { panic!() };
        (next, commands.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let timeout = Timing::AWS.command_timeout.0;
    assert!(issued(&next, timeout - 1).1.is_empty());
    assert_eq!(issued(&next, timeout).1, ["resolve"]);

    // One that creates something is issued again only when what it may have created must be visible.
    let mut creating = build();
    creating.plan = Some(plan());
    creating.phase = Phase::Creating;
    creating.resources.lease = Some(lease());
    let (creating, first) = issued(&creating, 0);
    let timeout = Timing::AWS.create_timeout.0;
    assert!(issued(&creating, timeout - 1).1.is_empty());
    let (next, second) = issued(&creating, timeout);
    assert_eq!(first, second);
    assert!(next.resources.regions.iter().all(|record| record.ambiguous), "{:?}", next.resources.regions);
}

#[test]
fn a_silent_agent_is_stopped_before_its_volume_is_detached() {
    let silence = Timing::AWS.silence;
    let (undoing, commands) = next(&provisioning(), Event::Tick, Timestamp(silence.0));
    assert!(matches!(undoing.phase, Phase::Undoing(UndoReason::Restart { .. })), "{:?}", undoing.phase);
    assert_eq!(commands, ["stop job on bakery"]);
    // It is alive: it has all the time that it needs to stop.
    let heartbeat = Timestamp(silence.0 + 50_000);
    let (alive, _) = next(&undoing, agent(1, ReportBody::Heartbeat), heartbeat);
    let (alive, _) = next(&alive, Event::Tick, heartbeat + Millis(silence.0 - 1));
    assert!(alive.resources.job.may_be_running());
    // It is dead.
    let (dead, commands) = next(&undoing, Event::Tick, Timestamp(silence.0 + 60_000));
    assert!(!dead.resources.job.may_be_running());
    assert!(commands.iter().any(|command| command.starts_with("detach")), "{commands:?}");
}

#[test]
fn a_late_tick_does_not_make_the_agent_count_as_dead_at_once() {
    let late = Timestamp(Timing::AWS.silence.0 + 600_000);
    let (waiting, commands) = next(&provisioning(), Event::Tick, late);
    assert!(waiting.phase == Phase::Provisioning && commands.is_empty(), "{commands:?}");
    // Its reports have waited in the queue meanwhile.
    let done = agent(1, ReportBody::Ended(Outcome::Done(proof())));
    assert_eq!(next(&waiting, done, late + Millis(100)).0.phase, Phase::Snapshotting);
    // No report has.
    let (lost, _) = next(&waiting, Event::Tick, late + Millis::seconds(41));
    assert!(matches!(lost.phase, Phase::Undoing(UndoReason::Restart { .. })), "{:?}", lost.phase);
}

#[test]
fn a_disk_that_does_not_appear_starts_the_build_again() {
    let mut build = provisioning();
    build.phase = Phase::Attaching;
    let failure = Failure {
        phase: AgentPhase::Find,
        provisioner: None,
        message: "the disk did not appear".into(),
        tail: vec![],
        hint: None,
    };
    let outcome = Outcome::Failed { failure: failure.clone(), proof: Some(proof()) };
    let ended = |attempt| agent(attempt, ReportBody::Ended(outcome.clone()));
    let (restarted, _) = next(&build, ended(1), Timestamp(1));
    assert!(matches!(restarted.phase, Phase::Undoing(UndoReason::Restart { .. })), "{:?}", restarted.phase);
    build.attempt = build.timing.max_attempts;
    let (failed, _) = next(&build, ended(build.attempt), Timestamp(1));
    let Phase::Undoing(UndoReason::Failed(reason)) = &failed.phase else { panic!("{:?}", failed.phase) };
    assert_eq!(reason.failure, Some(failure));
}

#[test]
fn faults_are_saved_without_sensitive_values() {
    let mut build = build();
    build.spec.sensitive = vec!["hunter2".into()];
    let (resolving, _) = next(&build, Event::Tick, Timestamp(0));
    let fault = Fault::new(FaultKind::Permanent, "RegisterImage web-hunter2: that name is taken");
    let (failed, _) = next(&resolving, Event::Result { key: CommandKey::Resolve, outcome: Err(fault) }, Timestamp(1));
    let Phase::Failed(reason) = &failed.phase else { panic!("{:?}", failed.phase) };
    assert_eq!(reason.message, "RegisterImage web-<sensitive>: that name is taken");
}

#[test]
fn a_job_that_may_have_been_sent_is_stopped() {
    let mut build = provisioning();
    build.phase = Phase::Attaching;
    build.resources.job = JobStage::None;
    let (sending, commands) = next(&build, Event::Tick, Timestamp(0));
    assert!(commands.contains(&"send job to bakery".to_owned()), "{commands:?}");
    let fault = Fault::new(FaultKind::Ambiguous, "no answer");
    let (ambiguous, _) = next(&sending, Event::Result { key: CommandKey::SendJob, outcome: Err(fault) }, Timestamp(1));
    let (undoing, commands) = next(&ambiguous, Event::Cancel, Timestamp(2));
    assert!(commands.iter().all(|command| !command.starts_with("detach")), "{commands:?}");
    // It runs: a report arrives, although the result of sending it was lost.
    let (running, commands) = next(&undoing, agent(1, ReportBody::Heartbeat), Timestamp(3));
    assert!(running.resources.job.may_be_running());
    assert!(commands.contains(&"stop job on bakery".to_owned()), "{commands:?}");
}

#[test]
fn a_report_from_another_host_is_rejected() {
    let decision = decide(&build(), agent(1, ReportBody::Heartbeat), Timestamp(0));
    assert!(matches!(decision, Decision::Reject(_)), "{decision:?}");
}

#[test]
fn a_job_cancelled_on_its_host_leads_to_no_image() {
    let cancelled = || agent(1, ReportBody::Ended(Outcome::Cancelled { proof: Some(proof()) }));
    let Decision::Advance { next, commands, .. } = decide(&provisioning(), cancelled(), Timestamp(1)) else { panic!() };
    assert!(matches!(next.phase, Phase::Undoing(UndoReason::Restart { .. })), "{:?}", next.phase);
    assert!(commands.iter().all(|command| command.creates_in().is_none()), "{commands:?}");
    // A local build has one attempt only.
    let mut local = provisioning();
    local.timing = Timing::LOCAL;
    let Decision::Advance { next, .. } = decide(&local, cancelled(), Timestamp(1)) else { panic!() };
    assert!(matches!(next.phase, Phase::Undoing(UndoReason::Failed(_))), "{:?}", next.phase);
}

#[test]
fn a_report_on_an_earlier_attempt_is_rejected() {
    let mut second = provisioning();
    second.attempt = 2;
    let decision = decide(&second, agent(1, ReportBody::Ended(Outcome::Done(proof()))), Timestamp(1));
    assert!(matches!(decision, Decision::Reject(_)), "{decision:?}");
}

#[test]
fn what_a_kept_build_has_made_stays_and_can_be_removed_later() {
    let mut kept = provisioning();
    kept.keep_failed = true;
    let (failed, commands) = next(&kept, agent(1, ReportBody::Ended(failed())), Timestamp(1));
    assert!(matches!(failed.phase, Phase::Failed(_)) && commands.is_empty(), "{:?}: {commands:?}", failed.phase);
    assert_eq!(failed.leftovers, ["volume vol-01234567 in us-east-1"]);
    let (undoing, commands) = next(&failed, Event::RemoveLeftovers, Timestamp(2));
    assert_eq!(commands, ["detach vol-01234567"]);
    assert!(undoing.leftovers.is_empty() && !undoing.keep_failed);
    // Nothing is left of another: there is nothing to begin anew for.
    let nothing = Build { leftovers: Vec::new(), ..failed };
    assert_eq!(decide(&nothing, Event::RemoveLeftovers, Timestamp(2)), Decision::Ignore);
}

#[test]
fn the_job_of_a_kept_build_is_stopped_first() {
    let mut kept = provisioning();
    kept.keep_failed = true;
    let (waiting, commands) = next(&kept, Event::RunnerFailed { message: "full".into() }, Timestamp(1));
    assert_eq!(commands, ["stop job on bakery"]);
    let (failed, _) = next(&waiting, agent(1, ReportBody::Ended(failed())), Timestamp(2));
    assert!(matches!(failed.phase, Phase::Failed(_)) && !failed.leftovers.is_empty(), "{:?}", failed.phase);
}

#[test]
fn a_kept_build_is_undone_if_it_is_cancelled_or_has_made_nothing() {
    let mut kept = provisioning();
    kept.keep_failed = true;
    let (undoing, _) = next(&kept, Event::Cancel, Timestamp(1));
    let (undoing, commands) = next(&undoing, agent(1, ReportBody::Ended(failed())), Timestamp(2));
    assert!(commands.contains(&"detach vol-01234567".to_string()), "{commands:?}");
    assert!(matches!(undoing.phase, Phase::Undoing(UndoReason::Cancelled)));
    let mut empty = build();
    empty.keep_failed = true;
    let (ended, _) = next(&empty, Event::RunnerFailed { message: "full".into() }, Timestamp(1));
    assert!(matches!(ended.phase, Phase::Failed(_)) && ended.leftovers.is_empty(), "{:?}", ended.phase);
}

#[test]
fn what_retiring_cannot_do_is_a_warning() {
    let build = retiring();
    assert_eq!(decide(&build, Event::Cancel, Timestamp(1)), Decision::Ignore, "it comes too late");
    let (begun, commands) = next(&build, Event::Tick, Timestamp(1));
    assert_eq!(commands, ["retire ami-76543210 in us-east-1"]);
    let key = begun.in_flight[0].command.key();
    let fault = Fault::new(FaultKind::Permanent, "the permission is missing");
    let (refused, _) = next(&begun, Event::Result { key, outcome: Err(fault) }, Timestamp(2));
    assert_eq!(refused.phase, Phase::Succeeded);
    assert_eq!(
        refused.warnings,
        ["the older image ami-76543210 in us-east-1 or its snapshots are left: the permission is missing"]
    );
    // The same if its disk is full, or if it takes too long.
    let (stopped, _) = next(&begun, Event::RunnerFailed { message: "no space".to_owned() }, Timestamp(2));
    assert_eq!((stopped.phase, stopped.warnings.len()), (Phase::Succeeded, 1));
    let late = begun.phase_began() + Timing::AWS.phase_timeout;
    let (late, _) = next(&begun, Event::Tick, late);
    assert_eq!((late.phase, late.warnings.len()), (Phase::Succeeded, 1));
}

/// The process may have died before it made the calls: what they would change is only put back.
#[test]
fn a_killed_build_that_is_undone_changes_nothing_of_others_any_more() {
    let mut build = managed();
    build.plan = Some(managed_plan());
    build.phase = Phase::Finishing;
    for region in [region(), Region::new("eu-west-1").unwrap()] {
        build.resources.images.push(ImageRecord {
            region: region.into(),
            id: ImageId::new("ami-76543210").unwrap(),
            created_at: Timestamp(0),
            stage: ImageStage::Available,
            snapshots: vec![],
            name_is_temporary: true,
        });
    }
    let (finishing, commands) = next(&build, Event::Tick, Timestamp(86_400_000));
    assert!(commands.iter().any(|command| command.starts_with("deregister ami-89abcdef")), "{commands:?}");
    let (cancelled, _) = next(&finishing, Event::Cancel, Timestamp(86_400_001));
    let (resumed, commands) = next(&cancelled, Event::Resume, Timestamp(86_400_002));
    assert!(!commands.iter().any(|command| command.starts_with("deregister ami-89abcdef")), "{commands:?}");
    assert!(commands.iter().any(|command| command.starts_with("remove ami-76543210")), "{commands:?}");
    // It may have been deregistered: once its name is free, that is looked at.
    let stage = resumed.resources.replaced_in(&Region::new("eu-west-1").unwrap());
    assert_eq!(stage, Some(ReplacedStage::Deregistering));
}
