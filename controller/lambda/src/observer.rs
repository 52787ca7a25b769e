//! Writes a build's saved states to the function's log, the metrics and the build's log. Changes nothing.

use bakehouse_controller::drive::Observer;
use bakehouse_machine::{Build, Event, FailureReason, Phase, UndoReason};
use bakehouse_protocol::{BuildId, Timestamp};
use serde_json::{Value, json};

use crate::{
    incoming::excerpt,
    metrics::{Metric, Metrics},
};

/// Logs and measures one build's saved states, and collects the lines for the build's log, in the format of
/// `bakehouse build --json`.
#[derive(Debug)]
pub struct BuildObserver<'a> {
    metrics: &'a Metrics,
    build: BuildId,
    log_lines: Vec<(Timestamp, String)>,
    /// The build has released its slot.
    pub freed: bool,
}

impl<'a> BuildObserver<'a> {
    /// Returns an observer for this build.
    pub fn new(metrics: &'a Metrics, build: &BuildId) -> Self {
        Self { metrics, build: build.clone(), log_lines: vec![], freed: false }
    }

    /// Returns the log lines that have not been returned yet, oldest first.
    pub fn take_log_lines(&mut self) -> Vec<(Timestamp, String)> {
        std::mem::take(&mut self.log_lines)
    }

    fn log(&mut self, at: Timestamp, mut event: Value) {
        let millis = i64::try_from(at.0).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        event["build"] = self.build.as_str().into();
        event["at"] = millis.map(|at| format!("{at:.3}")).into();
        self.log_lines.push((at, event.to_string()));
    }
}

impl BuildObserver<'_> {
    fn failed(&mut self, build: &Build, reason: &FailureReason) {
        log_failed(build, reason);
        let FailureReason { phase, message, hint, failure } = reason;
        let tail = failure.as_ref().map(|failure| failure.tail.clone()).unwrap_or_default();
        let event =
            json!({ "event": "failed", "phase": phase.as_str(), "message": message, "hint": hint, "tail": tail });
        self.log(build.phase_began(), event);
    }
}

impl Observer for BuildObserver<'_> {
    fn saved(&mut self, before: &Build, after: &Build) {
        self.freed |= before.resources.lease.is_some() && after.resources.lease.is_none();
        let begun = before.history.len().min(after.history.len());
        for (at, (phase, began)) in after.history.iter().enumerate().skip(begun) {
            tracing::info!(build = %after.id, recipe = after.recipe, attempt = after.attempt, %phase, "phase started");
            self.log(*began, json!({ "event": "phase", "phase": phase.as_str() }));
            if let Some((last, since)) = at.checked_sub(1).and_then(|last| after.history.get(last)) {
                self.metrics.time(Metric::PhaseSeconds(*last), began.since(*since));
            }
        }
        if let (Phase::Undoing(reason), false) = (&after.phase, matches!(before.phase, Phase::Undoing(_))) {
            match reason {
                UndoReason::Failed(reason) => self.failed(after, reason),
                UndoReason::Cancelled => {
                    tracing::info!(build = %after.id, recipe = after.recipe, "cancelling the build")
                }
                UndoReason::Restart { message } => {
                    tracing::warn!(build = %after.id, recipe = after.recipe, why = message, "host lost, restarting the build");
                    let text = format!("{message}: the build begins anew");
                    self.log(after.phase_began(), json!({ "event": "note", "text": text }));
                }
            }
        }
        if after.phase.has_ended() && !before.phase.has_ended() {
            // It failed with nothing to undo: the reason has not been logged yet.
            if let (Phase::Failed(reason), false) = (&after.phase, matches!(before.phase, Phase::Undoing(_))) {
                self.failed(after, reason);
            }
            record_end(self.metrics, after);
        }
    }

    fn rejected(&mut self, event: &Event, why: &str) {
        self.metrics.count(Metric::MessagesRefused);
        tracing::warn!(build = %self.build, event = excerpt(&format!("{event:?}")), why, "event rejected");
    }
}

/// Logs why a build fails.
pub fn log_failed(build: &Build, reason: &FailureReason) {
    let (during, why, hint) = (reason.phase.as_str(), &reason.message, reason.hint.as_deref());
    tracing::error!(build = %build.id, recipe = build.recipe, during, why, hint, "build failed");
}

/// Logs and counts a build that has ended.
pub fn record_end(metrics: &Metrics, build: &Build) {
    let took = build.phase_began().since(build.accepted_at);
    let metric = match &build.phase {
        Phase::Succeeded => Metric::BuildsSucceeded,
        Phase::Cancelled => Metric::BuildsCancelled,
        _ => Metric::BuildsFailed,
    };
    metrics.count(metric);
    metrics.time(Metric::BuildSeconds, took);
    let images: Vec<String> = match build.phase {
        Phase::Succeeded => {
            build.resources.images.iter().map(|image| format!("{} in {}", image.id, image.region)).collect()
        }
        _ => vec![],
    };
    let (phase, images) = (build.phase.name(), images.join(", "));
    tracing::info!(build = %build.id, recipe = build.recipe, %phase, milliseconds = took.0, images, "build ended");
    if !build.leftovers.is_empty() {
        tracing::error!(build = %build.id, recipe = build.recipe, left = build.leftovers.join(", "), "resources left behind");
    }
}
