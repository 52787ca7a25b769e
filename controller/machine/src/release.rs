//! Releasing the work volume and the lease.

use crate::{Build, Command, VolumeStage};

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
