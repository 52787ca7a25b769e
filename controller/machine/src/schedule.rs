//! From what is wanted to what is given out: a step that is open already, or that must wait, is not asked for again.

use alloc::vec::Vec;
use bakehouse_protocol::{Millis, Timestamp};

use crate::{
    Build, Command, Step, Timing,
    build::{Backoff, InFlight},
};

/// Issues those of the wanted commands that are neither in flight nor backing off, and once more those in flight that
/// nobody has answered for so long that whoever performed them is taken for dead.
pub(crate) fn issue(build: &mut Build, wanted: Vec<Command>, given: &mut Vec<Command>, now: Timestamp) {
    for open in &mut build.in_flight {
        if now < lost_from(open, &build.timing) {
            continue;
        }
        if let Command::CreateSnapshot { again, .. } = &mut open.command {
            *again = true;
        }
        if let Some(region) = open.command.creates_in() {
            build.resources.mark_uncertain(region);
        }
        open.since = now;
        given.push(open.command.clone());
    }
    let steps: Vec<Step> = wanted.iter().map(Command::step).collect();
    for command in wanted {
        let step = command.step();
        let is_open = build.in_flight.iter().any(|open| open.command.step() == step);
        let must_wait = build.backoffs.iter().any(|pause| pause.step == step && now < pause.until);
        if is_open || must_wait {
            continue;
        }
        if let Some(region) = command.creates_in() {
            build.resources.touch(region, now);
        }
        build.in_flight.push(InFlight { command: command.clone(), since: now });
        given.push(command);
    }
    // What is wanted no more is tried no more.
    let Build { failing, in_flight, .. } = build;
    failing.retain(|failing| {
        steps.contains(&failing.step) || in_flight.iter().any(|open| open.command.step() == failing.step)
    });
}

/// When an open command's answer counts as lost.
fn lost_from(open: &InFlight, timing: &Timing) -> Timestamp {
    open.since + if open.command.creates_in().is_some() { timing.grace } else { timing.again }
}

/// Notes that a step must wait, longer each time in a row.
pub(crate) fn back_off(build: &mut Build, step: Step, now: Timestamp, wait: impl Fn(u32) -> Millis) {
    match build.backoffs.iter_mut().find(|pause| pause.step == step) {
        Some(pause) => {
            pause.tries += 1;
            pause.until = now + wait(pause.tries);
        }
        None => build.backoffs.push(Backoff { step, tries: 1, until: now + wait(1) }),
    }
}

/// When to look again, if nothing is heard before: at the end of the shortest pause, when an open command counts as
/// lost, when the phase's time is up, when the lease must be renewed, or when the agent counts as dead.
pub fn look_again(build: &Build, now: Timestamp) -> Option<Timestamp> {
    if build.phase.has_ended() {
        return None;
    }
    let backoffs = build.backoffs.iter().map(|pause| pause.until).filter(|until| now < *until);
    let lost = build.in_flight.iter().map(|open| lost_from(open, &build.timing));
    let others = crate::deadline::next(build, now);
    backoffs.chain(lost).chain(others).min()
}
