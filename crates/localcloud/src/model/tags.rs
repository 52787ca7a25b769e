//! CreateTags.

use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId};

use super::{
    check::{check_tag_count, check_tags},
    errors::{no_image, no_instance, no_snapshot, no_volume},
    state::{Model, RegionState},
};
use crate::{ApiError, request::CreateTags, resource::Tags};

/// The tags `existing` with `new` set on them.
pub(super) fn merged(existing: &Tags, new: &Tags) -> Result<Tags, ApiError> {
    let mut all = existing.clone();
    all.extend(new.clone());
    check_tag_count(&all)?;
    Ok(all)
}

impl Model {
    /// The tags of a resource, if it exists.
    pub(crate) fn tags_on(&mut self, now: Timestamp, region: &Region, id: &str) -> Option<Tags> {
        let now = self.at(now);
        self.region_mut(region).ok()?.tags_of(id, now).ok().cloned()
    }

    /// CreateTags: on all of the resources, or on none.
    ///
    /// # Errors
    /// As [`crate::Ec2::create_tags`].
    pub fn create_tags(&mut self, now: Timestamp, region: &Region, request: &CreateTags) -> Result<(), ApiError> {
        let now = self.advance(now);
        check_tags(&request.tags)?;
        if request.resources.len() > 1000 {
            return Err(ApiError::new("InvalidParameterValue", "At most 1000 resources may be tagged in one call"));
        }
        let state = self.region_mut(region)?;
        let mut changed = Vec::new();
        for id in &request.resources {
            changed.push(merged(state.tags_of(id, now)?, &request.tags)?);
        }
        for (id, tags) in request.resources.iter().zip(changed) {
            *state.tags_of(id, now)? = tags;
        }
        Ok(())
    }
}

impl RegionState {
    fn tags_of(&mut self, id: &str, now: Timestamp) -> Result<&mut Tags, ApiError> {
        if let Ok(id) = VolumeId::new(id) {
            let volume = self.volumes.get_mut(&id).filter(|it| !it.is_gone(now));
            return volume.map(|it| &mut it.facts.tags).ok_or_else(|| no_volume(&id));
        }
        if let Ok(id) = SnapshotId::new(id) {
            return self.snapshots.get_mut(&id).map(|it| &mut it.facts.tags).ok_or_else(|| no_snapshot(&id));
        }
        if let Ok(id) = ImageId::new(id) {
            return self.images.get_mut(&id).map(|it| &mut it.facts.tags).ok_or_else(|| no_image(&id));
        }
        if let Ok(id) = InstanceId::new(id) {
            return self.instances.get_mut(&id).map(|it| &mut it.facts.tags).ok_or_else(|| no_instance(&id));
        }
        Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid")))
    }
}
