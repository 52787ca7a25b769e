//! The commands that a build needs in order to advance. There is one function for each phase: it returns the commands
//! whose results the record lacks, and changes the phase when none is left.

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
    Build, Command, CommandKey, ImageStage, JobStage, Phase, Plan, SnapshotStage, VolumeStage,
    command::{PublishImage, Tags},
    failing,
    in_region::InRegion,
};

/// The tag that carries the build's id.
pub const BUILD_TAG: &str = "bakehouse:build";
/// The tag that carries the recipe's name.
pub const RECIPE_TAG: &str = "bakehouse:recipe";
/// The tag that carries until when a resource may be needed, in milliseconds since 1970; `never` for finished images.
pub const EXPIRES_TAG: &str = "bakehouse:expires";

/// Returns the commands that are wanted now. Changes the phase when nothing is left to do in it.
pub(crate) fn advance(build: &mut Build, now: Timestamp) -> Vec<Command> {
    let mut wanted = Vec::from_iter(renew_lease(build, now));
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

fn renew_lease(build: &Build, now: Timestamp) -> Option<Command> {
    let lease = build.resources.lease.as_ref()?;
    (lease.renewal(build.timing.lease_duration) <= now).then(|| Command::RenewLease(lease.clone()))
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
                tags: tracking_tags(build),
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

/// The job is sent together with the attach call, not after it: so the agent already waits when the disk appears.
fn attaching(build: &mut Build, plan: &Plan) -> Vec<Command> {
    if matches!(build.resources.job, JobStage::Ended { .. }) {
        // Whatever the state of the attachment: what follows depends on how the job ended.
        build.phase = Phase::Provisioning;
        return vec![];
    }
    let (Some(held), Some(volume)) = (&build.resources.lease, &build.resources.volume) else { return vec![] };
    if build.resources.avoid.contains(&held.device) {
        return vec![lease(build, plan)];
    }
    // The agent runs the job: so the disk is attached, whether EC2 already describes it so or not.
    let agent_runs = matches!(build.resources.job, JobStage::Running { .. });
    if volume.stage == VolumeStage::Attached || agent_runs && volume.stage == VolumeStage::Attaching {
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
        error_cleanup: build.spec.error_cleanup.clone(),
        working_directory: build.spec.working_directory.clone(),
        sensitive: build.spec.sensitive.clone(),
        data: plan.data.clone(),
        files: build.files.clone(),
        bundle: build.bundle.clone(),
        disk_deadline: build.timing.disk_timeout,
        heartbeat: build.timing.heartbeat,
        grace: build.timing.stop_grace,
    };
    Command::SendJob(lease.host.clone(), Box::new(job))
}

/// Only a job that ended with a proof and without a failure leads to Snapshotting.
fn provisioning(build: &mut Build) {
    let JobStage::Ended { proof, failure } = &build.resources.job else { return };
    match (failure, proof) {
        (Some(failure), _) => {
            let failure = failure.clone();
            build.fail_with(failure.message.clone(), failure.hint.clone(), Some(failure));
        }
        (None, Some(_)) => build.phase = Phase::Snapshotting,
        (None, None) => build.fail("the agent stopped the job without having been told to".to_string(), None),
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
    wanted.extend(release(build, false));
    wanted
}

/// Detaches the volume, deletes it and releases the lease, one after the other and in parallel with everything else. If
/// `delete` is false the volume is kept: it is not documented that a volume may be deleted while its snapshot is
/// pending.
pub(crate) fn release(build: &Build, delete: bool) -> Option<Command> {
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
    let mut wanted = Vec::from_iter(release(build, true));
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

/// The regions are independent: a slow one delays only the next phase.
fn copying(build: &mut Build, plan: &Plan) -> Vec<Command> {
    let mut wanted = Vec::from_iter(release(build, true));
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

/// No image is published before every region has its image: all are published, or none.
fn finishing(build: &mut Build) -> Vec<Command> {
    let mut wanted = Vec::from_iter(release(build, true));
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
        // The results of describe commands no longer matter, nor does the renewal of a lease that is released.
        build
            .in_flight
            .retain(|entry| !entry.command.key().is_describe() && entry.command.key() != CommandKey::RenewLease);
    }
    if wanted.is_empty() && build.in_flight.is_empty() {
        build.phase = Phase::Succeeded;
    }
    wanted
}

/// Returns a client token: unique for the resource within the build's attempt.
fn token(build: &Build, resource: &str) -> String {
    match build.attempt {
        1 => format!("{}-{resource}", build.id),
        attempt => format!("{}-{resource}-{attempt}", build.id),
    }
}

/// Returns the tags by which resources of this build are found.
fn tracking_tags(build: &Build) -> Tags {
    let expires = build.accepted_at
        + build.timing.provisioning_timeout
        + build.timing.copying_timeout
        + build.timing.copying_timeout;
    BTreeMap::from([
        (BUILD_TAG.to_string(), build.id.to_string()),
        (RECIPE_TAG.to_string(), build.recipe.clone()),
        (EXPIRES_TAG.to_string(), expires.0.to_string()),
    ])
}

fn image_tags(build: &Build, plan: &Plan) -> Tags {
    let mut tags = plan.tags.clone();
    tags.extend(tracking_tags(build));
    tags
}

/// Returns descriptions of what is known to exist still, each with the reason why it could not be removed.
pub(crate) fn leftovers(build: &Build) -> Vec<String> {
    let resources = &build.resources;
    let why = |keys: &[CommandKey]| failing::messages(&build.failing, keys);
    let mut left = Vec::new();
    for image in resources.images.iter().filter(|image| image.stage != ImageStage::Removed) {
        let why = why(&[CommandKey::RemoveImage(image.region.clone())]);
        left.push(format!("image {} in {}{why}", image.id, image.region));
    }
    if let Some(snapshot) = resources.snapshot.as_ref().filter(|snapshot| snapshot.stage != SnapshotStage::Deleted) {
        left.push(format!("snapshot {} in {}{}", snapshot.id, build.region, why(&[CommandKey::DeleteSnapshot])));
    }
    if let Some(volume) = resources.volume.as_ref().filter(|volume| volume.stage != VolumeStage::Deleted) {
        let why =
            why(&[CommandKey::StopJob, CommandKey::DescribeVolume, CommandKey::DetachVolume, CommandKey::DeleteVolume]);
        left.push(format!("volume {} in {}{why}", volume.id, build.region));
    }
    left.extend(
        resources.orphans.iter().map(|orphan| format!("{orphan}{}", why(&[CommandKey::RemoveOrphan(orphan.clone())]))),
    );
    for region in resources.regions.iter().map(|record| &record.region) {
        let why = why(&[CommandKey::FindTagged(region.clone())]);
        if !why.is_empty() {
            left.push(format!("whatever else carries the build's tag in {region}: the search failed{why}"));
        }
    }
    left
}
