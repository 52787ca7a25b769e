//! `bakehouse build` without `--local`: on this EC2 instance, against AWS, in this one process.

use bakehouse_aws::{Limits, SdkEc2, SsmParameters, connect, instance};
use bakehouse_controller::{cloud::Ec2Cloud, leasing::Host, mask::Mask};
use bakehouse_local::{Settings, Workshop};
use bakehouse_protocol::{HostId, Region, access::Access};

use super::{
    Here, SLOTS, need_root,
    oven::{Done, Oven},
};
use crate::{
    AGENT_JOB,
    args::Build,
    desk::HERE,
    report::{Exit, Trouble},
    screen::Screen,
    signals::{Latest, Signalled},
    templates, text,
};

/// Where the links to disks by their volumes' ids are, if not where udev makes them.
const BY_ID: &str = "BAKEHOUSE_BY_ID";

type Aws = Ec2Cloud<SdkEc2, SsmParameters>;

pub(super) fn run(asked: &Build, here: &Here) -> Result<Exit, Trouble> {
    let loaded = templates::read(&asked.template, &asked.variables, &here.directory)?;
    need_root("build", "it mounts the new volume and runs the provisioners in a chroot")?;
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let instance = on_instance(&runtime)?;
    let (screen, latest) = (Screen::new(), Latest::default());
    let mut done = Done::of(loaded.builds.len());
    let mask = Mask::new(&loaded.sensitive);
    for (spec, access) in loaded.builds.into_iter().zip(loaded.access) {
        if !done.go_on() {
            break;
        }
        let name = spec.name.clone();
        let region = spec.region.clone().or_else(|| asked.region.clone()).unwrap_or_else(|| instance.region.clone());
        let baked = workshop(here, &runtime, &instance, &access, &region).and_then(|workshop| {
            let signals = Signalled::listen(workshop.remote(), screen.clone(), latest.clone())?;
            super::sweep::undo_left(&workshop, &screen, &latest, &signals)?;
            let oven = Oven {
                workshop: &workshop,
                disks: None,
                screen: screen.clone(),
                latest: latest.clone(),
                mask: mask.clone(),
                recipe: templates::recipe(&asked.template),
                files: here.directory.to_string_lossy().into_owned(),
                json: asked.json,
            };
            if signals.came() { Ok(Exit::Cancelled) } else { oven.bake(spec) }
        });
        done.add(&name, baked, &mask);
    }
    Ok(done.tell())
}

/// Undoes what killed runs from here have left in AWS.
pub(super) fn sweep(here: &Here) -> Result<Exit, Trouble> {
    let left = here.here_records()?.map_or(Ok(vec![]), |records| records.unfinished())?;
    if left.is_empty() {
        return Ok(Exit::Done);
    }
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let instance = on_instance(&runtime)?;
    let workshop = workshop(here, &runtime, &instance, &Access::default(), &instance.region)?;
    let (screen, latest) = (Screen::new(), Latest::default());
    let mut exit = Exit::Done;
    for build in &left {
        if let Err(trouble) = super::sweep::finish_off(&workshop, build, &screen, &latest) {
            text::err(&trouble.render(&Mask::default()));
            exit = Exit::Failed;
        }
    }
    let cleared = bakehouse_agent::recover(&workshop.agent_settings().run_dir)?;
    cleared.iter().for_each(|thing| text::err(&format!("removed {thing}")));
    Ok(exit)
}

fn runtime() -> Result<tokio::runtime::Runtime, Trouble> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Trouble::failed(format!("starting the threads that speak to AWS: {error}")))
}

fn on_instance(runtime: &tokio::runtime::Runtime) -> Result<instance::Here, Trouble> {
    let found = runtime.block_on(instance::here(&instance::metadata()));
    found.map_err(|error| Trouble::of(&error).hint(instance::NotHere::HINT).by_user())
}

fn workshop(
    here: &Here,
    runtime: &tokio::runtime::Runtime,
    instance: &instance::Here,
    access: &Access,
    region: &Region,
) -> Result<Workshop<Aws>, Trouble> {
    if region != &instance.region {
        let message = format!("the template builds in {region}, but this instance is in {}", instance.region);
        return Err(Trouble::wrong(message).hint(
            "a volume can be attached only where it is: build in this region, and name the others in `ami_regions`",
        ));
    }
    let connection = runtime.block_on(connect(access, Some(region), Limits::default()))?;
    let id = HostId::new(instance.instance_id.as_str())?;
    let host = Host {
        id,
        instance: instance.instance_id.clone(),
        zone: instance.zone.clone(),
        architecture: instance.architecture,
        slots: SLOTS,
    };
    let program = std::env::current_exe()
        .map_err(|error| Trouble::failed(format!("finding this program's own file: {error}")))?;
    let settings = Settings {
        state: here.state.join(HERE),
        region: region.clone(),
        agent: (program, vec![AGENT_JOB.to_owned()]),
        slots: SLOTS,
    };
    let cloud = Ec2Cloud(connection.ec2(), connection.parameters());
    let by_id = std::env::var_os(BY_ID).map(Into::into);
    Ok(Workshop::against(settings, cloud, host, by_id)?)
}
