//! `bakehouse sweep`.

use std::{os::unix::fs::MetadataExt as _, path::PathBuf};

use bakehouse_controller::ports::StoreError;
use bakehouse_machine::Build;
use bakehouse_protocol::Bytes;
use bakehouse_runner::{LocalRunner, Records};

use super::undo_killed::{clear, undo_to_end};
use crate::{
    args::Sweep,
    context::{CliContext, need_root},
    printer,
    report::{CliError, Exit, note},
    screen::Screen,
    signals::LatestBuilds,
    text,
};

pub(super) fn run(args: &Sweep, cx: &CliContext) -> Result<Exit, CliError> {
    let runner = cx.runner(None)?;
    let builds = left(runner.records())?;
    if args.yes {
        need_root("sweep --yes", "it detaches loop devices and removes mounts and cgroups")?;
        let local = remove(&runner, &builds, args.unknown_disks)?;
        return Ok(local.max(super::build_on_instance::sweep(cx)?));
    }
    let mut lines: Vec<String> = builds.iter().map(line).collect();
    lines.extend(runner.orphans()?.iter().map(ToString::to_string));
    lines.extend(runner.cloud().leftovers()?.iter().map(ToString::to_string));
    lines.extend(agents(&runner)?);
    let on_instance = cx.instance_records()?.map_or(Ok(vec![]), |records| left(&records))?;
    lines.extend(on_instance.iter().map(|build| format!("{}, in {}", line(build), build.region)));
    lines.iter().for_each(|line| text::out(line));
    print_unknown(&runner.cloud().unknown_disks()?);
    text::err(&match lines.len() {
        0 => format!("nothing is left of killed runs in {}", cx.state.display()),
        n => format!(
            "{} left by killed runs and failed builds; `bakehouse sweep --yes` removes what is listed",
            text::count(n, "thing")
        ),
    });
    Ok(Exit::Done)
}

/// Returns the builds of killed runs, and those that have ended and have left something.
fn left(records: &Records) -> Result<Vec<Build>, StoreError> {
    let mut left = records.unfinished()?;
    left.extend(records.with_leftovers()?);
    Ok(left)
}

/// A build and what exists because of it.
fn line(build: &Build) -> String {
    if build.phase.has_ended() {
        let (name, left) = (build.phase.name(), build.leftovers.join(", "));
        return format!("build {} ({}), {name}: {left}", build.id, build.recipe);
    }
    let left = printer::things_left(build).join(", ");
    let left = if left.is_empty() { "nothing made".to_owned() } else { left };
    format!("build {} ({}), killed in {}: {left}", build.id, build.recipe, build.phase.name())
}

/// What agents that were killed left: cgroups and what runs in them, directories.
fn agents(runner: &LocalRunner) -> Result<Vec<String>, CliError> {
    let left = bakehouse_agent::leftovers(&runner.agent_settings().run_dir).map_err(|error| CliError::of(&error))?;
    Ok(left.iter().map(|thing| format!("{thing} of a killed job")).collect())
}

/// Disks that the embedded cloud's state does not know are data to somebody: they are listed and kept.
fn print_unknown(disks: &[PathBuf]) {
    for disk in disks {
        let used = disk.metadata().map_or(0, |metadata| metadata.blocks() * 512);
        text::out(&format!("unknown disk {} ({})", disk.display(), Bytes(used)));
    }
    if !disks.is_empty() {
        note(&format!(
            "{} that the embedded cloud's state does not know: kept. `bakehouse local import DISK --name NAME` makes an \
             image of one; `bakehouse sweep --yes --unknown-disks` removes them all",
            text::count(disks.len(), "disk")
        ));
    }
}

fn remove(runner: &LocalRunner, builds: &[Build], unknown_disks: bool) -> Result<Exit, CliError> {
    let (screen, latest) = (Screen::new(), LatestBuilds::default());
    let mut removed = 0;
    let mut exit = Exit::Done;
    let mut failed = |error: CliError| {
        text::err(&error.render());
        exit = Exit::Failed;
    };
    for build in builds {
        match undo_to_end(runner, build, &screen, &latest) {
            Ok(()) => removed += 1,
            Err(error) => failed(error),
        }
    }
    let (cleared, errors) = clear(runner);
    removed += cleared;
    errors.into_iter().for_each(&mut failed);
    let unknown = runner.cloud().unknown_disks()?;
    if unknown_disks {
        for disk in unknown {
            match runner.cloud().remove_unknown(&disk) {
                Ok(()) => {
                    removed += 1;
                    text::err(&format!("removed disk {}", disk.display()));
                }
                Err(error) => failed(CliError::of(&error)),
            }
        }
    } else {
        print_unknown(&unknown);
    }
    if removed == 0 && exit == Exit::Done {
        text::err("nothing was left of killed runs");
    }
    Ok(exit)
}
