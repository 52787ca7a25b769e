//! The commands that a build needs in order to advance. There is one function for each phase: it returns the commands
//! whose results the record lacks, and changes the phase when none is left.

use alloc::{boxed::Box, format, string::String, string::ToString, vec, vec::Vec};
use bakehouse_ec2::request::CreateVolume;
use bakehouse_protocol::{Job, Timestamp, VERSION, spec::Virtualization};

use crate::{
    Build, Command, CommandKey, ImageRecord, ImageStage, JobStage, Phase, Plan, SnapshotStage, VolumeStage, failing,
    finishing, imaging,
    in_region::InRegion,
    resources::{ParameterStage, ReplacedStage},
    retiring, tags,
    token::token,
};

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
        Phase::Snapshotting => wanted.extend(imaging::snapshotting(build, &plan)),
        Phase::Registering => wanted.extend(imaging::registering(build, &plan)),
        Phase::Copying => wanted.extend(imaging::copying(build, &plan)),
        Phase::Finishing => wanted.extend(finishing::finishing(build, &plan)),
        Phase::Retiring => wanted.extend(retiring::retiring(build, &plan)),
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
                throughput: plan.volume.throughput,
                encrypted: plan.volume.encrypted,
                kms_key_id: plan.volume.kms_key_id.clone(),
                volume_initialization_rate: plan.volume.initialization_rate,
                tags: tags::tracked(build, &plan.volume.tags),
                ..CreateVolume::new(lease.zone.clone())
            };
            Some(Command::CreateVolume(InRegion { region: (&build.region).into(), request }))
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

/// Returns descriptions of what is known to exist still, each with the reason why it could not be removed.
pub(crate) fn leftovers(build: &Build) -> Vec<String> {
    let resources = &build.resources;
    let why = |keys: &[CommandKey]| failing::messages(&build.failing, keys);
    let mut left = Vec::new();
    for image in resources.images.iter().filter(|image| image.stage != ImageStage::Removed) {
        let why = why(&[CommandKey::RemoveImage(image.region.clone())]);
        let shared = shared_with(build, image);
        left.push(format!("image {} in {}{shared}{why}", image.id, image.region));
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
    for image in &resources.temporary {
        let why = why(&[CommandKey::RemoveTemporary(image.region.clone())]);
        left.push(format!("image {} in {}{why}", image.id, image.region));
    }
    left.extend(not_restored(build));
    for region in resources.regions.iter().map(|record| &record.region) {
        let why = why(&[CommandKey::FindTagged(region.clone())]);
        if !why.is_empty() {
            left.push(format!("whatever else carries the build's tag in {region}: the search failed{why}"));
        }
    }
    left
}

/// Returns with whom an image is still shared, in parentheses; empty: with nobody for a copy.
fn shared_with(build: &Build, image: &ImageRecord) -> String {
    let is_shared = build.resources.sharing.as_ref().is_some_and(|sharing| !sharing.ended);
    match &build.plan {
        Some(plan) if is_shared && image.region == build.region => {
            let accounts = Vec::from_iter(plan.copying_accounts()).join(", ");
            format!(" (it and its snapshots are shared with {accounts})")
        }
        _ => String::new(),
    }
}

/// Returns descriptions of what others made and the build has not put back.
fn not_restored(build: &Build) -> Vec<String> {
    let why = |key: CommandKey| failing::messages(&build.failing, &[key]);
    let Some(plan) = &build.plan else { return Vec::new() };
    let mut left = Vec::new();
    for image in &plan.replaced {
        let stage = build.resources.replaced_in(&image.region);
        if stage.is_some_and(|stage| stage != ReplacedStage::Restored) {
            let why = why(CommandKey::RestoreReplaced(image.region.clone()));
            let (name, snapshot) = (&image.register.name, image.snapshots.first());
            let from = snapshot.map_or(String::new(), |id| format!(" (from {id})"));
            left.push(format!("image \"{name}\" in {} is to be registered again{from}{why}", image.region));
        }
    }
    for parameter in &plan.parameters {
        let (region, name) = (&parameter.region, &parameter.name);
        let stage = build.resources.parameter(region, name);
        if stage.is_some_and(|stage| stage != ParameterStage::Restored) {
            let was = parameter.previous.as_deref().unwrap_or("not there");
            let why = why(CommandKey::RestoreParameter(region.clone(), name.clone()));
            left.push(format!("parameter {name} in {region}, which was {was}{why}"));
        }
    }
    left
}
