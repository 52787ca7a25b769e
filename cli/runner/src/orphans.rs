//! What carries a build's tag although no record leads to it any more: the record was damaged, or removed by hand.

use std::fmt;

use bakehouse_localcloud::resource::Tags;
use bakehouse_machine::{
    Fault, Phase,
    advance::{BUILD_TAG, EXPIRES_TAG},
    resources::Resource,
};
use bakehouse_protocol::BuildId;

use crate::{LocalRunner, RunnerError};
use bakehouse_controller::backend::Backend;

/// A resource that nothing will ever remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The build that made it.
    pub build: BuildId,
    /// What it is.
    pub resource: Resource,
}

impl fmt::Display for Orphan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of build {}, whose record is gone or can't be read", self.resource, self.build)
    }
}

impl LocalRunner {
    /// What no record leads to any more; images first, as they hold their snapshots. An image that was finished stays:
    /// it is what its build was for.
    ///
    /// # Errors
    /// [`RunnerError`] if the embedded cloud or the records can't be read.
    pub fn orphans(&self) -> Result<Vec<Orphan>, RunnerError> {
        let mut found = Vec::new();
        let everything = LocalRunner::cloud(self)
            .everything()
            .map_err(|source| RunnerError::Cloud { dir: LocalRunner::cloud(self).dir().to_owned(), source })?;
        for place in everything {
            let region = || place.region.clone();
            let images = place.images.iter().map(|it| (&it.tags, Resource::Image(region(), it.image_id.clone())));
            let snapshots =
                place.snapshots.iter().map(|it| (&it.tags, Resource::Snapshot(region(), it.snapshot_id.clone())));
            let volumes = place.volumes.iter().map(|it| (&it.tags, Resource::Volume(region(), it.volume_id.clone())));
            for (tags, resource) in images.chain(snapshots).chain(volumes) {
                if let Some(build) = unfinished(tags)
                    && self.is_forgotten(&build)?
                {
                    found.push(Orphan { build, resource });
                }
            }
        }
        found.sort_by(|a, b| a.resource.cmp(&b.resource));
        Ok(found)
    }

    /// Removes one.
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

    /// Whether no record will lead to what a build made: there is none that can be read, or it has ended.
    fn is_forgotten(&self, id: &BuildId) -> Result<bool, RunnerError> {
        match self.records().load(id) {
            Ok((build, _)) => Ok(matches!(build.phase, Phase::Failed(_) | Phase::Cancelled)),
            Err(_) => Ok(!self.records().is_owned(id)?),
        }
    }
}

/// The build that made a thing, unless the thing is finished and to stay.
fn unfinished(tags: &Tags) -> Option<BuildId> {
    let build = BuildId::new(tags.get(BUILD_TAG)?.as_str()).ok()?;
    (tags.get(EXPIRES_TAG).map(String::as_str) != Some("never")).then_some(build)
}
