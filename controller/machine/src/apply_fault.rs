//! Decides what a fault means for its command: retry, done, another device name, a lost host, or the end of the build.

use bakehouse_protocol::{Timestamp, mask::Mask};

use crate::{
    Build, Command, Fault, FaultKind, ImageStage, JobStage, Phase, SnapshotStage, VolumeStage,
    resources::{ParameterStage, ReplacedStage},
    retiring, schedule,
};

/// Returns the fault with sensitive values masked: it quotes names and EC2's messages, and is saved and shown.
pub fn masked(build: &Build, mut fault: Fault) -> Fault {
    let mask = Mask::new(&build.spec.sensitive);
    fault.message = mask.apply(&fault.message).into_owned();
    fault.hint = fault.hint.map(|hint| mask.apply(&hint).into_owned());
    fault
}

/// Decides what a fault means for its command.
pub(crate) fn apply_fault(build: &mut Build, command: &Command, fault: Fault, now: Timestamp) {
    let timing = build.timing.clone();
    let key = command.key();
    match fault.kind {
        FaultKind::Throttled | FaultKind::Ambiguous => {
            schedule::back_off(build, key, now, |tries| timing.retry_interval(tries))
        }
        FaultKind::NotReady => {
            schedule::back_off(build, key, now, |tries| timing.poll_interval(tries));
            // It is still attached: describe it before deleting it again.
            if let (Command::DeleteVolume(..), Some(volume)) = (command, build.resources.volume.as_mut()) {
                volume.stage = VolumeStage::Detaching;
            }
        }
        FaultKind::NotFound => apply_not_found(build, command, fault, now),
        FaultKind::Conflict => apply_conflict(build, command, fault, now),
        FaultKind::Permanent if matches!(build.phase, Phase::Undoing(_)) => {
            // Retried until the deadline: an operator may grant the missing permission meanwhile. A create command that
            // was refused has created nothing, so there is nothing to undo.
            if command.creates_in().is_none() {
                schedule::back_off(build, key, now, |tries| timing.retry_interval(tries));
            }
        }
        FaultKind::Permanent => refuse(build, command, fault),
    }
}

/// The command will never succeed: the build fails. While older images are removed it goes on without.
fn refuse(build: &mut Build, command: &Command, fault: Fault) {
    if build.phase == Phase::Retiring {
        return retiring::give_up(build, command, &fault.message);
    }
    build.fail(fault.message, fault.hint);
}

/// There is no such resource: it can't be seen yet if it was created moments ago, and it is gone if it was to be
/// removed.
fn apply_not_found(build: &mut Build, command: &Command, fault: Fault, now: Timestamp) {
    let volume = build.resources.volume.as_ref();
    let created_at = match command {
        // Once EC2 has described it as attached it was visible: then it is gone.
        Command::DescribeVolume(..) | Command::DetachVolume(..) | Command::DeleteVolume(..) => {
            volume.filter(|volume| volume.stage < VolumeStage::Attached).map(|volume| volume.created_at)
        }
        Command::AttachVolume { .. } | Command::CreateSnapshot { .. } => volume.map(|volume| volume.created_at),
        // The same for a snapshot that EC2 has described as completed: deregistering an image may have deleted it.
        Command::DeleteSnapshot(..) => {
            let snapshot = build.resources.snapshot.as_ref();
            snapshot.filter(|snapshot| snapshot.stage < SnapshotStage::Completed).map(|snapshot| snapshot.created_at)
        }
        Command::DescribeSnapshot(..) | Command::RegisterImage(_) => {
            build.resources.snapshot.as_ref().map(|snapshot| snapshot.created_at)
        }
        Command::DescribeImage(region, _) | Command::RemoveImage(region, _) | Command::ProtectImage { region, .. } => {
            build.resources.image_in(region).map(|image| image.created_at)
        }
        Command::WatermarkImage(region, ..) => build.resources.image_in(region).map(|image| image.created_at),
        Command::ShareImage(it) | Command::UnshareImage(it) => {
            build.resources.image_in(&it.region).map(|image| image.created_at)
        }
        Command::RegisterFinal(register) => build.resources.image_in(&register.region).map(|image| image.created_at),
        Command::PublishImage(publish) => build.resources.image_in(&publish.region).map(|image| image.created_at),
        // The other account sees the image some time after it was shared.
        Command::CopyImage(copy) if copy.region.role.is_some() => {
            build.resources.sharing.as_ref().map(|sharing| sharing.since)
        }
        Command::CopyImage(_) => build.resources.images.first().map(|image| image.created_at),
        _ => None,
    };
    if created_at.is_some_and(|created_at| now < created_at + build.timing.consistency) {
        let timing = build.timing.clone();
        return schedule::back_off(build, command.key(), now, |tries| timing.poll_interval(tries));
    }
    let resources = &mut build.resources;
    match command {
        // It is detached, perhaps even deleted: describing it shows which.
        Command::DetachVolume(..) => resources.raise_volume(VolumeStage::Detaching),
        // EC2 says so of a volume that is not visible yet, too: describing it shows which.
        Command::DeleteVolume(..) => {
            if let Some(volume) = resources.volume.as_mut() {
                volume.stage = VolumeStage::Detaching;
            }
        }
        Command::DeleteSnapshot(..) => {
            if let Some(snapshot) = resources.snapshot.as_mut() {
                snapshot.stage = SnapshotStage::Deleted;
            }
        }
        Command::RemoveImage(region, _) => resources.raise_image(region, ImageStage::Removed),
        Command::RemoveTemporary(region, _) => resources.temporary.retain(|image| &image.region != region),
        // Somebody else has deregistered it: its name is free.
        Command::DeregisterReplaced(region, _) => resources.raise_replaced(region, ReplacedStage::Deregistered),
        Command::RestoreParameter(it) => resources.set_parameter(&it.region, &it.name, ParameterStage::Restored),
        Command::RetireImage(old) => resources.old_images.retain(|it| it != old),
        Command::RemoveOrphan(resource) => resources.orphans.retain(|orphan| orphan != resource),
        Command::Release(_) => resources.lease = None,
        // The host has no such job: it has ended or never began. The volume is detached either way.
        Command::StopJob(_) => resources.job = JobStage::Ended { proof: None, failure: None },
        // It is no longer needed: that it is gone is the goal.
        Command::DescribeVolume(..)
            if matches!(build.phase, Phase::Undoing(_))
                || resources.volume.as_ref().is_some_and(|volume| volume.stage >= VolumeStage::Detaching) =>
        {
            match resources.volume.as_mut() {
                Some(volume) if volume.stage < VolumeStage::Missing => {
                    volume.stage = VolumeStage::Missing;
                    let timing = build.timing.clone();
                    schedule::back_off(build, command.key(), now, |tries| timing.poll_interval(tries));
                }
                _ => resources.raise_volume(VolumeStage::Deleted),
            }
        }
        // The host's queue, its instance, or the slot on it is gone.
        Command::SendJob(..) | Command::AttachVolume { .. } | Command::RenewLease(_) => {
            build.lose_host(fault.message, fault.hint, None);
        }
        _ => refuse(build, command, fault),
    }
}

/// The name is in use: another device name is leased; for an image name, the build fails.
fn apply_conflict(build: &mut Build, command: &Command, fault: Fault, now: Timestamp) {
    match command {
        Command::AttachVolume { device, .. } if build.spec.chroot.device_path.is_none() => {
            if !build.resources.avoid.contains(device) {
                build.resources.avoid.push(device.clone());
            }
        }
        // It is taken while this build's own image is being removed.
        Command::RestoreReplaced(_) => {
            let timing = build.timing.clone();
            schedule::back_off(build, command.key(), now, |tries| timing.retry_interval(tries));
        }
        _ => refuse(build, command, fault),
    }
}
