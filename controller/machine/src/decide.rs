//! The decision: what follows from an event for a build.

use alloc::vec::Vec;
use bakehouse_protocol::Timestamp;

use crate::{Build, Command, Event, Phase, advance, apply_event, deadline, schedule, undo};

/// What follows from an event.
#[expect(clippy::large_enum_variant, reason = "nearly every decision is the large variant")]
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Save `next`, then perform `commands`, and send [`Event::Tick`] at `next_tick` at the latest.
    Advance {
        /// The next record of the build.
        next: Build,
        /// The commands to perform. All of them are in `next` as in flight.
        commands: Vec<Command>,
        /// When to send the next tick; `None` once the build has ended.
        next_tick: Option<Timestamp>,
    },
    /// The event says nothing new.
    Ignore,
    /// The event can't be true of this build, for this reason. The caller logs it and drops it.
    Reject(&'static str),
}

/// Decides what follows from `event` for `build` at the time `now`.
pub fn decide(build: &Build, event: Event, now: Timestamp) -> Decision {
    let is_reopened = matches!(event, Event::RemoveLeftovers) && !build.leftovers.is_empty();
    if build.phase.has_ended() && !is_reopened {
        return Decision::Ignore;
    }
    let mut next = build.clone();
    match apply_event::apply_event(&mut next, event, now) {
        apply_event::Applied::Changed => {}
        apply_event::Applied::Nothing => return Decision::Ignore,
        apply_event::Applied::Impossible(reason) => return Decision::Reject(reason),
    }
    next.record_phase(now);
    deadline::enforce(&mut next, now);
    next.record_phase(now);
    let mut commands = Vec::new();
    while !next.phase.has_ended() {
        let before = next.phase.clone();
        let wanted = match next.phase {
            Phase::Undoing(_) => undo::undo(&mut next, now),
            _ => advance::advance(&mut next, now),
        };
        schedule::issue(&mut next, wanted, &mut commands, now);
        next.record_phase(now);
        if next.phase == before {
            break;
        }
    }
    if next.phase.has_ended() {
        // Nothing is retried any more.
        next.failing.clear();
    }
    let next_tick = schedule::next_tick(&next, now);
    Decision::Advance { next, commands, next_tick }
}
