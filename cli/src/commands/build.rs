//! `bakehouse build`.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_controller::{clock::WallClock, ports::Clock as _};
use bakehouse_protocol::{BuildSpec, Region};
use bakehouse_runner::LocalRunner;

use super::{
    build_runner::{BuildContext, BuildRunner},
    interaction::interaction,
    notes,
    parallel::{at_once, run_all},
    results::Results,
    undo_killed,
};
use crate::{
    args::Build,
    context::{CliContext, need_root},
    report::{CliError, Exit},
    screen::Screen,
    signals::{LatestBuilds, SignalListener},
    templates, text,
};

pub(super) fn run(args: &Build, cx: &CliContext) -> Result<Exit, CliError> {
    if !args.local {
        return super::build_on_instance::run(args, cx);
    }
    let began = WallClock.now();
    let loaded = templates::read_for_build(args, &cx.directory, Some(cx.local_values(args.region.as_ref())?))?;
    need_root("build --local", "it attaches loop devices, mounts them and runs the provisioners in a chroot")?;
    let interaction = interaction(args, &loaded.builds)?;
    let runner = cx.runner_with(args.region.as_ref(), interaction)?;
    // A volume can be attached only where it is, so each region that the template names has a host of its own.
    let regions: BTreeSet<&Region> = loaded.builds.iter().filter_map(|spec| spec.region.as_ref()).collect();
    let open = |region: &Region| Ok((region.clone(), cx.runner_with(Some(region), interaction)?));
    let in_regions: BTreeMap<Region, LocalRunner> = regions.into_iter().map(open).collect::<Result<_, CliError>>()?;
    let runner_for = |spec: &BuildSpec| spec.region.as_ref().and_then(|it| in_regions.get(it)).unwrap_or(&runner);
    let screen = Screen::new();
    let latest = LatestBuilds::default();
    let cancel_handles = in_regions.values().chain([&runner]).map(|runner| runner.cancel_handle()).collect();
    let signals = SignalListener::listen(cancel_handles, screen.clone(), latest.clone())?;
    clear_killed(&runner, &screen, &latest, &signals)?;
    notes::note_unknown(runner.cloud())?;

    let build_cx = BuildContext::new(args, cx, &loaded, interaction, screen, latest);
    let run = |index, spec: BuildSpec| {
        let runner = runner_for(&spec);
        BuildRunner { cx: &build_cx, runner, disks: Some(runner.cloud()) }.run(spec, index)
    };
    let all = loaded.builds.len();
    let is_stopped = || signals.is_cancelled();
    let ended = run_all(loaded.builds, at_once(args), is_stopped, run);
    Ok(Results::new(all, build_cx.format, ended).finish(began, WallClock.now()))
}

/// Undoes what killed runs have left, before a new build begins.
fn clear_killed(
    runner: &LocalRunner,
    screen: &Screen,
    latest: &LatestBuilds,
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
