//! What happens because time has passed: a phase times out, or the agent counts as dead.

use alloc::{
    format,
    string::{String, ToString as _},
};
use bakehouse_protocol::{Millis, Timestamp};

use crate::{Build, FailureReason, JobStage, Phase, UndoReason, advance, build::PhaseName, failing, retiring};

/// Ends the phase if it has timed out, and the job if its agent counts as dead.
pub(crate) fn enforce(build: &mut Build, now: Timestamp) {
    if let Some(at) = agent_deadline(build).filter(|at| *at <= now) {
        on_silent_agent(build, at, now);
    }
    let timeout = build.timing.timeout(build.phase.name());
    if now < build.phase_began() + timeout {
        return;
    }
    match &build.phase {
        Phase::Undoing(reason) => {
            // Waiting longer would not help: the build ends, and its leftovers are listed for the operator.
            let reason = reason.clone();
            build.leftovers = advance::leftovers(build);
            build.phase = match reason {
                UndoReason::Failed(reason) => Phase::Failed(reason),
                UndoReason::Cancelled => Phase::Cancelled,
                // Another attempt beside what can't be removed would add more leftovers each time.
                UndoReason::Restart { message } => {
                    Phase::Failed(FailureReason { phase: PhaseName::Undoing, message, hint: None, failure: None })
                }
            };
            build.in_flight.clear();
        }
        Phase::Retiring => retiring::stop(build, &format!("it took longer than {timeout}")),
        phase => {
            let phase = phase.name();
            let (cause, hint) = match failing::latest(&build.failing) {
                Some(last) => {
                    let what = if last.is_fault() { "fault" } else { "answer" };
                    (format!("; the last {what}: {}", last.fault.message), last.fault.hint.clone())
                }
                None => (String::new(), None),
            };
            build.fail(format!("{phase} took longer than {timeout}{cause}"), hint);
        }
    }
}

/// Handles an agent that counts as dead since `at`.
fn on_silent_agent(build: &mut Build, at: Timestamp, now: Timestamp) {
    let heartbeats = |n: u64| Millis(build.timing.heartbeat.0 * n);
    // The time of a last report with which the agent counts as dead after `wait`.
    let dead_after = |wait| Timestamp(now.0.saturating_sub(build.timing.silence.0)) + wait;
    match (&mut build.resources.job, &build.phase) {
        // This event itself comes late: no report was read meanwhile, and some may be waiting in the queue beside it.
        (JobStage::Running { last_report }, _) if at + heartbeats(2) < now => {
            *last_report = dead_after(heartbeats(2));
            return;
        }
        // It was told to stop, or should have been gone long ago. Whatever it did has ended, as far as can be known:
        // the volume is detached from its host.
        (job, Phase::Undoing(_)) => {
            *job = JobStage::Ended { proof: None, failure: None };
            return;
        }
        // It may be alive and only unable to report: it is told to stop and has a little time to report that.
        (JobStage::Running { last_report }, _) => *last_report = dead_after(heartbeats(3)),
        _ => {}
    }
    let host = build.resources.lease.as_ref().map_or_else(|| "its host".into(), |lease| lease.host.to_string());
    build.lose_host(
        format!("the agent on {host} has sent no report for {}", build.timing.silence),
        Some(format!("read the agent's log on {host}; the build can be started again")),
        None,
    );
}

/// Returns when the agent counts as dead unless it reports before. For an agent that was sent its job and has reported
/// nothing, the time starts when its disk was attached, or when it was told to stop.
fn agent_deadline(build: &Build) -> Option<Timestamp> {
    match build.resources.job {
        JobStage::Running { last_report } => Some(last_report + build.timing.silence),
        JobStage::Sent if matches!(build.phase, Phase::Provisioning | Phase::Undoing(_)) => {
            Some(build.phase_began() + build.timing.silence)
        }
        // The volume may still be on its way; but it can't be attached to a host that is gone.
        JobStage::Sent if build.phase == Phase::Attaching => {
            Some(build.phase_began() + build.timing.disk_timeout + build.timing.silence)
        }
        _ => None,
    }
}

/// Returns the moments after `now` at which the phase times out, the agent counts as dead, or the lease must be
/// renewed.
pub(crate) fn upcoming(build: &Build, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let phase = build.phase_began() + build.timing.timeout(build.phase.name());
    let agent = agent_deadline(build);
    let lease = build.resources.lease.as_ref().map(|lease| lease.renewal(build.timing.lease_duration));
    [Some(phase), agent, lease].into_iter().flatten().filter(move |at| now < *at)
}
