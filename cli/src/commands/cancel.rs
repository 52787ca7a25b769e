//! `bakehouse cancel`.

use std::time::Duration;

use bakehouse_machine::{Build, Phase};

use super::{find::find, undo_killed};
#[cfg(feature = "aws")]
use crate::build_source::BuildSource as _;
use crate::{
    args::Cancel,
    context::CliContext,
    printer::{ReportedFailures, failing_line},
    report::{CliError, Exit, note},
    screen::Screen,
    signals::LatestBuilds,
    summary::{outcome, undone},
    text,
};

/// The interval at which the record is read while another process undoes the build.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn run(args: &Cancel, cx: &CliContext) -> Result<Exit, CliError> {
    #[cfg(feature = "aws")]
    if cx.stack.is_some() {
        return in_stack(args, cx);
    }
    let runner = cx.runner(None)?;
    let id = find(&*cx.source()?, &args.build)?;
    let in_aws = cx.instance_records()?.filter(|records| records.path(&id).is_dir());
    let records = in_aws.as_ref().unwrap_or(runner.records());
    let (build, _) = records.load(&id)?;
    if !build.leftovers.is_empty() {
        // It has ended, and has left something.
        match in_aws {
            Some(_) => super::build_on_instance::undo(cx, &build)?,
            None => undo_killed::undo_to_end(&runner, &build, &Screen::new(), &LatestBuilds::default())?,
        }
        return Ok(Exit::Done);
    }
    if build.phase.has_ended() {
        let message = format!("build {id} has ended already: {}", outcome(&build));
        return if build.phase == Phase::Cancelled { Ok(print_done(&message)) } else { Err(CliError::wrong(message)) };
    }
    let screen = Screen::new();
    records.request_cancel(&id)?;
    screen.status(&format!("waiting for build {id} to be undone"));
    let mut is_undone_here = false;
    let mut failing = ReportedFailures::default();
    let ended = loop {
        // Whether no living process runs it.
        if matches!(records.is_owned(&id), Ok(false)) {
            // Read after the lock was found free: its process may just have ended it.
            let (build, _) = records.load(&id)?;
            if !build.phase.has_ended() {
                screen.clear_status();
                note(&format!("nobody runs build {id} any more; it is undone here"));
                match in_aws {
                    Some(_) => super::build_on_instance::undo(cx, &build)?,
                    None => undo_killed::undo_to_end(&runner, &build, &screen, &LatestBuilds::default())?,
                }
                is_undone_here = true;
                continue;
            }
            break build;
        }
        if let Ok((build, _)) = records.load(&id) {
            print_failures(&build, &mut failing, &screen);
        }
        std::thread::sleep(POLL_INTERVAL);
    };
    screen.clear_status();
    // If it was undone here, that has been printed already.
    if is_undone_here { Ok(Exit::Done) } else { print_end(&ended) }
}

/// Asks the stack, and waits until it has undone the build.
#[cfg(feature = "aws")]
fn in_stack(args: &Cancel, cx: &CliContext) -> Result<Exit, CliError> {
    let source = crate::aws::StackBuilds::new(cx.session()?);
    let id = find(&source, &args.build)?;
    let mut build = source.load(&id)?;
    if build.phase.has_ended() {
        let message = format!("build {id} has ended already: {}", outcome(&build));
        return if build.phase == Phase::Cancelled { Ok(print_done(&message)) } else { Err(CliError::wrong(message)) };
    }
    source.session.send(&bakehouse_protocol::InboxMessage::Cancel { build: id.clone() })?;
    let screen = Screen::new();
    screen.status(&format!("waiting for build {id} to be undone"));
    let mut failing = ReportedFailures::default();
    while !build.phase.has_ended() {
        print_failures(&build, &mut failing, &screen);
        std::thread::sleep(source.poll_interval());
        build = source.load(&id)?;
    }
    screen.clear_status();
    print_end(&build)
}

/// Prints the failures that delay the undoing.
fn print_failures(build: &Build, told: &mut ReportedFailures, screen: &Screen) {
    for failing in told.new_failures(build) {
        screen.line(&format!("retrying: {}", failing_line(failing)));
    }
}

fn print_done(message: &str) -> Exit {
    text::err(message);
    Exit::Done
}

fn print_end(build: &Build) -> Result<Exit, CliError> {
    match build.phase {
        Phase::Cancelled | Phase::Failed(_) => Ok(print_done(&undone(build))),
        _ => Err(CliError::failed(format!("build {} had {} before it could be cancelled", build.id, outcome(build)))),
    }
}
