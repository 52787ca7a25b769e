//! The decision: what follows from an event for a build.

use alloc::vec::Vec;
use bakehouse_protocol::Timestamp;

use crate::{Build, Command, Event, Phase, advance, apply_event, deadline, schedule, undo};

/// What follows from an event.
#[expect(clippy::large_enum_variant, reason = "nearly every verdict is the large one")]
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Save `next`, then perform `commands`, and come back with [`Event::Tick`] at `look_again` at the latest.
    Advance {
        /// The build as it is now.
        next: Build,
        /// What to do, all of it already recorded as open in `next`.
        commands: Vec<Command>,
        /// When to look again; `None` once the build has ended.
        look_again: Option<Timestamp>,
    },
    /// The event says nothing new.
    Ignore,
    /// The event can't be true of this build. The caller logs it and drops it.
    Reject(&'static str),
}

/// Decides what follows from `event` for `build` at the time `now`.
pub fn decide(build: &Build, event: Event, now: Timestamp) -> Decision {
    if build.phase.has_ended() {
        return Decision::Ignore;
    }
    let mut next = build.clone();
    match apply_event::apply_event(&mut next, event, now) {
        apply_event::Applied::Yes => {}
        apply_event::Applied::Nothing => return Decision::Ignore,
        apply_event::Applied::Impossible(why) => return Decision::Reject(why),
    }
    next.note_phase(now);
    deadline::enforce(&mut next, now);
    next.note_phase(now);
    let mut commands = Vec::new();
    while !next.phase.has_ended() {
        let before = next.phase.clone();
        let wanted = match next.phase {
            Phase::Undoing(_) => undo::undo(&mut next, now),
            _ => advance::advance(&mut next, now),
        };
        schedule::issue(&mut next, wanted, &mut commands, now);
        next.note_phase(now);
        if next.phase == before {
            break;
        }
    }
    if next.phase.has_ended() {
        // Nothing is tried again any more.
        next.failing.clear();
    }
    let look_again = schedule::look_again(&next, now);
    Decision::Advance { next, commands, look_again }
}
