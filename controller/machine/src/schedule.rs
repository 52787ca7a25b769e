//! Which of the wanted commands are issued now, and when the next tick is due.

use alloc::vec::Vec;
use bakehouse_protocol::{Millis, Timestamp};

use crate::{
    Build, Command, CommandKey, Timing,
    build::{Backoff, InFlight},
};

/// Adds to `issued` those of the wanted commands that are neither in flight nor backing off, and those in flight whose
/// results count as lost. All of them are in flight afterwards.
pub(crate) fn issue(build: &mut Build, wanted: Vec<Command>, issued: &mut Vec<Command>, now: Timestamp) {
    for entry in &mut build.in_flight {
        if now < result_deadline(entry, &build.timing) {
            continue;
        }
        if let Command::CreateSnapshot { again, .. } = &mut entry.command {
            *again = true;
        }
        if let Some(region) = entry.command.creates_in() {
            build.resources.mark_ambiguous(&region);
        }
        entry.since = now;
        issued.push(entry.command.clone());
    }
    let keys: Vec<CommandKey> = wanted.iter().map(Command::key).collect();
    for command in wanted {
        let key = command.key();
        let in_flight = build.in_flight.iter().any(|entry| entry.command.key() == key);
        let must_wait = build.backoffs.iter().any(|backoff| backoff.key == key && now < backoff.until);
        if in_flight || must_wait {
            continue;
        }
        if let Some(region) = command.creates_in() {
            build.resources.record_create(&region, now);
        }
        build.in_flight.push(InFlight { command: command.clone(), since: now });
        issued.push(command);
    }
    // A command that is no longer wanted is no longer retried.
    let Build { failing, in_flight, .. } = build;
    failing.retain(|failing| {
        keys.contains(&failing.key) || in_flight.iter().any(|entry| entry.command.key() == failing.key)
    });
}

/// Returns when the result of a command in flight counts as lost.
fn result_deadline(entry: &InFlight, timing: &Timing) -> Timestamp {
    let creates = entry.command.creates_in().is_some();
    entry.since + if creates { timing.create_timeout } else { timing.command_timeout }
}

/// Makes a command wait before it is issued again. `wait` returns for how long after so many waits in a row.
pub(crate) fn back_off(build: &mut Build, key: CommandKey, now: Timestamp, wait: impl Fn(u32) -> Millis) {
    match build.backoffs.iter_mut().find(|backoff| backoff.key == key) {
        Some(backoff) => {
            backoff.tries += 1;
            backoff.until = now + wait(backoff.tries);
        }
        None => build.backoffs.push(Backoff { key, tries: 1, until: now + wait(1) }),
    }
}

/// Returns when the next tick is due if no other event comes before: when the first backoff is over, the result of a
/// command in flight counts as lost, the phase times out, the lease must be renewed, or the agent counts as dead.
/// `None` once the build has ended.
pub fn next_tick(build: &Build, now: Timestamp) -> Option<Timestamp> {
    if build.phase.has_ended() {
        return None;
    }
    let backoffs = build.backoffs.iter().map(|backoff| backoff.until).filter(|until| now < *until);
    let results = build.in_flight.iter().map(|entry| result_deadline(entry, &build.timing));
    let others = crate::deadline::upcoming(build, now);
    backoffs.chain(results).chain(others).min()
}
