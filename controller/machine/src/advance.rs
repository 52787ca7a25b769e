//! What a build still lacks on its way forward. Each function looks at one phase's part of the record, asks for what is
//! missing, and moves on when nothing is.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use bakehouse_ec2::request::{CopyImage, CreateSnapshot, CreateVolume, RegisterImage};
use bakehouse_protocol::{Job, Timestamp, VERSION, spec::Virtualization};

use crate::{
    Build, Command, ImageStage, JobStage, Phase, Plan, SnapshotStage, Step, VolumeStage,
    command::{PublishImage, Tags},
    failing,
    in_region::InRegion,
};

/// The tag that carries the build's id.
pub const BUILD_TAG: &str = "bakehouse:build";
/// The tag that carries the recipe's name.
pub const RECIPE_TAG: &str = "bakehouse:recipe";
/// The tag that says until when a thing may be needed, in milliseconds since 1970; `never` for an image that is to stay.
pub const EXPIRES_TAG: &str = "bakehouse:expires";

/// The commands wanted now. Changes the phase when there is nothing left to do in it.
pub(crate) fn advance(build: &mut Build, now: Timestamp) -> Vec<Command> {
    let mut wanted = Vec::from_iter(renew(build, now));
    let Some(plan) = build.plan.clone() else {
        wanted.extend(before_plan(build));
        return wanted;
    };
    match build.phase {
        Phase::Resolving => build.phase = Phase::Queued,
        Phase::Queued => wanted.extend(queued(build, &plan)),
        Phase::Creating => wanted.extend(creating(build, &plan)),
        Phase::Attaching => wanted.extend(attaching(build, &plan)),
        Phase::Provisioning => provisioning(build),
        Phase::Snapshotting => wanted.extend(snapshotting(build, &plan)),
        Phase::Registering => wanted.extend(registering(build, &plan)),
        Phase::Copying => wanted.extend(copying(build, &plan)),
        Phase::Finishing => wanted.extend(finishing(build)),
        Phase::Accepted | Phase::Undoing(_) | Phase::Succeeded | Phase::Failed(_) | Phase::Cancelled => {}
    }
    wanted
}

fn before_plan(build: &mut Build) -> Vec<Command> {
    if build.phase == Phase::Accepted {
        build.phase = Phase::Resolving;
    }
    vec![Command::Resolve]
}

fn renew(build: &Build, now: Timestamp) -> Option<Command> {
    let lease = build.resources.lease.as_ref()?;
    (lease.renewal(build.timing.lease) <= now).then(|| Command::RenewLease(lease.clone()))
}

fn queued(build: &mut Build, plan: &Plan) -> Option<Command> {
    if build.resources.lease.is_some() {
        build.phase = Phase::Creating;
        return None;
    }
    Some(lease(build, plan))
}

fn lease(build: &Build, plan: &Plan) -> Command {
    Command::Lease {
        architecture: plan.register.architecture.unwrap_or(build.spec.image.architecture),
        device: build.spec.chroot.device_path.clone(),
        avoid: build.resources.avoid.clone(),
    }
}

fn creating(build: &mut Build, plan: &Plan) -> Option<Command> {
    let lease = build.resources.lease.as_ref()?;
    match &build.resources.volume {
        None => {
            let request = CreateVolume {
                client_token: Some(token(build, "volume")),
                size: Some(plan.volume.size),
                snapshot_id: plan.volume.snapshot.clone(),
                volume_type: plan.volume.volume_type.clone(),
                iops: plan.volume.iops,
                tags: own_tags(build),
                ..CreateVolume::new(lease.zone.clone())
            };
            Some(Command::CreateVolume(InRegion { region: build.region.clone(), request }))
        }
        Some(volume) if volume.stage == VolumeStage::Creating => {
            Some(Command::DescribeVolume(build.region.clone(), volume.id.clone()))
        }
        Some(_) => {
            build.phase = Phase::Attaching;
            None
        }
    }
}

/// The job goes out with the attach call, not after it: the agent is waiting when the disk appears.
fn attaching(build: &mut Build, plan: &Plan) -> Vec<Command> {
    if matches!(build.resources.job, JobStage::Ended { .. }) {
        // Whatever EC2 says of the attachment: what follows depends on how it ended.
        build.phase = Phase::Provisioning;
        return vec![];
    }
    let (Some(held), Some(volume)) = (&build.resources.lease, &build.resources.volume) else { return vec![] };
    if build.resources.avoid.contains(&held.device) {
        return vec![lease(build, plan)];
    }
    // The agent is at work on the disk: it is attached, whether EC2 already says so or not.
    let agent_has_it = matches!(build.resources.job, JobStage::Running { .. });
    if volume.stage == VolumeStage::Attached || agent_has_it && volume.stage == VolumeStage::Attaching {
        if build.resources.job == JobStage::None {
            return vec![send_job(build, plan)];
        }
        build.phase = Phase::Provisioning;
        return vec![];
    }
    let mut wanted = match volume.stage {
        VolumeStage::Available => vec![Command::AttachVolume {
            region: build.region.clone(),
            volume: volume.id.clone(),
            instance: held.instance.clone(),
            device: held.device.clone(),
        }],
        VolumeStage::Attaching => vec![Command::DescribeVolume(build.region.clone(), volume.id.clone())],
        _ => vec![],
    };
    if build.resources.job == JobStage::None {
        wanted.push(send_job(build, plan));
    }
    wanted
}

fn send_job(build: &Build, plan: &Plan) -> Command {
    let (Some(lease), Some(volume)) = (&build.resources.lease, &build.resources.volume) else {
        return Command::Resolve;
    };
    let job = Job {
        version: VERSION,
        build: build.id.clone(),
        attempt: build.attempt,
        volume: volume.id.clone(),
        volume_size: plan.volume.size,
        grow: plan.volume.grow,
        from_scratch: plan.volume.snapshot.is_none(),
        virtualization: plan.register.virtualization_type.unwrap_or(Virtualization::Hvm),
        chroot: build.spec.chroot.clone(),
        provisioners: build.spec.provisioners.clone(),
        sensitive: build.spec.sensitive.clone(),
        data: plan.data.clone(),
        files: build.files.clone(),
        bundle: build.bundle.clone(),
        disk_deadline: build.timing.disk,
        heartbeat: build.timing.heartbeat,
        grace: build.timing.stop_grace,
    };
    Command::SendJob(lease.host.clone(), Box::new(job))
}

/// Snapshots only what the agent has proved clean: a proof is the one way to Snapshotting.
fn provisioning(build: &mut Build) {
    let JobStage::Ended { proof, failure } = &build.resources.job else { return };
    match (failure, proof) {
        (Some(failure), _) => {
            let failure = failure.clone();
            build.fail_with(failure.message.clone(), failure.hint.clone(), Some(failure));
        }
        (None, Some(_)) => build.phase = Phase::Snapshotting,
        (None, None) => build.fail("the agent stopped without having been asked to".to_string(), None),
    }
}

fn snapshotting(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let Some(volume) = build.resources.volume.clone() else { return vec![] };
    let Some(snapshot) = &build.resources.snapshot else {
        let description = format!("{} ({})", plan.register.name, build.id);
        let request = CreateSnapshot { volume_id: volume.id, description, tags: image_tags(build, plan) };
        let create = InRegion { region: build.region.clone(), request };
        return vec![Command::CreateSnapshot { create, again: false }];
    };
    if snapshot.stage == SnapshotStage::Completed {
        build.phase = Phase::Registering;
        return vec![];
    }
    let mut wanted = vec![Command::DescribeSnapshot(build.region.clone(), snapshot.id.clone())];
    wanted.extend(let_go(build, false));
    wanted
}

/// Detaches and deletes the volume and gives the lease back, one after the other, beside whatever else goes on. With
/// `delete` false the volume itself is kept: whether a volume may be deleted under a pending snapshot is not documented.
pub(crate) fn let_go(build: &Build, delete: bool) -> Option<Command> {
    let region = || build.region.clone();
    match &build.resources.volume {
        Some(volume) if volume.stage != VolumeStage::Deleted => match volume.stage {
            VolumeStage::Creating => Some(Command::DescribeVolume(region(), volume.id.clone())),
            VolumeStage::Attaching | VolumeStage::Attached => Some(Command::DetachVolume(region(), volume.id.clone())),
            VolumeStage::Detaching | VolumeStage::Missing => Some(Command::DescribeVolume(region(), volume.id.clone())),
            VolumeStage::Available | VolumeStage::Free | VolumeStage::Deleted if delete => {
                Some(Command::DeleteVolume(region(), volume.id.clone()))
            }
            _ => build.resources.lease.clone().map(Command::Release),
        },
        _ => build.resources.lease.clone().map(Command::Release),
    }
}

fn registering(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = Vec::from_iter(let_go(build, true));
    let Some(snapshot) = &build.resources.snapshot else { return wanted };
    match build.resources.image_in(&build.region) {
        None => {
            let (description, tags) = (description(plan), image_tags(build, plan));
            let request = RegisterImage { description, tags, ..plan.register.clone() };
            let request = request.with_root_snapshot(&snapshot.id);
            wanted.push(Command::RegisterImage(Box::new(InRegion { region: build.region.clone(), request })));
        }
        Some(image) if image.stage == ImageStage::Pending => {
            wanted.push(Command::DescribeImage(build.region.clone(), image.id.clone()));
        }
        Some(_) => build.phase = Phase::Copying,
    }
    wanted
}

/// Each region on its own: one that is late holds up nothing but the end.
fn copying(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = Vec::from_iter(let_go(build, true));
    let Some(image) = build.resources.image_in(&build.region).cloned() else { return wanted };
    let mut waiting = false;
    for region in &plan.copies {
        match build.resources.image_in(region) {
            None => {
                let request = CopyImage {
                    client_token: Some(token(build, region.as_str())),
                    description: description(plan),
                    image_tags: image_tags(build, plan),
                    snapshot_tags: image_tags(build, plan),
                    ..CopyImage::new(plan.register.name.clone(), image.id.clone(), build.region.clone())
                };
                wanted.push(Command::CopyImage(Box::new(InRegion { region: region.clone(), request })));
            }
            Some(copy) if copy.stage == ImageStage::Pending => {
                wanted.push(Command::DescribeImage(region.clone(), copy.id.clone()));
            }
            Some(_) => continue,
        }
        waiting = true;
    }
    if !waiting {
        build.phase = Phase::Finishing;
    }
    wanted
}

/// Returns the description for EC2, which takes no empty one.
fn description(plan: &Plan) -> Option<String> {
    (!plan.description.is_empty()).then(|| plan.description.clone())
}

/// Nothing is shared before every region has its image: a release is all of them or none.
fn finishing(build: &mut Build) -> Vec<Command> {
    let mut wanted = Vec::from_iter(let_go(build, true));
    for image in build.resources.images.iter().filter(|image| image.stage == ImageStage::Available) {
        wanted.push(Command::PublishImage(Box::new(PublishImage {
            region: image.region.clone(),
            image: image.id.clone(),
            snapshots: image.snapshots.clone(),
            users: build.spec.image.users.clone(),
            groups: build.spec.image.groups.clone(),
            product_codes: build.spec.image.product_codes.clone(),
            tags: BTreeMap::from([(EXPIRES_TAG.to_string(), "never".to_string())]),
        })));
    }
    if wanted.is_empty() {
        // A question that is open still needs no answer any more, nor does the lease that was given back.
        build.in_flight.retain(|open| !open.command.step().is_describe() && open.command.step() != Step::RenewLease);
    }
    if wanted.is_empty() && build.in_flight.is_empty() {
        build.phase = Phase::Succeeded;
    }
    wanted
}

fn token(build: &Build, what: &str) -> String {
    match build.attempt {
        1 => format!("{}-{what}", build.id),
        attempt => format!("{}-{what}-{attempt}", build.id),
    }
}

fn own_tags(build: &Build) -> Tags {
    let expires = build.accepted_at + build.timing.provisioning + build.timing.copying + build.timing.copying;
    BTreeMap::from([
        (BUILD_TAG.to_string(), build.id.to_string()),
        (RECIPE_TAG.to_string(), build.recipe.clone()),
        (EXPIRES_TAG.to_string(), expires.0.to_string()),
    ])
}

fn image_tags(build: &Build, plan: &Plan) -> Tags {
    let mut tags = plan.tags.clone();
    tags.extend(own_tags(build));
    tags
}

/// What is known to exist still, in words, and why it could not be removed.
pub(crate) fn remaining(build: &Build) -> Vec<String> {
    let resources = &build.resources;
    let why = |steps: &[Step]| failing::why(&build.failing, steps);
    let mut left = Vec::new();
    for image in resources.images.iter().filter(|image| image.stage != ImageStage::Removed) {
        let why = why(&[Step::RemoveImage(image.region.clone())]);
        left.push(format!("image {} in {}{why}", image.id, image.region));
    }
    if let Some(snapshot) = resources.snapshot.as_ref().filter(|snapshot| snapshot.stage != SnapshotStage::Deleted) {
        left.push(format!("snapshot {} in {}{}", snapshot.id, build.region, why(&[Step::DeleteSnapshot])));
    }
    if let Some(volume) = resources.volume.as_ref().filter(|volume| volume.stage != VolumeStage::Deleted) {
        let why = why(&[Step::StopJob, Step::DescribeVolume, Step::DetachVolume, Step::DeleteVolume]);
        left.push(format!("volume {} in {}{why}", volume.id, build.region));
    }
    left.extend(resources.orphans.iter().map(|orphan| format!("{orphan}{}", why(&[Step::Remove(orphan.clone())]))));
    for region in resources.regions.iter().map(|regions| &regions.region) {
        let why = why(&[Step::Verify(region.clone())]);
        if !why.is_empty() {
            left.push(format!("whatever else is tagged with the build in {region}: nobody could look{why}"));
        }
    }
    left
}
