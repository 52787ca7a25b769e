//! A few cases worth naming.

use alloc::{borrow::ToOwned, string::ToString, vec, vec::Vec};
use bakehouse_protocol::{AgentPhase, Failure, Millis, Outcome, ReportBody, Timestamp};

use super::fixtures::{agent, build, lease, next, plan, proof, provisioning};
use crate::{Build, Decision, Event, Fault, FaultKind, JobStage, Phase, Step, Timing, UndoReason, decide};

#[test]
fn a_command_that_nobody_answers_is_given_out_again_and_the_region_is_doubted() {
    let Decision::Advance { next, .. } = decide(&build(), Event::Tick, Timestamp(0)) else { panic!() };
    let given = |build: &Build, at: u64| {
        let Decision::Advance { next, commands, .. } = decide(build, Event::Tick, Timestamp(at)) else { panic!() };
        (next, commands.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let again = Timing::AWS.again.0;
    assert!(given(&next, again - 1).1.is_empty());
    assert_eq!(given(&next, again).1, ["resolve"]);

    // One that makes something only when what it may have made can be seen.
    let mut creating = build();
    creating.plan = Some(plan());
    creating.phase = Phase::Creating;
    creating.resources.lease = Some(lease());
    let (creating, first) = given(&creating, 0);
    let grace = Timing::AWS.grace.0;
    assert!(given(&creating, grace - 1).1.is_empty());
    let (next, second) = given(&creating, grace);
    assert_eq!(first, second);
    assert!(next.resources.regions.iter().all(|regions| regions.in_doubt), "{:?}", next.resources.regions);
}

#[test]
fn an_agent_that_is_not_heard_of_is_told_to_stop_before_its_volume_is_taken() {
    let silence = Timing::AWS.silence;
    let (undoing, commands) = next(&provisioning(), Event::Tick, Timestamp(silence.0));
    assert!(matches!(undoing.phase, Phase::Undoing(UndoReason::Again { .. })), "{:?}", undoing.phase);
    assert_eq!(commands, ["stop job on bakery"]);
    // It lives: it has all the time it needs to stop.
    let beat = Timestamp(silence.0 + 50_000);
    let (living, _) = next(&undoing, agent(1, ReportBody::Heartbeat), beat);
    let (living, _) = next(&living, Event::Tick, beat + Millis(silence.0 - 1));
    assert!(living.resources.job.may_run());
    // It does not.
    let (dead, commands) = next(&undoing, Event::Tick, Timestamp(silence.0 + 60_000));
    assert!(!dead.resources.job.may_run());
    assert!(commands.iter().any(|command| command.starts_with("detach")), "{commands:?}");
}

#[test]
fn where_nobody_has_listened_for_long_an_agent_is_not_taken_for_dead_at_once() {
    let late = Timestamp(Timing::AWS.silence.0 + 600_000);
    let (waiting, commands) = next(&provisioning(), Event::Tick, late);
    assert!(waiting.phase == Phase::Provisioning && commands.is_empty(), "{commands:?}");
    // What it said meanwhile has waited in the queue.
    let done = agent(1, ReportBody::Ended(Outcome::Done(proof())));
    assert_eq!(next(&waiting, done, late + Millis(100)).0.phase, Phase::Snapshotting);
    // Nothing has.
    let (lost, _) = next(&waiting, Event::Tick, late + Millis::seconds(41));
    assert!(matches!(lost.phase, Phase::Undoing(UndoReason::Again { .. })), "{:?}", lost.phase);
}

#[test]
fn a_disk_that_does_not_come_is_no_fault_of_the_template() {
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
    let (again, _) = next(&build, ended(1), Timestamp(1));
    assert!(matches!(again.phase, Phase::Undoing(UndoReason::Again { .. })), "{:?}", again.phase);
    build.attempt = build.timing.attempts;
    let (failed, _) = next(&build, ended(build.attempt), Timestamp(1));
    let Phase::Undoing(UndoReason::Failed(reason)) = &failed.phase else { panic!("{:?}", failed.phase) };
    assert_eq!(reason.failure, Some(failure));
}

#[test]
fn what_ec2_says_is_kept_without_sensitive_values() {
    let mut build = build();
    build.spec.sensitive = vec!["hunter2".into()];
    let (resolving, _) = next(&build, Event::Tick, Timestamp(0));
    let fault = Fault::new(FaultKind::Permanent, "RegisterImage web-hunter2: that name is taken");
    let (failed, _) = next(&resolving, Event::Result { step: Step::Resolve, outcome: Err(fault) }, Timestamp(1));
    let Phase::Failed(reason) = &failed.phase else { panic!("{:?}", failed.phase) };
    assert_eq!(reason.message, "RegisterImage web-<sensitive>: that name is taken");
}

#[test]
fn a_job_whose_sending_is_in_doubt_is_stopped_all_the_same() {
    let mut build = provisioning();
    build.phase = Phase::Attaching;
    build.resources.job = JobStage::None;
    let (sending, commands) = next(&build, Event::Tick, Timestamp(0));
    assert!(commands.contains(&"send job to bakery".to_owned()), "{commands:?}");
    let fault = Fault::new(FaultKind::Ambiguous, "no answer");
    let (mark_uncertain, _) = next(&sending, Event::Result { step: Step::SendJob, outcome: Err(fault) }, Timestamp(1));
    let (undoing, commands) = next(&mark_uncertain, Event::Cancel, Timestamp(2));
    assert!(commands.iter().all(|command| !command.starts_with("detach")), "{commands:?}");
    // It is at work: heard, though nobody knows that it was sent.
    let (working, commands) = next(&undoing, agent(1, ReportBody::Heartbeat), Timestamp(3));
    assert!(working.resources.job.may_run());
    assert!(commands.contains(&"stop job on bakery".to_owned()), "{commands:?}");
}

#[test]
fn a_report_of_another_host_is_refused() {
    let verdict = decide(&build(), agent(1, ReportBody::Heartbeat), Timestamp(0));
    assert!(matches!(verdict, Decision::Reject(_)), "{verdict:?}");
}

#[test]
fn a_job_that_somebody_else_cancelled_makes_no_image_though_its_volume_is_free() {
    let cancelled = || agent(1, ReportBody::Ended(Outcome::Cancelled { proof: Some(proof()) }));
    let Decision::Advance { next, commands, .. } = decide(&provisioning(), cancelled(), Timestamp(1)) else { panic!() };
    assert!(matches!(next.phase, Phase::Undoing(UndoReason::Again { .. })), "{:?}", next.phase);
    assert!(commands.iter().all(|command| command.creates_in().is_none()), "{commands:?}");
    // On this machine it is not begun anew.
    let mut local = provisioning();
    local.timing = Timing::LOCAL;
    let Decision::Advance { next, .. } = decide(&local, cancelled(), Timestamp(1)) else { panic!() };
    assert!(matches!(next.phase, Phase::Undoing(UndoReason::Failed(_))), "{:?}", next.phase);
}

#[test]
fn a_word_on_an_earlier_attempt_counts_for_nothing() {
    let mut second = provisioning();
    second.attempt = 2;
    let verdict = decide(&second, agent(1, ReportBody::Ended(Outcome::Done(proof()))), Timestamp(1));
    assert!(matches!(verdict, Decision::Reject(_)), "{verdict:?}");
}
