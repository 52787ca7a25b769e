//! `bakehouse build`.

use bakehouse_controller::mask::Mask;
use bakehouse_machine::Build as Record;
use bakehouse_runner::LocalRunner;

use super::{
    CliContext,
    build_runner::{BuildRunner, Done},
    need_root,
};
use crate::{
    args::Build,
    report::{CliError, Exit},
    screen::Screen,
    signals::{Latest, Signalled},
    templates, text,
};

pub(super) fn run(args: &Build, here: &CliContext) -> Result<Exit, CliError> {
    if !args.local {
        return super::here::run(args, here);
    }
    let loaded = templates::read(&args.template, &args.variables, &here.directory)?;
    need_root("build --local", "it attaches loop devices, mounts them and runs the provisioners in a chroot")?;
    let runner = here.runner(args.region.as_ref())?;
    let screen = Screen::new();
    let latest = Latest::default();
    let signals = Signalled::listen(runner.remote(), screen.clone(), latest.clone())?;
    clear_killed(&runner, &screen, &latest, &signals)?;
    super::note_unknown(runner.cloud())?;

    let runner = BuildRunner {
        runner: &runner,
        disks: Some(runner.cloud()),
        screen,
        latest,
        mask: Mask::new(&loaded.sensitive),
        recipe: templates::recipe(&args.template),
        files: here.directory.to_string_lossy().into_owned(),
        json: args.json,
    };
    let mut done = Done::of(loaded.builds.len());
    for spec in loaded.builds {
        if signals.came() || !done.go_on() {
            break;
        }
        done.add(runner.name(&spec), runner.run(spec));
    }
    Ok(done.tell())
}

/// Undoes what killed runs have left, before a new build begins.
fn clear_killed(runner: &LocalRunner, screen: &Screen, latest: &Latest, signals: &Signalled) -> Result<(), CliError> {
    let left = runner.records().unfinished()?;
    if super::sweep::undo_left(runner, &left, screen, latest, signals)? > 0 {
        // What does not go now stands in nobody's way: the sweep tells of it again.
        let (_, troubles) = super::sweep::clear(runner);
        troubles.iter().for_each(|error| text::err(&error.render()));
    }
    Ok(())
}

/// What is left of a build that ended badly, in one line.
pub(super) fn undone(build: &Record) -> String {
    let outcome = crate::summary::outcome(build);
    if build.left.is_empty() {
        format!("Build {} has {}; nothing of it is left (`bakehouse show {0}` tells more)", build.id, past(outcome))
    } else {
        format!("Build {} has {}, and this could not be removed: {}", build.id, past(outcome), build.left.join(", "))
    }
}

fn past(outcome: &str) -> &str {
    if outcome == "cancelled" { "been cancelled" } else { outcome }
}
