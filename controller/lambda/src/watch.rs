//! What is logged, measured and told of a build. Changes nothing.

use bakehouse_controller::drive::Watch;
use bakehouse_machine::{Build, Event, FailureReason, Phase, UndoReason};
use bakehouse_protocol::{BuildId, Timestamp};
use serde_json::{Value, json};

use crate::{
    incoming::short,
    metrics::{Metric, Metrics},
};

/// Tells the log and the metrics of one build's saved states, and gathers what is told to those who watch it: lines as
/// `bakehouse build --json` has them.
#[derive(Debug)]
pub struct Watcher<'a> {
    metrics: &'a Metrics,
    build: BuildId,
    told: Vec<(Timestamp, String)>,
    /// The build has given its slot back.
    pub freed: bool,
}

impl<'a> Watcher<'a> {
    /// A watcher for this build.
    pub fn new(metrics: &'a Metrics, build: &BuildId) -> Self {
        Self { metrics, build: build.clone(), told: vec![], freed: false }
    }

    /// What is to be told and has not been given yet, oldest first.
    pub fn told(&mut self) -> Vec<(Timestamp, String)> {
        std::mem::take(&mut self.told)
    }

    fn tell(&mut self, at: Timestamp, mut event: Value) {
        let millis = i64::try_from(at.0).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        event["build"] = self.build.as_str().into();
        event["at"] = millis.map(|at| format!("{at:.3}")).into();
        self.told.push((at, event.to_string()));
    }
}

impl Watcher<'_> {
    fn failing(&mut self, build: &Build, reason: &FailureReason) {
        failing(build, reason);
        let FailureReason { phase, message, hint, failure } = reason;
        let tail = failure.as_ref().map(|failure| failure.tail.clone()).unwrap_or_default();
        let event =
            json!({ "event": "failed", "phase": phase.as_str(), "message": message, "hint": hint, "tail": tail });
        self.tell(build.phase_began(), event);
    }
}

impl Watch for Watcher<'_> {
    fn saved(&mut self, before: &Build, after: &Build) {
        self.freed |= before.resources.lease.is_some() && after.resources.lease.is_none();
        let begun = before.history.len().min(after.history.len());
        for (at, (phase, began)) in after.history.iter().enumerate().skip(begun) {
            tracing::info!(build = %after.id, recipe = after.recipe, attempt = after.attempt, %phase, "phase");
            self.tell(*began, json!({ "event": "phase", "phase": phase.as_str() }));
            if let Some((last, since)) = at.checked_sub(1).and_then(|last| after.history.get(last)) {
                self.metrics.time(Metric::PhaseSeconds(*last), began.since(*since));
            }
        }
        if let (Phase::Undoing(ending), false) = (&after.phase, matches!(before.phase, Phase::Undoing(_))) {
            match ending {
                UndoReason::Failed(reason) => self.failing(after, reason),
                UndoReason::Cancelled => tracing::info!(build = %after.id, recipe = after.recipe, "is being cancelled"),
                UndoReason::Restart { message } => {
                    tracing::warn!(build = %after.id, recipe = after.recipe, why = message, "begins anew: its host was lost");
                    let text = format!("{message}: the build begins anew");
                    self.tell(after.phase_began(), json!({ "event": "note", "text": text }));
                }
            }
        }
        if after.phase.has_ended() && !before.phase.has_ended() {
            // It turned back with nothing to undo: nothing has been said of why yet.
            if let (Phase::Failed(reason), false) = (&after.phase, matches!(before.phase, Phase::Undoing(_))) {
                self.failing(after, reason);
            }
            ended(self.metrics, after);
        }
    }

    fn refused(&mut self, event: &Event, why: &str) {
        self.metrics.count(Metric::MessagesRefused);
        tracing::warn!(build = %self.build, event = short(&format!("{event:?}")), why, "refused");
    }
}

/// Logs why a build fails.
pub fn failing(build: &Build, reason: &FailureReason) {
    let (during, why, hint) = (reason.phase.as_str(), &reason.message, reason.hint.as_deref());
    tracing::error!(build = %build.id, recipe = build.recipe, during, why, hint, "fails");
}

/// Logs and counts a build that has ended.
pub fn ended(metrics: &Metrics, build: &Build) {
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
    tracing::info!(build = %build.id, recipe = build.recipe, %phase, milliseconds = took.0, images, "ended");
    if !build.leftovers.is_empty() {
        tracing::error!(build = %build.id, recipe = build.recipe, left = build.leftovers.join(", "), "left behind");
    }
}
