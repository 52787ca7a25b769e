//! EC2's calls on real disks.

use std::{fs::File, sync::Arc};

use async_trait::async_trait;
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, VolumeId, spec::CopyRole};

use super::{
    cloud::LocalCloud,
    copy::{GIB, Holes, is_same_file},
    device::LoopDevice,
    error::LocalError,
    partial::Partial,
};
use crate::{
    ApiError, Ec2, EmbeddedCloud,
    model::DiskId,
    request::{
        AttachImageWatermark, AttachVolume, CopyImage, CreateSnapshot, CreateTags, CreateVolume, DeleteVolume,
        DeregisterImage, DescribeImages, DescribeInstances, DescribeSnapshots, DescribeVolumes, DetachVolume,
        EnableImageDeprecation, EnableImageDeregistrationProtection, ModifyImageAttribute, ModifySnapshotAttribute,
        RegisterImage,
    },
    resource::{DeleteSnapshotResult, Image, Instance, InstanceState, Permissions, Snapshot, Volume, VolumeAttachment},
};

/// Removes a reserved disk unless it was finished: when copying fails or panics.
struct Reservation<'a> {
    cloud: &'a LocalCloud,
    region: &'a Region,
    disk: Option<DiskId>,
}

impl Reservation<'_> {
    fn finish(&mut self) -> Result<(), LocalError> {
        let region = self.region;
        if let Some(disk) = &self.disk {
            self.cloud.change(|model, now| Ok(model.release_disk(now, region, disk)?))?;
        }
        self.disk = None;
        Ok(())
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let region = self.region;
        let Some(disk) = self.disk.take() else { return };
        // If this fails too, the record stays held by this process and is removed when it has ended.
        let _ = self.cloud.change(|model, _| {
            model.drop_disk(region, &disk);
            Ok(())
        });
    }
}

impl LocalCloud {
    fn make_volume(&self, region: &Region, request: &CreateVolume) -> Result<Volume, LocalError> {
        let (volume, source) = self.change(|model, now| {
            let known = all_volumes(model, now);
            let volume = model.create_volume(now, region, request)?;
            if known.contains(&volume.volume_id) || volume.state == crate::resource::VolumeState::Deleted {
                // The client token's volume: created before, or by another process at this moment.
                return Ok((volume, None));
            }
            // Opened under the lock: the snapshot may be deleted while it is being copied.
            let source = request.snapshot_id.as_ref().map(|id| self.open_snapshot(id)).transpose()?;
            model.hold_disk(now, region, &DiskId::Volume(volume.volume_id.clone()), self.owner.clone())?;
            Ok((volume, Some(source)))
        })?;
        let Some(source) = source else {
            return Ok(volume);
        };
        let mut reservation = Reservation { cloud: self, region, disk: Some(DiskId::Volume(volume.volume_id.clone())) };
        let target = self.volume_path(&volume.volume_id);
        let mut partial = Partial::create(&target, &self.owner)?;
        let size = u64::from(volume.size) * GIB;
        match source {
            Some(source) => partial.fill(&source, size, Holes::Keep)?,
            None => partial.make_empty(size)?,
        }
        partial.link_to(&target)?;
        reservation.finish()?;
        partial.finish();
        Ok(volume)
    }

    fn open_snapshot(&self, id: &SnapshotId) -> Result<File, LocalError> {
        let path = self.snapshot_path(id);
        File::open(&path).map_err(LocalError::disk("opening", &path))
    }

    fn make_snapshot(&self, region: &Region, request: &CreateSnapshot) -> Result<Snapshot, LocalError> {
        // A snapshot has what was written to the device, which may still be attached.
        let device = self.devices().get(&request.volume_id).map(LoopDevice::handle);
        if let Some(device) = device {
            device?.sync()?;
        }
        let (snapshot, source) = self.change(|model, now| {
            let snapshot = model.create_snapshot(now, region, request)?;
            let path = self.volume_path(&request.volume_id);
            let source = File::open(&path).map_err(LocalError::disk("opening", &path))?;
            model.hold_disk(now, region, &DiskId::Snapshot(snapshot.snapshot_id.clone()), self.owner.clone())?;
            Ok((snapshot, source))
        })?;
        let mut reservation =
            Reservation { cloud: self, region, disk: Some(DiskId::Snapshot(snapshot.snapshot_id.clone())) };
        let target = self.snapshot_path(&snapshot.snapshot_id);
        let mut partial = Partial::create(&target, &self.owner)?;
        partial.fill(&source, u64::from(snapshot.volume_size) * GIB, Holes::Keep)?;
        partial.seal()?;
        partial.link_to(&target)?;
        super::state::sync_dir(&self.dir.join("snapshots"))?;
        reservation.finish()?;
        partial.finish();
        Ok(snapshot)
    }

    fn make_copy(&self, region: &Region, request: &CopyImage) -> Result<ImageId, LocalError> {
        let mut made = Vec::new();
        let copied = self.change(|model, now| {
            let id = model.copy_image(now, region, request)?;
            let image = |model: &crate::Model, region: &Region, id: &ImageId| {
                let here = model.everything(now).into_iter().find(|it| it.region == *region);
                here.and_then(|it| it.images.into_iter().find(|it| it.image_id == *id))
            };
            // The images of a client token that is used again may be deleted; then there is nothing to link.
            let (Some(source), Some(copy)) =
                (image(model, &request.source_region, &request.source_image_id), image(model, region, &id))
            else {
                return Ok(id);
            };
            for (from, id) in source.snapshots().zip(copy.snapshots()) {
                let (from, to) = (self.snapshot_path(from), self.snapshot_path(id));
                // The links of a client token that is used again exist.
                if is_same_file(&from, &to) {
                    continue;
                }
                let mut link = Partial::link(&from, &to, &self.owner)?;
                link.link_to(&to)?;
                made.push((DiskId::Snapshot(id.clone()), link));
            }
            super::state::sync_dir(&self.dir.join("snapshots"))?;
            Ok(id)
        });
        self.finish(made, copied.is_ok());
        copied
    }
}

fn all_volumes(model: &crate::Model, now: bakehouse_protocol::Timestamp) -> Vec<VolumeId> {
    model.everything(now).into_iter().flat_map(|it| it.volumes).map(|it| it.volume_id).collect()
}

#[async_trait]
impl Ec2 for LocalCloud {
    fn with_role(&self, role: Option<&CopyRole>) -> Self {
        self.with_caller(role.map(|role| role.arn.account().to_owned()))
    }

    async fn account(&self) -> Result<String, ApiError> {
        Ok(LocalCloud::account(self)?)
    }

    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        Ok(self.view()?.describe_regions())
    }

    async fn start_instances(&self, region: &Region, instance: &InstanceId) -> Result<InstanceState, ApiError> {
        Ok(self.change(|model, now| Ok(model.start_instance(now, region, instance)?))?)
    }

    async fn stop_instances(&self, region: &Region, instance: &InstanceId) -> Result<InstanceState, ApiError> {
        Ok(self.change(|model, now| Ok(model.stop_instance(now, region, instance)?))?)
    }

    async fn describe_instances(&self, region: &Region, request: DescribeInstances) -> Result<Vec<Instance>, ApiError> {
        self.view()?.describe_instances(self.now(), region, &request)
    }

    async fn describe_images(&self, region: &Region, request: DescribeImages) -> Result<Vec<Image>, ApiError> {
        self.view()?.describe_images(self.now(), region, &request)
    }

    async fn describe_snapshots(&self, region: &Region, request: DescribeSnapshots) -> Result<Vec<Snapshot>, ApiError> {
        self.view()?.describe_snapshots(self.now(), region, &request)
    }

    async fn describe_volumes(&self, region: &Region, request: DescribeVolumes) -> Result<Vec<Volume>, ApiError> {
        let volumes = self.view()?.describe_volumes(self.now(), region, &request)?;
        if !self.settle_busy(region, &volumes)? {
            return Ok(volumes);
        }
        self.view()?.describe_volumes(self.now(), region, &request)
    }

    async fn create_volume(&self, region: &Region, request: CreateVolume) -> Result<Volume, ApiError> {
        Ok(self.make_volume(region, &request)?)
    }

    async fn attach_volume(&self, region: &Region, request: AttachVolume) -> Result<VolumeAttachment, ApiError> {
        Ok(self.attach(region, &request)?)
    }

    async fn detach_volume(&self, region: &Region, request: DetachVolume) -> Result<VolumeAttachment, ApiError> {
        Ok(self.detach(region, &request)?)
    }

    async fn delete_volume(&self, region: &Region, request: DeleteVolume) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.delete_volume(now, region, &request)?))?)
    }

    async fn create_snapshot(&self, region: &Region, request: CreateSnapshot) -> Result<Snapshot, ApiError> {
        Ok(self.make_snapshot(region, &request)?)
    }

    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.delete_snapshot(now, region, snapshot)?))?)
    }

    async fn register_image(&self, region: &Region, request: RegisterImage) -> Result<ImageId, ApiError> {
        Ok(self.change(|model, now| Ok(model.register_image(now, region, &request)?))?)
    }

    async fn copy_image(&self, region: &Region, request: CopyImage) -> Result<ImageId, ApiError> {
        Ok(self.make_copy(region, &request)?)
    }

    async fn modify_image_attribute(&self, region: &Region, request: ModifyImageAttribute) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.modify_image_attribute(now, region, &request)?))?)
    }

    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.modify_snapshot_attribute(now, region, &request)?))?)
    }

    async fn describe_launch_permission(&self, region: &Region, image: &ImageId) -> Result<Permissions, ApiError> {
        self.view()?.describe_launch_permission(region, image)
    }

    async fn enable_image_deprecation(&self, region: &Region, request: EnableImageDeprecation) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.enable_image_deprecation(now, region, &request)?))?)
    }

    async fn enable_image_deregistration_protection(
        &self,
        region: &Region,
        request: EnableImageDeregistrationProtection,
    ) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.enable_image_deregistration_protection(now, region, &request)?))?)
    }

    async fn disable_image_deregistration_protection(&self, region: &Region, image: &ImageId) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.disable_image_deregistration_protection(now, region, image)?))?)
    }

    async fn attach_image_watermark(&self, region: &Region, request: AttachImageWatermark) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.attach_image_watermark(now, region, &request)?))?)
    }

    async fn create_tags(&self, region: &Region, request: CreateTags) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.create_tags(now, region, &request)?))?)
    }

    async fn deregister_image(
        &self,
        region: &Region,
        request: DeregisterImage,
    ) -> Result<Vec<DeleteSnapshotResult>, ApiError> {
        Ok(self.change(|model, now| Ok(model.deregister_image(now, region, &request)?))?)
    }
}

impl EmbeddedCloud for LocalCloud {
    fn as_account(&self, account: &str) -> Arc<dyn EmbeddedCloud> {
        Arc::new(self.with_caller(Some(account.to_owned())))
    }

    fn disable_image_deprecation(&self, region: &Region, image: &ImageId) -> Result<(), ApiError> {
        Ok(self.change(|model, now| Ok(model.disable_image_deprecation(now, region, image)?))?)
    }
}
