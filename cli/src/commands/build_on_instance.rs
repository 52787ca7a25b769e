//! `bakehouse build` without `--local`: on this EC2 instance, against AWS, in this one process.

use bakehouse_aws::{Limits, instance};
use bakehouse_controller::{cloud::Cloud, leasing::Host, mask::Mask};
use bakehouse_controller_aws::ec2::{SdkEc2, SsmParameters, connect};
use bakehouse_machine::Build as Record;
use bakehouse_protocol::{
    HostId, Region,
    access::{Access, PersistedAccess},
};
use bakehouse_runner::{LocalRunner, Settings};

use super::{
    access_groups::{self, Group, Own},
    build_runner::{BuildRunner, Done},
    undo_killed,
};
use crate::{
    args::Build,
    build_source::HERE,
    context::{CliContext, need_root},
    report::{CliError, Exit, note},
    screen::Screen,
    settings::{AGENT_JOB, SLOTS},
    signals::{Latest, Signalled},
    templates, text,
};

/// Where the links to disks by their volumes' ids are, if not where udev makes them.
const BY_ID: &str = "BAKEHOUSE_BY_ID";

pub(super) fn run(args: &Build, here: &CliContext) -> Result<Exit, CliError> {
    let loaded = templates::read(&args.template, &args.variables, &here.directory)?;
    need_root("build", "it mounts the new volume and runs the provisioners in a chroot")?;
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let instance = on_instance(&runtime)?;
    let (screen, latest) = (Screen::new(), Latest::default());
    let access: Vec<Access> =
        loaded.access.into_iter().map(|access| access_groups::absolute(access, &here.directory)).collect();
    let mut done = Done::of(loaded.builds.len());
    let mask = Mask::new(&loaded.sensitive);
    // Once for all builders: between them they may know the keys of what was left.
    for Group { access, builds } in left(here, &access)?.0 {
        let runner = runner(here, &runtime, &instance, &access, &instance.region, &mask)?;
        let signals = Signalled::listen(runner.cancel_handle(), screen.clone(), latest.clone())?;
        undo_killed::undo_left(&runner, &builds, &screen, &latest, &signals)?;
        if signals.came() {
            return Ok(Exit::Cancelled);
        }
    }
    for (spec, access) in loaded.builds.into_iter().zip(access) {
        if !done.go_on() {
            break;
        }
        let name = mask.apply(&spec.name).into_owned();
        let region = spec.region.clone().or_else(|| args.region.clone()).unwrap_or_else(|| instance.region.clone());
        let baked = runner(here, &runtime, &instance, &access, &region, &mask).and_then(|runner| {
            let signals = Signalled::listen(runner.cancel_handle(), screen.clone(), latest.clone())?;
            let runner = BuildRunner {
                runner: &runner,
                disks: None,
                screen: screen.clone(),
                latest: latest.clone(),
                mask: mask.clone(),
                recipe: templates::recipe(&args.template),
                files: here.directory.to_string_lossy().into_owned(),
                json: args.json,
            };
            if signals.came() { Ok(Exit::Cancelled) } else { runner.run(spec) }
        });
        done.add(name, baked);
    }
    Ok(done.tell())
}

/// Undoes what killed runs from here have left in AWS.
pub(super) fn sweep(here: &CliContext) -> Result<Exit, CliError> {
    let (groups, out_of_reach) = left(here, &[])?;
    let mut exit = if out_of_reach { Exit::Failed } else { Exit::Done };
    if groups.is_empty() {
        return Ok(exit);
    }
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let instance = on_instance(&runtime)?;
    let (screen, latest) = (Screen::new(), Latest::default());
    let mut run_dir = None;
    for Group { access, builds } in groups {
        let runner = runner(here, &runtime, &instance, &access, &instance.region, &Mask::default())?;
        for build in &builds {
            if let Err(error) = undo_killed::finish_off(&runner, build, &screen, &latest) {
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

/// Undoes one build that a killed run from here has left.
pub(super) fn undo(here: &CliContext, build: &Record) -> Result<(), CliError> {
    let records = here.here_records()?;
    let kept = records.map_or_else(|| Ok(PersistedAccess::default()), |records| records.access(&build.id))?;
    let (groups, out_of_reach) = access_groups::groups(vec![(build.clone(), kept)], &[], own().as_ref());
    if let Some(line) = out_of_reach.into_iter().next() {
        return Err(CliError::failed(line));
    }
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let instance = on_instance(&runtime)?;
    for Group { access, .. } in groups {
        let runner = runner(here, &runtime, &instance, &access, &instance.region, &Mask::default())?;
        undo_killed::finish_off(&runner, build, &Screen::new(), &Latest::default())?;
    }
    Ok(())
}

/// What killed runs from here have left, by how it is reached; and whether there is more, which can't be. That is said.
fn left(here: &CliContext, known: &[Access]) -> Result<(Vec<Group>, bool), CliError> {
    let Some(records) = here.here_records()? else { return Ok((vec![], false)) };
    let (mut left, mut unread) = (Vec::new(), false);
    for build in records.unfinished()? {
        match records.access(&build.id) {
            Ok(kept) => left.push((build, kept)),
            Err(error) => {
                text::err(&CliError::of(&error).render());
                unread = true;
            }
        }
    }
    let (groups, out_of_reach) = access_groups::groups(left, known, own().as_ref());
    out_of_reach.iter().for_each(|line| note(line));
    Ok((groups, unread || !out_of_reach.is_empty()))
}

/// The environment's keys.
fn own() -> Option<Own> {
    Own::find(|name| std::env::var(name).ok())
}

fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("starting the threads that speak to AWS: {error}")))
}

fn on_instance(runtime: &tokio::runtime::Runtime) -> Result<instance::Instance, CliError> {
    let found = runtime.block_on(instance::identity(&instance::metadata()));
    found.map_err(|error| CliError::of(&error).hint(instance::InstanceError::HINT).by_user())
}

fn runner(
    here: &CliContext,
    runtime: &tokio::runtime::Runtime,
    instance: &instance::Instance,
    access: &Access,
    region: &Region,
    mask: &Mask,
) -> Result<LocalRunner<SdkEc2, SsmParameters>, CliError> {
    if region != &instance.region {
        let message = format!("the template builds in {region}, but this instance is in {}", instance.region);
        return Err(CliError::wrong(message).hint(
            "a volume can be attached only where it is: build in this region, and name the others in `ami_regions`",
        ));
    }
    let connection = runtime
        .block_on(connect(access, Some(region), Limits::default()))
        .map_err(|error| CliError::of(&error).hide(mask))?;
    let id = HostId::new(instance.instance_id.as_str())?;
    let host = Host {
        id,
        instance: instance.instance_id.clone(),
        zone: instance.zone.clone(),
        architecture: instance.architecture,
        slots: SLOTS,
    };
    let program = std::env::current_exe()
        .map_err(|error| CliError::failed(format!("finding this program's own file: {error}")))?;
    let settings = Settings {
        state: here.state.join(HERE),
        region: region.clone(),
        agent: (program, vec![AGENT_JOB.to_owned()]),
        slots: SLOTS,
        access: access.persisted(),
    };
    let cloud = Cloud(connection.ec2(), connection.parameters());
    let by_id = std::env::var_os(BY_ID).map(Into::into);
    Ok(LocalRunner::with_ec2(settings, cloud, host, by_id)?)
}
