//! The describe calls. They do not show a new resource for a while ([`super::Delays::consistency_lag`]).

use bakehouse_protocol::{Region, Timestamp};

use super::{
    errors::{no_image, no_instance, no_snapshot, no_volume},
    filter,
    state::Model,
};
use crate::{
    ApiError,
    request::{DescribeImages, DescribeInstances, DescribeSnapshots, DescribeVolumes},
    resource::{Image, Instance, InstanceBlockDeviceMapping, Snapshot, Volume},
};

impl Model {
    fn is_shown(&self, created: Timestamp, now: Timestamp) -> bool {
        created + self.delays.consistency_lag <= now
    }

    /// DescribeInstances.
    ///
    /// # Errors
    /// As [`crate::Ec2::describe_instances`].
    pub fn describe_instances(
        &self,
        now: Timestamp,
        region: &Region,
        request: &DescribeInstances,
    ) -> Result<Vec<Instance>, ApiError> {
        let now = self.at(now);
        let state = self.region(region)?;
        filter::check(&request.filters, filter::INSTANCE_FILTERS)?;
        if let Some(id) = request.instance_ids.iter().find(|id| !state.instances.contains_key(id)) {
            return Err(no_instance(id));
        }
        let all = state.instances.values().map(|record| {
            let mut instance = record.view(now);
            instance.block_device_mappings = state
                .volumes
                .values()
                .filter_map(|volume| volume.attachment_view(now))
                .filter(|attachment| attachment.instance_id == instance.instance_id)
                .map(|attachment| InstanceBlockDeviceMapping {
                    device_name: attachment.device,
                    volume_id: attachment.volume_id,
                    status: attachment.state,
                })
                .collect();
            instance
        });
        Ok(all
            .filter(|it| request.instance_ids.is_empty() || request.instance_ids.contains(&it.instance_id))
            .filter(|it| filter::matches(it, &request.filters))
            .collect())
    }

    /// DescribeImages.
    ///
    /// # Errors
    /// As [`crate::Ec2::describe_images`].
    pub fn describe_images(
        &self,
        now: Timestamp,
        region: &Region,
        request: &DescribeImages,
    ) -> Result<Vec<Image>, ApiError> {
        let now = self.at(now);
        filter::check(&request.filters, filter::IMAGE_FILTERS)?;
        let visible: Vec<Image> = self
            .region(region)?
            .images
            .values()
            .filter(|it| it.visible_to(self.caller()) && self.is_shown(it.created, now))
            .map(|it| it.view(now))
            .collect();
        if let Some(id) = request.image_ids.iter().find(|id| !visible.iter().any(|it| it.image_id == **id)) {
            return Err(no_image(id));
        }
        Ok(visible
            .into_iter()
            .filter(|it| request.image_ids.is_empty() || request.image_ids.contains(&it.image_id))
            .filter(|it| request.owners.is_empty() || request.owners.iter().any(|owner| self.owns(owner, it)))
            .filter(|it| {
                // Deprecated images are shown to their owner, and to others by id.
                request.include_deprecated
                    || it.owner_id == self.caller()
                    || request.image_ids.contains(&it.image_id)
                    || it.deprecation_time.is_none_or(|at| at > now)
            })
            .filter(|it| filter::matches(it, &request.filters))
            .collect())
    }

    fn owns(&self, owner: &str, image: &Image) -> bool {
        match owner {
            "self" => image.owner_id == self.caller(),
            owner => image.owner_id == owner || image.image_owner_alias.as_deref() == Some(owner),
        }
    }

    /// DescribeSnapshots.
    ///
    /// # Errors
    /// As [`crate::Ec2::describe_snapshots`].
    pub fn describe_snapshots(
        &self,
        now: Timestamp,
        region: &Region,
        request: &DescribeSnapshots,
    ) -> Result<Vec<Snapshot>, ApiError> {
        let now = self.at(now);
        filter::check(&request.filters, filter::SNAPSHOT_FILTERS)?;
        let visible: Vec<Snapshot> = self
            .region(region)?
            .snapshots
            .values()
            .filter(|it| !it.is_gone(now) && self.may_read(it) && self.is_shown(it.facts.start_time, now))
            .map(|it| it.view(now))
            .collect();
        if let Some(id) = request.snapshot_ids.iter().find(|id| !visible.iter().any(|it| it.snapshot_id == **id)) {
            return Err(no_snapshot(id));
        }
        let owned = |owner: &String, it: &Snapshot| match owner.as_str() {
            "self" => it.owner_id == self.caller(),
            owner => it.owner_id == owner,
        };
        Ok(visible
            .into_iter()
            .filter(|it| request.snapshot_ids.is_empty() || request.snapshot_ids.contains(&it.snapshot_id))
            .filter(|it| request.owner_ids.is_empty() || request.owner_ids.iter().any(|owner| owned(owner, it)))
            .filter(|it| filter::matches(it, &request.filters))
            .collect())
    }

    /// DescribeVolumes.
    ///
    /// # Errors
    /// As [`crate::Ec2::describe_volumes`].
    pub fn describe_volumes(
        &self,
        now: Timestamp,
        region: &Region,
        request: &DescribeVolumes,
    ) -> Result<Vec<Volume>, ApiError> {
        let now = self.at(now);
        filter::check(&request.filters, filter::VOLUME_FILTERS)?;
        let visible: Vec<Volume> = self
            .region(region)?
            .volumes
            .values()
            .filter(|it| !self.is_foreign() && !it.is_gone(now) && self.is_shown(it.facts.create_time, now))
            .map(|it| it.view(now))
            .collect();
        if let Some(id) = request.volume_ids.iter().find(|id| !visible.iter().any(|it| it.volume_id == **id)) {
            return Err(no_volume(id));
        }
        Ok(visible
            .into_iter()
            .filter(|it| request.volume_ids.is_empty() || request.volume_ids.contains(&it.volume_id))
            .filter(|it| filter::matches(it, &request.filters))
            .collect())
    }
}
