//! Changes that no call of EC2 makes: instances, mounts, failures, private snapshots. For setting up a cloud and for
//! tests.

use std::collections::BTreeSet;

use bakehouse_protocol::{
    DeviceName, ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId, Zone, spec::Architecture,
};

use super::{
    errors::no_image,
    ids,
    record::{Detach, InstanceRecord, Ready},
    state::Model,
};
use crate::{
    ApiError,
    resource::{Instance, InstanceState, Permissions, Tags},
};

/// The attachments of a Nitro instance, without one network interface and the root volume (EC2 guide, "Volume limits").
const ATTACHMENT_LIMIT: usize = 26;

impl Model {
    /// Adds a running instance. `/dev/sda1` and `/dev/sda` are reserved for its root.
    ///
    /// # Errors
    /// `InvalidParameterValue` for an unknown region.
    pub fn add_instance(
        &mut self,
        region: &Region,
        id: InstanceId,
        zone: Zone,
        architecture: Architecture,
    ) -> Result<(), ApiError> {
        let reserved: Result<BTreeSet<DeviceName>, ApiError> =
            ["/dev/sda", "/dev/sda1"].into_iter().map(ids::fixed).collect();
        let facts = Instance {
            instance_id: id.clone(),
            availability_zone: zone,
            state: InstanceState::Running,
            architecture,
            instance_type: "m7i.large".to_owned(),
            image_id: None,
            block_device_mappings: Vec::new(),
            tags: Tags::new(),
        };
        let record = InstanceRecord { facts, change: None, limit: ATTACHMENT_LIMIT, reserved: reserved? };
        self.region_mut(region)?.instances.insert(id, record);
        Ok(())
    }

    /// Sets an instance's state.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`.
    pub fn set_instance_state(
        &mut self,
        region: &Region,
        id: &InstanceId,
        state: InstanceState,
    ) -> Result<(), ApiError> {
        let instance = self.instance(region, id)?;
        (instance.facts.state, instance.change) = (state, None);
        Ok(())
    }

    /// Sets the image that an instance was launched from.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`.
    pub fn set_instance_image(&mut self, region: &Region, id: &InstanceId, image: ImageId) -> Result<(), ApiError> {
        self.instance(region, id)?.facts.image_id = Some(image);
        Ok(())
    }

    /// Sets how many volumes may be attached, and reserves further device names, which describe calls do not show
    /// (Ubuntu's images reserve `/dev/sdb` and `/dev/sdc`).
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`.
    pub fn set_instance_slots(
        &mut self,
        region: &Region,
        id: &InstanceId,
        limit: usize,
        reserved: impl IntoIterator<Item = DeviceName>,
    ) -> Result<(), ApiError> {
        let instance = self.instance(region, id)?;
        instance.limit = limit;
        instance.reserved.extend(reserved);
        Ok(())
    }

    /// Makes a snapshot private, as those of many public images are: such an image can be launched, not cloned.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`.
    pub fn make_snapshot_private(&mut self, now: Timestamp, region: &Region, id: &SnapshotId) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.region_mut(region)?.snapshot(id, now)?.facts.create_volume_permission = Permissions::default();
        Ok(())
    }

    /// Sets whether a volume is mounted. A `busy` detach continues when it is not.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`.
    pub fn set_mounted(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &VolumeId,
        mounted: bool,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        let delays = self.delays;
        let state = self.region_mut(region)?;
        let volume = state.volume(id, now)?;
        volume.mounted = mounted;
        if let Some(attachment) = volume.attachment.as_mut().filter(|it| !mounted && it.detach == Some(Detach::Busy)) {
            let hold = attachment.start_detach(now, &delays);
            state.device_holds.push(hold);
        }
        Ok(())
    }

    /// Sets a volume to `error`, as a bad key does.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`.
    pub fn fail_volume(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &VolumeId,
        reason: impl Into<String>,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.region_mut(region)?.volume(id, now)?.ready = Ready::Failed(reason.into());
        Ok(())
    }

    /// Sets a snapshot to `error`.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`.
    pub fn fail_snapshot(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &SnapshotId,
        reason: impl Into<String>,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.region_mut(region)?.snapshot(id, now)?.ready = Ready::Failed(reason.into());
        Ok(())
    }

    /// Sets an image to `failed`.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`.
    pub fn fail_image(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &ImageId,
        reason: impl Into<String>,
    ) -> Result<(), ApiError> {
        self.advance(now);
        let image = self.region_mut(region)?.images.get_mut(id).ok_or_else(|| no_image(id))?;
        image.ready = Ready::Failed(reason.into());
        Ok(())
    }
}
