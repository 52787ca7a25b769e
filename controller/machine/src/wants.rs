//! From what is wanted to what is given out: a step that is open already, or that must wait, is not asked for again.

use alloc::vec::Vec;
use bakehouse_protocol::{Millis, Timestamp};

use crate::{
    Build, Command, Pace, Step,
    build::{Open, Pause},
};

/// Gives out those of the wanted commands that are neither open nor paused, and those open ones that nobody has answered
/// for so long that whoever performed them is taken for dead.
pub(crate) fn open(build: &mut Build, wanted: Vec<Command>, given: &mut Vec<Command>, now: Timestamp) {
    for open in &mut build.open {
        if now < lost_from(open, &build.pace) {
            continue;
        }
        if let Command::CreateSnapshot(create) = &mut open.command {
            create.again = true;
        }
        if let Some(region) = open.command.creates_in() {
            build.made.doubt(region);
        }
        open.since = now;
        given.push(open.command.clone());
    }
    let steps: Vec<Step> = wanted.iter().map(Command::step).collect();
    for command in wanted {
        let step = command.step();
        let is_open = build.open.iter().any(|open| open.command.step() == step);
        let must_wait = build.pauses.iter().any(|pause| pause.step == step && now < pause.until);
        if is_open || must_wait {
            continue;
        }
        if let Some(region) = command.creates_in() {
            build.made.touch(region, now);
        }
        build.open.push(Open { command: command.clone(), since: now });
        given.push(command);
    }
    // What is wanted no more is tried no more.
    let Build { failing, open, .. } = build;
    failing
        .retain(|failing| steps.contains(&failing.step) || open.iter().any(|open| open.command.step() == failing.step));
}

/// When an open command's answer counts as lost.
fn lost_from(open: &Open, pace: &Pace) -> Timestamp {
    open.since + if open.command.creates_in().is_some() { pace.grace } else { pace.again }
}

/// Notes that a step must wait, longer each time in a row.
pub(crate) fn pause(build: &mut Build, step: Step, now: Timestamp, wait: impl Fn(u32) -> Millis) {
    match build.pauses.iter_mut().find(|pause| pause.step == step) {
        Some(pause) => {
            pause.tries += 1;
            pause.until = now + wait(pause.tries);
        }
        None => build.pauses.push(Pause { step, tries: 1, until: now + wait(1) }),
    }
}

/// When to look again, if nothing is heard before: at the end of the shortest pause, when an open command counts as
/// lost, when the phase's time is up, when the lease must be renewed, or when the agent counts as dead.
pub fn look_again(build: &Build, now: Timestamp) -> Option<Timestamp> {
    if build.phase.has_ended() {
        return None;
    }
    let pauses = build.pauses.iter().map(|pause| pause.until).filter(|until| now < *until);
    let lost = build.open.iter().map(|open| lost_from(open, &build.pace));
    let others = crate::deadline::next(build, now);
    pauses.chain(lost).chain(others).min()
}
