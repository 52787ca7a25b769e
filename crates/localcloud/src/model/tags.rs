//! Tags: EC2's rules, and CreateTags.

use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId};

use super::{Model, RegionState, attach::no_instance, image::no_image, snapshot::no_snapshot, volume::no_volume};
use crate::{ApiError, request::CreateTags, resource::Tags};

/// Tags a resource may have (the reserved ones do not count).
const MOST_TAGS: usize = 50;

/// Checks tags that a request brings.
pub(super) fn check(tags: &Tags) -> Result<(), ApiError> {
    let invalid = |message: String| Err(ApiError::new("InvalidParameterValue", message));
    for (key, value) in tags {
        if key.is_empty() {
            return invalid("Tag key cannot be null or empty.".to_owned());
        }
        // AWS keeps the prefix for itself in any case.
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return invalid(format!("Tag keys starting with 'aws:' are reserved for internal use: '{key}'"));
        }
        if key.chars().count() > 128 {
            return invalid(format!("Tag key exceeds the maximum length of 128 characters: '{key}'"));
        }
        if value.chars().count() > 256 {
            return invalid(format!("Tag value exceeds the maximum length of 256 characters (key '{key}')"));
        }
    }
    limit(tags)
}

fn limit(tags: &Tags) -> Result<(), ApiError> {
    if tags.keys().filter(|key| !key.starts_with("aws:")).count() > MOST_TAGS {
        return Err(ApiError::new("TagLimitExceeded", format!("More than {MOST_TAGS} tags specified on a resource")));
    }
    Ok(())
}

/// What `existing` becomes when `new` is set on it.
pub(super) fn merged(existing: &Tags, new: &Tags) -> Result<Tags, ApiError> {
    let mut all = existing.clone();
    all.extend(new.clone());
    limit(&all)?;
    Ok(all)
}

impl Model {
    /// The tags of what is there.
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
        check(&request.tags)?;
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
            let volume = self.volumes.get_mut(&id).filter(|it| !it.gone(now));
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
