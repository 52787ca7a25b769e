//! Load, decide, save, perform: the one loop that moves builds, in every place.
//!
//! What is promised: a command is performed only after the record that says so has been saved; the next look is arranged
//! before anything is performed, so that a death in between is noticed; of two that decide at once one is refused by the
//! store and decides again on what the other saved.

use std::collections::VecDeque;

use bakehouse_machine::{
    Build, Command, Decision, Event, Fault, FaultKind, Output, decide, masked, schedule::next_tick,
};
use bakehouse_protocol::{BuildId, Report, Timestamp, mask::Mask};
use tracing::{Instrument as _, Span};

use crate::{
    perform::perform,
    place::Place,
    ports::{Clock, Inbox, Store, StoreError, Version},
};

/// Is told of everything that happens to a build, for people to see. Changes nothing.
pub trait Watch {
    /// A new state of the record has been saved.
    fn saved(&mut self, before: &Build, after: &Build);
    /// A message made no sense for the build and was dropped.
    fn refused(&mut self, event: &Event, why: &str);
    /// The agent said something.
    fn said(&mut self, report: &Report) {
        let _ = report;
    }
}

/// How often a refused save is tried again before the message is left to be delivered anew.
const CONFLICTS: u32 = 10;

/// Handles one event for one build and everything that follows from it at once. Gives the record as it is then, and the
/// moment by which it must be looked at again (`None` once it has ended).
///
/// # Errors
/// [`StoreError`] if the record can't be loaded or saved; the event then counts as not handled and must come again.
pub async fn handle<P: Place>(
    place: &P,
    id: &BuildId,
    event: Event,
    watch: &mut (dyn Watch + Send),
) -> Result<(Build, Option<Timestamp>), StoreError> {
    let mut events = VecDeque::from([event]);
    let mut last = None;
    let mut failed = None;
    // Where every answer comes at once, a whole build can follow from one event: a wish to cancel is looked for each time.
    while let Some(event) = place.inbox().urgent(id).or_else(|| events.pop_front()) {
        let step = match step(place, id, event, watch).await {
            Ok(step) => step,
            // The results of what has been performed are told all the same: one that is not is waited for in vain.
            Err(error) if !events.is_empty() => {
                failed.get_or_insert(error);
                continue;
            }
            Err(error) => return Err(failed.unwrap_or(error)),
        };
        for command in &step.commands {
            let outcome = perform_logged(place, &step.build, command).instrument(span(&step.build)).await;
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

/// Performs a command and logs it, and its fault: at the level debug where the thing is only not ready yet, which is what
/// most waiting is.
async fn perform_logged<P: Place>(place: &P, build: &Build, command: &Command) -> Result<Output, Fault> {
    let mask = Mask::new(&build.spec.sensitive);
    let shown = command.to_string();
    let command_text = mask.apply(&shown);
    tracing::debug!(command = %command_text, "performing");
    let outcome = perform(place, build, command).await;
    match &outcome {
        Ok(_) => tracing::debug!(command = %command_text, "performed"),
        Err(fault) => {
            let Fault { kind, message, hint } = masked(build, fault.clone());
            if kind == FaultKind::NotReady {
                tracing::debug!(command = %command_text, ?kind, fault = message, "not ready yet");
            } else {
                tracing::warn!(command = %command_text, ?kind, fault = message, hint, "a command failed");
            }
        }
    }
    outcome
}

struct Decided {
    build: Build,
    commands: Vec<Command>,
    next_tick: Option<Timestamp>,
}

async fn step<P: Place>(
    place: &P,
    id: &BuildId,
    event: Event,
    watch: &mut (dyn Watch + Send),
) -> Result<Decided, StoreError> {
    for _ in 0..CONFLICTS {
        let (build, version) = place.store().load(id).await?;
        let span = span(&build);
        let decided = decide_and_save(place, build, version, &event, watch).instrument(span).await?;
        if let Some(decided) = decided {
            return Ok(decided);
        }
    }
    Err(StoreError::Conflict(id.clone()))
}

/// Decides what follows from an event, and saves it. None: the record was changed meanwhile, and nothing was saved.
async fn decide_and_save<P: Place>(
    place: &P,
    build: Build,
    version: Version,
    event: &Event,
    watch: &mut (dyn Watch + Send),
) -> Result<Option<Decided>, StoreError> {
    let id = &build.id.clone();
    let now = place.clock().now();
    let (next, commands, next_tick) = match decide(&build, event.clone(), now) {
        Decision::Advance { next, commands, next_tick } => (next, commands, next_tick),
        Decision::Ignore => return Ok(Some(unchanged(build, now))),
        Decision::Reject(why) => {
            watch.refused(event, why);
            return Ok(Some(unchanged(build, now)));
        }
    };
    if next != build {
        match place.store().save(&next, version).await {
            Ok(_) => {
                tell_failing(&build, &next);
                watch.saved(&build, &next);
            }
            Err(StoreError::Conflict(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    if let Some(at) = next_tick {
        place.inbox().wake(id, at).await?;
    }
    Ok(Some(Decided { build: next, commands, next_tick }))
}

/// Logs what goes on failing: from the third time on, and again when the reason is another one.
fn tell_failing(before: &Build, after: &Build) {
    for failing in after.newly_reportable_failures(before) {
        let (times, seconds, hint) = (failing.times, failing.duration().0 / 1000, failing.fault.hint.as_deref());
        tracing::warn!(fault = %failing.fault, times, seconds, hint, "goes on failing, and is tried again");
    }
}

/// Nothing follows: the build is looked at when it was to be, and before long if that time has passed.
fn unchanged(build: Build, now: Timestamp) -> Decided {
    let soon = now + build.timing.poll_max;
    let next_tick = (!build.phase.has_ended()).then(|| next_tick(&build, now).map_or(soon, |at| at.min(soon)));
    Decided { build, commands: vec![], next_tick }
}
