//! `bakehouse build`.

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_runner::LocalRunner;

use super::{
    build_runner::{BuildContext, BuildRunner},
    notes,
    results::Results,
    undo_killed,
};
use crate::{
    args::Build,
    context::{CliContext, need_root},
    report::{CliError, Exit},
    screen::Screen,
    signals::{LatestBuild, SignalListener},
    templates, text,
};

pub(super) fn run(args: &Build, cx: &CliContext) -> Result<Exit, CliError> {
    if !args.local {
        return super::build_on_instance::run(args, cx);
    }
    let began = WallClock.now();
    let loaded = templates::read_for_build(args, &cx.directory)?;
    need_root("build --local", "it attaches loop devices, mounts them and runs the provisioners in a chroot")?;
    let runner = cx.runner(args.region.as_ref())?;
    let screen = Screen::new();
    let latest = LatestBuild::default();
    let signals = SignalListener::listen(runner.cancel_handle(), screen.clone(), latest.clone())?;
    clear_killed(&runner, &screen, &latest, &signals)?;
    notes::note_unknown(runner.cloud())?;

    let build_cx = BuildContext::new(args, cx, &loaded, screen, latest)?;
    let builds = BuildRunner { cx: &build_cx, runner: &runner, disks: Some(runner.cloud()) };
    let mut results = Results::new(loaded.builds.len(), build_cx.format);
    for (index, spec) in loaded.builds.into_iter().enumerate() {
        if signals.is_cancelled() || !results.may_continue() {
            break;
        }
        results.add(builds.run(spec, index));
    }
    Ok(results.finish(began, WallClock.now()))
}

/// Undoes what killed runs have left, before a new build begins.
fn clear_killed(
    runner: &LocalRunner,
    screen: &Screen,
    latest: &LatestBuild,
    signals: &SignalListener,
) -> Result<(), CliError> {
    let left = runner.records().unfinished()?;
    if undo_killed::undo_left(runner, &left, screen, latest, signals)? > 0 {
        // What could not be removed does not hinder a build: `sweep` lists it again.
        let (_, errors) = undo_killed::clear(runner);
        errors.iter().for_each(|error| text::err(&error.render()));
    }
    Ok(())
}
