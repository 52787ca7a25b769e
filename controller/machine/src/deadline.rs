//! What happens because time has passed: a phase that takes too long, an agent that has fallen silent, a lease that must
//! be renewed.

use alloc::{
    format,
    string::{String, ToString as _},
};
use bakehouse_protocol::{Millis, Timestamp};

use crate::{Build, JobStage, Phase, Reason, UndoReason, advance, build::PhaseName, failing};

/// Ends what has taken too long.
pub(crate) fn enforce(build: &mut Build, now: Timestamp) {
    if let Some(at) = dead_from(build).filter(|at| *at <= now) {
        silent(build, at, now);
    }
    let limit = build.timing.deadline(build.phase.name());
    if now < build.phase_began() + limit {
        return;
    }
    match &build.phase {
        Phase::Undoing(ending) => {
            // Waiting longer would not help: the build ends, and what is left is named for the operator.
            let ending = ending.clone();
            build.left = advance::remaining(build);
            build.phase = match ending {
                UndoReason::Failed(reason) => Phase::Failed(reason),
                UndoReason::Cancelled => Phase::Cancelled,
                // Beginning anew beside what can't be removed would leave ever more behind.
                UndoReason::Again { why } => {
                    Phase::Failed(Reason { phase: PhaseName::Undoing, message: why, hint: None, failure: None })
                }
            };
            build.in_flight.clear();
        }
        phase => {
            let phase = phase.name();
            let (why, hint) = match failing::last(&build.failing) {
                Some(last) => {
                    let what = if last.is_fault() { "fault" } else { "answer" };
                    (format!("; the last {what}: {}", last.fault.message), last.fault.hint.clone())
                }
                None => (String::new(), None),
            };
            build.fail(format!("{phase} took longer than {limit}{why}"), hint);
        }
    }
}

/// The agent has said nothing since so long that it counts as dead from `at` on.
fn silent(build: &mut Build, at: Timestamp, now: Timestamp) {
    let beats = |n: u64| Millis(build.timing.heartbeat.0 * n);
    let dead_in = |wait| Timestamp(now.0.saturating_sub(build.timing.silence.0)) + wait;
    match (&mut build.resources.job, &build.phase) {
        // This look comes late itself: nobody has listened meanwhile, and what the agent said may wait beside it.
        (JobStage::Running { heard }, _) if at + beats(2) < now => {
            *heard = dead_in(beats(2));
            return;
        }
        // It was told to stop, or should be gone long since. Whatever it did has ended, as far as we can ever know: the
        // volume is taken from it.
        (job, Phase::Undoing(_)) => {
            *job = JobStage::Ended { proof: None, failure: None };
            return;
        }
        // It may live, and only not be heard: it is told to stop, and has a little time for a word on that.
        (JobStage::Running { heard }, _) => *heard = dead_in(beats(3)),
        _ => {}
    }
    let host = build.resources.lease.as_ref().map_or_else(|| "its host".into(), |lease| lease.host.to_string());
    build.lose(
        format!("the agent on {host} has not been heard of for {}", build.timing.silence),
        Some(format!("look at the agent's log on {host}; the build can be started again")),
    );
}

/// When the agent counts as dead unless something is heard. One that was sent its job and says nothing at all has until
/// then from the moment its disk was there, or from the moment it was told to stop.
fn dead_from(build: &Build) -> Option<Timestamp> {
    match build.resources.job {
        JobStage::Running { heard } => Some(heard + build.timing.silence),
        JobStage::Sent if matches!(build.phase, Phase::Provisioning | Phase::Undoing(_)) => {
            Some(build.phase_began() + build.timing.silence)
        }
        // The volume may still be on its way; but a host that is gone can't have it attached.
        JobStage::Sent if build.phase == Phase::Attaching => {
            Some(build.phase_began() + build.timing.disk + build.timing.silence)
        }
        _ => None,
    }
}

/// The next moments at which something here is due.
pub(crate) fn next(build: &Build, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let phase = build.phase_began() + build.timing.deadline(build.phase.name());
    let heard = dead_from(build);
    let lease = build.resources.lease.as_ref().map(|lease| lease.renewal(build.timing.lease));
    [Some(phase), heard, lease].into_iter().flatten().filter(move |at| now < *at)
}
