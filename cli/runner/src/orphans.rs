//! Resources that carry a build's tag but are in no record any more, as the record was damaged or removed.

use std::fmt;

use bakehouse_localcloud::resource::Tags;
use bakehouse_machine::{
    AccountRegion, Fault, Phase,
    resources::Resource,
    tags::{BUILD_TAG, EXPIRES_TAG},
};
use bakehouse_protocol::{BuildId, Region, RoleArn, spec::CopyRole};

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
        let cloud = LocalRunner::cloud(self);
        let failed = |source| RunnerError::Cloud { dir: cloud.dir().to_owned(), source };
        let (everything, account) = (cloud.everything().map_err(failed)?, cloud.account().map_err(failed)?);
        for region in everything {
            let of = |owner: &str| there(&region.region, owner, &account);
            let images =
                region.images.iter().map(|it| (&it.tags, Resource::Image(of(&it.owner_id), it.image_id.clone())));
            let snapshots = region
                .snapshots
                .iter()
                .map(|it| (&it.tags, Resource::Snapshot(of(&it.owner_id), it.snapshot_id.clone())));
            let volumes =
                region.volumes.iter().map(|it| (&it.tags, Resource::Volume(of(&account), it.volume_id.clone())));
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
        let there = orphan.resource.region();
        let role = there.role.clone().map(|arn| CopyRole { arn, external_id: None, session_name: None });
        let (cloud, region) = (Backend::cloud(self).in_account(role.as_ref()), &there.region);
        match &orphan.resource {
            Resource::Image(_, id) => pollster::block_on(cloud.remove_image(region, id, &orphan.build)),
            Resource::Snapshot(_, id) => pollster::block_on(cloud.delete_snapshot(region, id)),
            Resource::Volume(_, id) => pollster::block_on(cloud.delete_volume(region, id)),
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

/// Returns the region of an account. In the embedded cloud any role of another account can be assumed.
fn there(region: &Region, owner: &str, own: &str) -> AccountRegion {
    let role = RoleArn::new(format!("arn:aws:iam::{owner}:role/sweep")).ok();
    AccountRegion { region: region.clone(), role: role.filter(|_| owner != own) }
}

/// Returns the build of a resource, unless the resource is finished.
fn build_of_unfinished(tags: &Tags) -> Option<BuildId> {
    let build = BuildId::new(tags.get(BUILD_TAG)?.as_str()).ok()?;
    (tags.get(EXPIRES_TAG).map(String::as_str) != Some("never")).then_some(build)
}
