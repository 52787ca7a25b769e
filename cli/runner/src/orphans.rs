//! Resources that carry a build's tag but are in no record any more, as the record was damaged or removed.

use std::fmt;

use bakehouse_localcloud::resource::Tags;
use bakehouse_machine::{
    Fault, Phase,
    resources::Resource,
    tags::{BUILD_TAG, EXPIRES_TAG},
};
use bakehouse_protocol::BuildId;

use crate::{LocalRunner, RunnerError};
use bakehouse_controller::backend::Backend;

/// A resource without a record, which no build will remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The build that made it.
    pub build: BuildId,
    /// The resource.
    pub resource: Resource,
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of build {}, whose record is gone or can't be read", self.resource, self.build)
    }
}

impl LocalRunner {
    /// Returns the resources without a record; images first, as they use their snapshots. A finished image is not an
    /// orphan.
    ///
    /// # Errors
    /// [`RunnerError`] if the embedded cloud or the records can't be read.
    pub fn orphans(&self) -> Result<Vec<Orphan>, RunnerError> {
        let mut found = Vec::new();
        let everything = LocalRunner::cloud(self)
            .everything()
            .map_err(|source| RunnerError::Cloud { dir: LocalRunner::cloud(self).dir().to_owned(), source })?;
        for region in everything {
            let name = || region.region.clone();
            let images = region.images.iter().map(|it| (&it.tags, Resource::Image(name(), it.image_id.clone())));
            let snapshots =
                region.snapshots.iter().map(|it| (&it.tags, Resource::Snapshot(name(), it.snapshot_id.clone())));
            let volumes = region.volumes.iter().map(|it| (&it.tags, Resource::Volume(name(), it.volume_id.clone())));
            for (tags, resource) in images.chain(snapshots).chain(volumes) {
                if let Some(build) = build_of_unfinished(tags)
                    && self.is_abandoned(&build)?
                {
                    found.push(Orphan { build, resource });
                }
            }
        }
        found.sort_by(|a, b| a.resource.cmp(&b.resource));
        Ok(found)
    }

    /// Removes an orphan.
    ///
    /// # Errors
    /// The cloud's fault.
    pub fn remove_orphan(&self, orphan: &Orphan) -> Result<(), Fault> {
        let cloud = Backend::cloud(self);
        match &orphan.resource {
            Resource::Image(region, id) => pollster::block_on(cloud.remove_image(region, id, &orphan.build)),
            Resource::Snapshot(region, id) => pollster::block_on(cloud.delete_snapshot(region, id)),
            Resource::Volume(region, id) => pollster::block_on(cloud.delete_volume(region, id)),
        }
    }

    /// Whether nothing will remove a build's resources: its record is unreadable or missing, or it has ended and names
    /// none that it has left.
    fn is_abandoned(&self, id: &BuildId) -> Result<bool, RunnerError> {
        match self.records().load(id) {
            Ok((build, _)) => {
                Ok(matches!(build.phase, Phase::Failed(_) | Phase::Cancelled) && build.leftovers.is_empty())
            }
            Err(_) => Ok(!self.records().is_owned(id)?),
        }
    }
}

/// Returns the build of a resource, unless the resource is finished.
fn build_of_unfinished(tags: &Tags) -> Option<BuildId> {
    let build = BuildId::new(tags.get(BUILD_TAG)?.as_str()).ok()?;
    (tags.get(EXPIRES_TAG).map(String::as_str) != Some("never")).then_some(build)
}
