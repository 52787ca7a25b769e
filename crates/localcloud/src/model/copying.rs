//! What [`LocalCloud`](crate::LocalCloud) changes in the model: a process copies a disk, has finished, or has died; and
//! which process keeps an attachment's device open.

use bakehouse_protocol::{ImageId, Region, SnapshotId, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};

use super::{
    errors::no_image,
    record::{Detach, Owner, Ready},
    state::Model,
};
use crate::{ApiError, resource::AttachmentState};

/// The volume or snapshot that a disk belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskId {
    /// A volume.
    Volume(VolumeId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

/// An attachment and the process that keeps its device open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentOwner {
    /// The volume's region.
    pub region: Region,
    /// The volume.
    pub volume: VolumeId,
    /// The attachment's state.
    pub state: AttachmentState,
    /// The process.
    pub owner: Option<Owner>,
}

impl Model {
    /// Keeps a new volume in `creating`, or a new snapshot in `pending`, until [`Model::release_disk`].
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `InvalidSnapshot.NotFound`.
    pub fn hold_disk(&mut self, now: Timestamp, region: &Region, disk: &DiskId, owner: Owner) -> Result<(), ApiError> {
        let now = self.advance(now);
        *self.ready(now, region, disk)? = Ready::Held(owner);
        Ok(())
    }

    /// Ends that: the disk's content is complete.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `InvalidSnapshot.NotFound`.
    pub fn release_disk(&mut self, now: Timestamp, region: &Region, disk: &DiskId) -> Result<(), ApiError> {
        let now = self.advance(now);
        let delay = match disk {
            DiskId::Volume(_) => self.delays.create_volume,
            DiskId::Snapshot(_) => self.delays.create_snapshot,
        };
        *self.ready(now, region, disk)? = Ready::At(now + delay);
        if matches!(disk, DiskId::Snapshot(_)) {
            self.region_mut(region)?.drop_expired(now);
        }
        Ok(())
    }

    fn ready(&mut self, now: Timestamp, region: &Region, disk: &DiskId) -> Result<&mut Ready, ApiError> {
        let state = self.region_mut(region)?;
        Ok(match disk {
            DiskId::Volume(id) => &mut state.volume(id, now)?.ready,
            DiskId::Snapshot(id) => &mut state.snapshot(id, now)?.ready,
        })
    }

    /// Removes a disk that was not completed, and a volume's client token: the same request creates a new one.
    pub fn drop_disk(&mut self, region: &Region, disk: &DiskId) {
        let Some(state) = self.regions.get_mut(region) else { return };
        match disk {
            DiskId::Volume(id) => {
                state.volumes.remove(id);
                state.volume_tokens.retain(|_, token| token.id != *id);
            }
            DiskId::Snapshot(id) => {
                state.snapshots.remove(id);
            }
        }
    }

    /// The disks that processes are copying.
    pub fn held(&self) -> Vec<(Region, DiskId, Owner)> {
        let mut held = Vec::new();
        for (region, state) in &self.regions {
            for (id, volume) in &state.volumes {
                if let Ready::Held(owner) = &volume.ready {
                    held.push((region.clone(), DiskId::Volume(id.clone()), owner.clone()));
                }
            }
            for (id, snapshot) in &state.snapshots {
                if let Ready::Held(owner) = &snapshot.ready {
                    held.push((region.clone(), DiskId::Snapshot(id.clone()), owner.clone()));
                }
            }
        }
        held
    }

    /// Sets the process that keeps an attachment's device open.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`.
    pub fn set_attachment_owner(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &VolumeId,
        owner: Owner,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        if let Some(attachment) = &mut self.region_mut(region)?.volume(id, now)?.attachment {
            attachment.owner = Some(owner);
        }
        Ok(())
    }

    /// All attachments.
    pub fn attachments(&self, now: Timestamp) -> Vec<AttachmentOwner> {
        let now = self.at(now);
        let mut all = Vec::new();
        for (region, state) in &self.regions {
            for (id, volume) in &state.volumes {
                if let Some(attachment) = volume.attached(now) {
                    all.push(AttachmentOwner {
                        region: region.clone(),
                        volume: id.clone(),
                        state: attachment.state(now),
                        owner: attachment.owner.clone(),
                    });
                }
            }
        }
        all
    }

    /// Ends an attachment whose device is gone, at once and whether or not DetachVolume was called. Its device name is
    /// free.
    pub fn end_attachment(&mut self, now: Timestamp, region: &Region, id: &VolumeId) {
        let now = self.advance(now);
        let volume = self.regions.get_mut(region).and_then(|state| state.volumes.get_mut(id));
        if let Some(volume) = volume {
            volume.mounted = false;
            if let Some(attachment) = &mut volume.attachment {
                attachment.detach = Some(Detach::At(now));
            }
        }
    }

    /// Adds these regions, unless they exist.
    pub fn add_regions(&mut self, regions: impl IntoIterator<Item = Region>) {
        for region in regions {
            self.regions.entry(region).or_default();
        }
    }

    /// Removes an image of any owner and its snapshots. Snapshots that another image uses stay.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`.
    pub fn remove_image(&mut self, now: Timestamp, region: &Region, id: &ImageId) -> Result<(), ApiError> {
        let now = self.advance(now);
        let state = self.region_mut(region)?;
        let image = state.images.remove(id).ok_or_else(|| no_image(id))?;
        state.deregistered.insert(id.clone());
        for id in image.facts.snapshots() {
            if state.image_using(id).is_none()
                && let Some(snapshot) = state.snapshots.get_mut(id)
            {
                snapshot.deleted = true;
            }
        }
        state.drop_expired(now);
        Ok(())
    }
}
