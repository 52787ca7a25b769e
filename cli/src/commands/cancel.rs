//! `bakehouse cancel`.

use std::time::Duration;

use bakehouse_machine::{Build, Phase};

use super::{find::find, undo_killed};
#[cfg(feature = "aws")]
use crate::build_source::BuildSource as _;
use crate::{
    args::Cancel,
    context::CliContext,
    printer::{ToldFailing, failing_line},
    report::{CliError, Exit, note},
    screen::Screen,
    signals::Latest,
    summary::{outcome, undone},
    text,
};

/// How often the record is looked at while somebody else undoes the build.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(args: &Cancel, here: &CliContext) -> Result<Exit, CliError> {
    #[cfg(feature = "aws")]
    if here.stack.is_some() {
        return in_stack(args, here);
    }
    let runner = here.runner(None)?;
    let id = find(&*here.source()?, &args.build)?;
    let in_aws = here.here_records()?.filter(|records| records.path(&id).is_dir());
    let records = in_aws.as_ref().unwrap_or(runner.records());
    let (build, _) = records.load(&id)?;
    if build.phase.has_ended() {
        let message = format!("build {id} has ended already: {}", outcome(&build));
        return if build.phase == Phase::Cancelled { Ok(said(&message)) } else { Err(CliError::wrong(message)) };
    }
    let screen = Screen::new();
    records.request_cancel(&id)?;
    screen.status(&format!("waiting for build {id} to be undone"));
    let mut undone_here = false;
    let mut failing = ToldFailing::default();
    let ended = loop {
        // Whether no living process runs it.
        if matches!(records.is_owned(&id), Ok(false)) {
            // Read after the lock was seen free: its process may just have ended it.
            let (build, _) = records.load(&id)?;
            if !build.phase.has_ended() {
                screen.still();
                note(&format!("nobody runs build {id} any more; it is undone here"));
                match in_aws {
                    Some(_) => super::here::undo(here, &build)?,
                    None => undo_killed::finish_off(&runner, &build, &screen, &Latest::default())?,
                }
                undone_here = true;
                continue;
            }
            break build;
        }
        if let Ok((build, _)) = records.load(&id) {
            tell_failing(&build, &mut failing, &screen);
        }
        std::thread::sleep(LOOK);
    };
    screen.still();
    // What was undone here has been told of on the way.
    if undone_here { Ok(Exit::Done) } else { tell(&ended) }
}

/// Asks the stack, and waits until it has undone the build.
#[cfg(feature = "aws")]
fn in_stack(args: &Cancel, here: &CliContext) -> Result<Exit, CliError> {
    let source = crate::aws::StackBuilds::new(here.session()?);
    let id = find(&source, &args.build)?;
    let mut build = source.load(&id)?;
    if build.phase.has_ended() {
        let message = format!("build {id} has ended already: {}", outcome(&build));
        return if build.phase == Phase::Cancelled { Ok(said(&message)) } else { Err(CliError::wrong(message)) };
    }
    source.session.send(&bakehouse_protocol::InboxMessage::Cancel { build: id.clone() })?;
    let screen = Screen::new();
    screen.status(&format!("waiting for build {id} to be undone"));
    let mut failing = ToldFailing::default();
    while !build.phase.has_ended() {
        tell_failing(&build, &mut failing, &screen);
        std::thread::sleep(source.pause());
        build = source.load(&id)?;
    }
    screen.still();
    tell(&build)
}

/// What holds the undoing up.
fn tell_failing(build: &Build, told: &mut ToldFailing, screen: &Screen) {
    for failing in told.news(build) {
        screen.line(&format!("retrying: {}", failing_line(failing)));
    }
}

fn said(message: &str) -> Exit {
    text::err(message);
    Exit::Done
}

fn tell(build: &Build) -> Result<Exit, CliError> {
    match build.phase {
        Phase::Cancelled | Phase::Failed(_) => Ok(said(&undone(build))),
        _ => Err(CliError::failed(format!("build {} had {} before it could be cancelled", build.id, outcome(build)))),
    }
}
