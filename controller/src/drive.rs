//! Load, decide, save, perform: the one loop that drives builds, on every backend.
//!
//! Guarantees: a command is performed only after the record that names it is saved; the next tick is scheduled before
//! anything is performed, so that a crash in between is noticed; if two processes decide concurrently, the store
//! refuses the second save, and that process decides again on the new record.

use std::collections::VecDeque;

use bakehouse_machine::{
    Build, Command, Decision, Event, Fault, FaultKind, Output, decide, masked, schedule::next_tick,
};
use bakehouse_protocol::{BuildId, Report, Timestamp, mask::Mask};
use tracing::{Instrument as _, Span};

use crate::{
    backend::Backend,
    perform::perform,
    ports::{Clock, Inbox, Store, StoreError, Version},
};

/// Receives everything that happens to a build, for output and logs. Changes nothing.
pub trait Observer {
    /// A new state of the record has been saved.
    fn saved(&mut self, before: &Build, after: &Build);
    /// An event that can't be true of the build was dropped.
    fn rejected(&mut self, event: &Event, why: &str);
    /// The agent has sent a report.
    fn report_received(&mut self, report: &Report) {
        let _ = report;
    }
}

/// How often a conflicting save is retried before the event fails.
const MAX_SAVE_ATTEMPTS: u32 = 10;

/// Handles one event of one build, and the results of the commands that it leads to. Returns the saved record, and the
/// time of the next tick (`None` once the build has ended).
///
/// # Errors
/// [`StoreError`] if the record can't be loaded or saved; the event then counts as not handled and must be delivered
/// again.
pub async fn handle<B: Backend>(
    backend: &B,
    id: &BuildId,
    event: Event,
    observer: &mut (dyn Observer + Send),
) -> Result<(Build, Option<Timestamp>), StoreError> {
    let mut events = VecDeque::from([event]);
    let mut last = None;
    let mut failed = None;
    // With the embedded cloud a whole build can run in this loop, so cancellation is checked in each round.
    while let Some(event) = backend.inbox().urgent(id).or_else(|| events.pop_front()) {
        let step = match step(backend, id, event, observer).await {
            Ok(step) => step,
            // The remaining results are handled all the same: a result that is lost is waited for until its time-out.
            Err(error) if !events.is_empty() => {
                failed.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(failed.unwrap_or(error)),
        };
        for command in &step.commands {
            let outcome = perform_logged(backend, &step.build, command).instrument(span(&step.build)).await;
            events.push_back(Event::Result { key: command.key(), outcome });
        }
        last = Some((step.build, step.next_tick));
    }
    match (failed, last) {
        (Some(error), _) => Err(error),
        (None, last) => last.ok_or_else(|| StoreError::NotFound(id.clone())),
    }
}

/// Returns the span of everything that is done for a build.
fn span(build: &Build) -> Span {
    tracing::info_span!("build", build = %build.id, attempt = build.attempt, phase = %build.phase.name())
}

/// Performs a command and logs it, and its fault: at debug level if the resource is only not ready yet.
async fn perform_logged<B: Backend>(backend: &B, build: &Build, command: &Command) -> Result<Output, Fault> {
    let mask = Mask::new(&build.spec.sensitive);
    let text = command.to_string();
    let command_text = mask.apply(&text);
    tracing::debug!(command = %command_text, "performing command");
    let outcome = perform(backend, build, command).await;
    match &outcome {
        Ok(_) => tracing::debug!(command = %command_text, "command performed"),
        Err(fault) => {
            let Fault { kind, message, hint } = masked(build, fault.clone());
            if kind == FaultKind::NotReady {
                tracing::debug!(command = %command_text, ?kind, fault = message, "resource not ready yet");
            } else {
                tracing::warn!(command = %command_text, ?kind, fault = message, hint, "command failed");
            }
        }
    }
    outcome
}

struct Step {
    build: Build,
    commands: Vec<Command>,
    next_tick: Option<Timestamp>,
}

async fn step<B: Backend>(
    backend: &B,
    id: &BuildId,
    event: Event,
    observer: &mut (dyn Observer + Send),
) -> Result<Step, StoreError> {
    for _ in 0..MAX_SAVE_ATTEMPTS {
        let (build, version) = backend.store().load(id).await?;
        let span = span(&build);
        let saved = decide_and_save(backend, build, version, &event, observer).instrument(span).await?;
        if let Some(step) = saved {
            return Ok(step);
        }
    }
    Err(StoreError::Conflict(id.clone()))
}

/// Decides on an event and saves the next record. `None`: the record was changed meanwhile, and nothing was saved.
async fn decide_and_save<B: Backend>(
    backend: &B,
    build: Build,
    version: Version,
    event: &Event,
    observer: &mut (dyn Observer + Send),
) -> Result<Option<Step>, StoreError> {
    let id = &build.id.clone();
    let now = backend.clock().now();
    let (next, commands, next_tick) = match decide(&build, event.clone(), now) {
        Decision::Advance { next, commands, next_tick } => (next, commands, next_tick),
        Decision::Ignore => return Ok(Some(unchanged(build, now))),
        Decision::Reject(why) => {
            observer.rejected(event, why);
            return Ok(Some(unchanged(build, now)));
        }
    };
    if next != build {
        match backend.store().save(&next, version).await {
            Ok(_) => {
                log_repeated_failures(&build, &next);
                observer.saved(&build, &next);
            }
            Err(StoreError::Conflict(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    if let Some(at) = next_tick {
        backend.inbox().wake(id, at).await?;
    }
    Ok(Some(Step { build: next, commands, next_tick }))
}

/// Logs commands that keep failing: from the third time on, and again when the fault changes.
fn log_repeated_failures(before: &Build, after: &Build) {
    for failing in after.newly_reportable_failures(before) {
        let (times, seconds, hint) = (failing.times, failing.duration().0 / 1000, failing.fault.hint.as_deref());
        tracing::warn!(fault = %failing.fault, times, seconds, hint, "command keeps failing, retrying");
    }
}

/// Returns the decision for an event without effect: the next tick stays, or is soon if its time has passed.
fn unchanged(build: Build, now: Timestamp) -> Step {
    let soon = now + build.timing.poll_max;
    let next_tick = (!build.phase.has_ended()).then(|| next_tick(&build, now).map_or(soon, |at| at.min(soon)));
    Step { build, commands: vec![], next_tick }
}
