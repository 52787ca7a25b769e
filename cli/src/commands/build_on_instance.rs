//! `bakehouse build` without `--local`: builds on this EC2 instance, against AWS, in this process.

use bakehouse_aws::instance;
use bakehouse_controller::{clock::WallClock, cloud::Cloud, leasing::Host, mask::Mask, ports::Clock as _};
use bakehouse_controller_aws::ec2::{SdkEc2, SsmParameters};
use bakehouse_machine::Build as Record;
use bakehouse_protocol::{
    BuildSpec, HostId, Interaction, Region,
    access::{Access, PersistedAccess},
};
use bakehouse_runner::{LocalRunner, Settings};

use super::{
    access_groups::{self, EnvironmentKeys, Group},
    build_runner::{BuildContext, BuildRunner},
    interaction::interaction,
    parallel::{at_once, run_all},
    results::Results,
    undo_killed,
};
use crate::{
    args::Build,
    aws::{access, runtime},
    build_source::INSTANCE_STATE_DIR,
    context::{CliContext, need_root},
    report::{CliError, Exit, note},
    screen::Screen,
    settings::{AGENT_JOB, SLOTS},
    signals::{LatestBuilds, SignalListener},
    templates, text,
};

/// The environment variable with the directory of the links to disks by volume id, if not udev's.
const BY_ID: &str = "BAKEHOUSE_BY_ID";

pub(super) fn run(args: &Build, cx: &CliContext) -> Result<Exit, CliError> {
    let began = WallClock.now();
    let loaded = templates::read_for_build(args, &cx.directory, None)?;
    let interaction = interaction(args, &loaded.builds)?;
    need_root("build", "it mounts the new volume and runs the provisioners in a chroot")?;
    let runtime = runtime::with_threads()?;
    let _entered = runtime.enter();
    let instance = on_instance(&runtime)?;
    let (screen, latest) = (Screen::new(), LatestBuilds::default());
    let build_cx = BuildContext::new(args, cx, &loaded, interaction, screen.clone(), latest.clone());
    let access: Vec<Access> =
        loaded.access.into_iter().map(|access| access_groups::absolute(access, &cx.directory)).collect();
    let mask = &build_cx.mask;
    // Once for all builders: together they may have the keys that are needed.
    for Group { access, builds } in killed_builds(cx, &access, false)?.0 {
        let runner = runner(cx, &runtime, &instance, &access, &instance.region, mask, Interaction::default())?;
        let signals = SignalListener::listen(vec![runner.cancel_handle()], screen.clone(), latest.clone())?;
        undo_killed::undo_left(&runner, &builds, &screen, &latest, &signals)?;
        if signals.is_cancelled() {
            return Ok(Exit::Cancelled);
        }
    }
    // A runner for each: every builder has its own access to AWS.
    let with_runner = |(spec, access): (BuildSpec, Access)| {
        let region = spec.region.clone().or_else(|| args.region.clone()).unwrap_or_else(|| instance.region.clone());
        (runner(cx, &runtime, &instance, &access, &region, mask, interaction), spec)
    };
    let builds: Vec<_> = loaded.builds.into_iter().zip(access).map(with_runner).collect();
    let handles = builds.iter().filter_map(|(runner, _)| Some(runner.as_ref().ok()?.cancel_handle())).collect();
    let signals = SignalListener::listen(handles, screen, latest)?;
    let (all, is_stopped) = (builds.len(), || signals.is_cancelled());
    let ended = run_all(builds, at_once(args), is_stopped, |index, (runner, spec)| {
        let _entered = runtime.enter();
        match runner {
            Ok(runner) => BuildRunner { cx: &build_cx, runner: &runner, disks: None }.run(spec, index),
            Err(error) => build_cx.refused(build_cx.name(&spec), &error),
        }
    });
    Ok(Results::new(all, build_cx.format, ended).finish(began, WallClock.now()))
}

/// Undoes the builds of killed runs in AWS.
pub(super) fn sweep(cx: &CliContext) -> Result<Exit, CliError> {
    let (groups, out_of_reach) = killed_builds(cx, &[], true)?;
    let mut exit = if out_of_reach { Exit::Failed } else { Exit::Done };
    if groups.is_empty() {
        return Ok(exit);
    }
    let runtime = runtime::with_threads()?;
    let _entered = runtime.enter();
    let instance = on_instance(&runtime)?;
    let (screen, latest) = (Screen::new(), LatestBuilds::default());
    let mut run_dir = None;
    for Group { access, builds } in groups {
        let runner =
            runner(cx, &runtime, &instance, &access, &instance.region, &Mask::default(), Interaction::default())?;
        for build in &builds {
            if let Err(error) = undo_killed::undo_to_end(&runner, build, &screen, &latest) {
                text::err(&error.render());
                exit = Exit::Failed;
            }
        }
        run_dir = Some(runner.agent_settings().run_dir.clone());
    }
    let cleared = run_dir.map_or(Ok(vec![]), |run_dir| bakehouse_agent::recover(&run_dir))?;
    cleared.iter().for_each(|thing| text::err(&format!("removed {thing}")));
    Ok(exit)
}

/// Undoes one build of a killed run.
pub(super) fn undo(cx: &CliContext, build: &Record) -> Result<(), CliError> {
    let records = cx.instance_records()?;
    let kept = records.map_or_else(|| Ok(PersistedAccess::default()), |records| records.access(&build.id))?;
    let (groups, out_of_reach) = access_groups::groups(vec![(build.clone(), kept)], &[], environment_keys().as_ref());
    if let Some(line) = out_of_reach.into_iter().next() {
        return Err(CliError::failed(line));
    }
    let runtime = runtime::with_threads()?;
    let _entered = runtime.enter();
    let instance = on_instance(&runtime)?;
    for Group { access, .. } in groups {
        let runner =
            runner(cx, &runtime, &instance, &access, &instance.region, &Mask::default(), Interaction::default())?;
        undo_killed::undo_to_end(&runner, build, &Screen::new(), &LatestBuilds::default())?;
    }
    Ok(())
}

/// Returns the builds of killed runs, and those that have left something if `also_kept`, grouped by their access to
/// AWS, and whether there are more, which can't be undone. A note is printed on those.
fn killed_builds(cx: &CliContext, known: &[Access], also_kept: bool) -> Result<(Vec<Group>, bool), CliError> {
    let Some(records) = cx.instance_records()? else { return Ok((vec![], false)) };
    let (mut left, mut is_unreadable) = (Vec::new(), false);
    let kept = if also_kept { records.with_leftovers()? } else { Vec::new() };
    for build in records.unfinished()?.into_iter().chain(kept) {
        match records.access(&build.id) {
            Ok(kept) => left.push((build, kept)),
            Err(error) => {
                text::err(&CliError::of(&error).render());
                is_unreadable = true;
            }
        }
    }
    let (groups, out_of_reach) = access_groups::groups(left, known, environment_keys().as_ref());
    out_of_reach.iter().for_each(|line| note(line));
    Ok((groups, is_unreadable || !out_of_reach.is_empty()))
}

/// Returns the keys in the environment.
fn environment_keys() -> Option<EnvironmentKeys> {
    EnvironmentKeys::find(|name| std::env::var(name).ok())
}

fn on_instance(runtime: &tokio::runtime::Runtime) -> Result<instance::Instance, CliError> {
    let found = runtime.block_on(instance::identity(&instance::metadata()));
    found.map_err(|error| CliError::of(&error).hint(instance::InstanceError::HINT).by_user())
}

fn runner(
    cx: &CliContext,
    runtime: &tokio::runtime::Runtime,
    instance: &instance::Instance,
    access: &Access,
    region: &Region,
    mask: &Mask,
    interaction: Interaction,
) -> Result<LocalRunner<SdkEc2, SsmParameters>, CliError> {
    if region != &instance.region {
        let message = format!("the template builds in {region}, but this instance is in {}", instance.region);
        return Err(CliError::wrong(message).hint(
            "a volume can be attached only where it is: build in this region, and name the others in `ami_regions`",
        ));
    }
    let connection = access::open(runtime, access, Some(region)).map_err(|error| error.hide(mask))?;
    let id = HostId::new(instance.instance_id.as_str())?;
    let host = Host {
        id,
        instance: instance.instance_id.clone(),
        zone: instance.zone.clone(),
        architecture: instance.architecture,
        slots: SLOTS,
    };
    let program = std::env::current_exe()
        .map_err(|error| CliError::failed(format!("can't find this program's file: {error}")))?;
    let settings = Settings {
        state: cx.state.join(INSTANCE_STATE_DIR),
        region: region.clone(),
        agent: (program, vec![AGENT_JOB.to_owned()]),
        slots: SLOTS,
        access: access.persisted(),
        interaction,
    };
    let cloud = Cloud(connection.ec2(), connection.parameters());
    let by_id = std::env::var_os(BY_ID).map(Into::into);
    Ok(LocalRunner::with_ec2(settings, cloud, host, by_id)?)
}
