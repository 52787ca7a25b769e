//! CreateSnapshot, DeleteSnapshot, ModifySnapshotAttribute.

use bakehouse_protocol::{ImageId, Region, SnapshotId, Timestamp};

use super::{
    check::{check_description, check_tags},
    encryption::check_sharing,
    errors::no_snapshot,
    permissions::change,
    record::{Ready, SnapshotRecord},
    state::{Model, RegionState},
};
use crate::{
    ApiError,
    request::{CreateSnapshot, ModifySnapshotAttribute},
    resource::{Permissions, Snapshot, SnapshotState, VolumeState},
};

/// The most pending snapshots of one gp or io volume (EBS quotas; 1 for st1 and sc1).
const MAX_PENDING: usize = 5;

impl RegionState {
    /// A snapshot that is not deleted.
    pub(super) fn snapshot(&mut self, id: &SnapshotId, now: Timestamp) -> Result<&mut SnapshotRecord, ApiError> {
        self.snapshots.get_mut(id).filter(|it| !it.is_gone(now)).ok_or_else(|| no_snapshot(id))
    }

    /// The image that uses a snapshot, if one does.
    pub(super) fn image_using(&self, id: &SnapshotId) -> Option<&ImageId> {
        self.images
            .values()
            .find(|image| image.facts.snapshots().any(|used| used == id))
            .map(|image| &image.facts.image_id)
    }
}

impl Model {
    /// Whether the caller may create volumes and images from a snapshot.
    pub(super) fn may_read(&self, snapshot: &SnapshotRecord) -> bool {
        let permissions = &snapshot.facts.create_volume_permission;
        snapshot.facts.owner_id == self.caller()
            || permissions.groups.contains("all")
            || permissions.users.contains(self.caller())
    }

    /// CreateSnapshot.
    ///
    /// # Errors
    /// As [`crate::Ec2::create_snapshot`].
    pub fn create_snapshot(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &CreateSnapshot,
    ) -> Result<Snapshot, ApiError> {
        let now = self.advance(now);
        check_tags(&request.tags)?;
        check_description(&request.description)?;
        let (delays, owner_id) = (self.delays, self.caller().to_owned());
        let snapshot_id: SnapshotId = self.ids.next("snap-")?;
        let state = self.region_mut(region)?;
        let id = &request.volume_id;
        let pending = state
            .snapshots
            .values()
            .filter(|it| it.facts.volume_id == *id && it.state(now) == SnapshotState::Pending)
            .count();
        let volume = state.volume(id, now)?;
        let volume_state = volume.state(now);
        if !matches!(volume_state, VolumeState::Available | VolumeState::InUse) {
            return Err(ApiError::new("IncorrectState", format!("Volume '{id}' is in the '{volume_state}' state.")));
        }
        let max = if matches!(volume.facts.volume_type.as_str(), "st1" | "sc1") { 1 } else { MAX_PENDING };
        if pending >= max {
            return Err(ApiError::new(
                "ConcurrentSnapshotLimitExceeded",
                "Maximum allowed in-progress snapshots for a single volume exceeded.",
            ));
        }
        if volume.last_snapshot.is_some_and(|last| now.since(last) < delays.snapshot_interval) {
            return Err(ApiError::new(
                "SnapshotCreationPerVolumeRateExceeded",
                "The maximum per volume CreateSnapshot request rate has been exceeded. \
                 Use an increasing or variable sleep interval between requests.",
            ));
        }
        volume.last_snapshot = Some(now);
        let facts = Snapshot {
            snapshot_id: snapshot_id.clone(),
            volume_id: id.clone(),
            volume_size: volume.facts.size,
            state: SnapshotState::Pending,
            state_message: None,
            progress: String::new(),
            start_time: now,
            owner_id,
            description: request.description.clone(),
            encrypted: volume.facts.encrypted,
            kms_key_id: volume.facts.kms_key_id.clone(),
            create_volume_permission: Permissions::default(),
            tags: request.tags.clone(),
        };
        let record =
            SnapshotRecord { facts: facts.clone(), ready: Ready::At(now + delays.create_snapshot), deleted: false };
        state.snapshots.insert(snapshot_id, record);
        Ok(facts)
    }

    /// DeleteSnapshot. A pending one is removed when it has completed.
    ///
    /// # Errors
    /// As [`crate::Ec2::delete_snapshot`].
    pub fn delete_snapshot(&mut self, now: Timestamp, region: &Region, id: &SnapshotId) -> Result<(), ApiError> {
        let now = self.advance(now);
        let account = self.caller().to_owned();
        let state = self.region_mut(region)?;
        if state.snapshot(id, now)?.facts.owner_id != account {
            return Err(no_snapshot(id));
        }
        if let Some(image) = state.image_using(id) {
            return Err(ApiError::new(
                "InvalidSnapshot.InUse",
                format!("The snapshot {id} is currently in use by {image}"),
            ));
        }
        state.snapshot(id, now)?.deleted = true;
        state.drop_expired(now);
        Ok(())
    }

    /// ModifySnapshotAttribute.
    ///
    /// # Errors
    /// As [`crate::Ec2::modify_snapshot_attribute`].
    pub fn modify_snapshot_attribute(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        let changes = &request.create_volume_permission;
        let adds = !changes.add_users.is_empty() || !changes.add_groups.is_empty();
        if adds && (!changes.remove_users.is_empty() || !changes.remove_groups.is_empty()) {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Permissions can be added or removed in one call, not both.",
            ));
        }
        let organizations = [
            &changes.add_organizations,
            &changes.add_organizational_units,
            &changes.remove_organizations,
            &changes.remove_organizational_units,
        ];
        if organizations.into_iter().any(|arns| !arns.is_empty()) {
            return Err(ApiError::new("InvalidParameterValue", "Snapshots are shared with accounts and groups only."));
        }
        let account = self.caller().to_owned();
        let snapshot = self.region_mut(region)?.snapshot(&request.snapshot_id, now)?;
        if snapshot.facts.owner_id != account {
            return Err(no_snapshot(&request.snapshot_id));
        }
        let permissions = change(&snapshot.facts.create_volume_permission, changes, "InvalidParameterValue")?;
        check_sharing(request.snapshot_id.as_str(), &snapshot.encryption(), &permissions)?;
        snapshot.facts.create_volume_permission = permissions;
        Ok(())
    }
}
