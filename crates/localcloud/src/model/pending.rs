//! What the keeper of real disks tells the model: a copy is under way in some process, is done, or died with it.

use bakehouse_protocol::{ImageId, Region, SnapshotId, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};

use super::{
    errors::no_image,
    record::{Detach, Owner, Ready},
    state::Model,
};
use crate::{ApiError, resource::AttachmentState};

/// A resource that a process is still copying.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A volume.
    Volume(VolumeId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

/// An attachment, for whoever keeps its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAttachment {
    /// Where.
    pub region: Region,
    /// The volume.
    pub volume: VolumeId,
    /// Its state.
    pub state: AttachmentState,
    /// The process that keeps the device open.
    pub owner: Option<Owner>,
}

impl Model {
    /// Keeps a fresh volume in `creating` until [`Model::release_volume`].
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`.
    pub fn hold_volume(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &VolumeId,
        owner: Owner,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.region_mut(region)?.volume(id, now)?.ready = Ready::Held(owner);
        Ok(())
    }

    /// The volume's content is there.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`.
    pub fn release_volume(&mut self, now: Timestamp, region: &Region, id: &VolumeId) -> Result<(), ApiError> {
        let now = self.advance(now);
        let ready = Ready::At(now + self.delays.create_volume);
        self.region_mut(region)?.volume(id, now)?.ready = ready;
        Ok(())
    }

    /// Forgets a volume that never came to be, and its client token: the same request makes it anew.
    pub fn drop_volume(&mut self, region: &Region, id: &VolumeId) {
        if let Some(state) = self.regions.get_mut(region) {
            state.volumes.remove(id);
            state.volume_tokens.retain(|_, token| token.id != *id);
        }
    }

    /// Keeps a fresh snapshot in `pending` until [`Model::release_snapshot`].
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`.
    pub fn hold_snapshot(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &SnapshotId,
        owner: Owner,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.region_mut(region)?.snapshot(id, now)?.ready = Ready::Held(owner);
        Ok(())
    }

    /// The snapshot's content is there.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`.
    pub fn release_snapshot(&mut self, now: Timestamp, region: &Region, id: &SnapshotId) -> Result<(), ApiError> {
        let now = self.advance(now);
        let ready = Ready::At(now + self.delays.create_snapshot);
        let state = self.region_mut(region)?;
        state.snapshot(id, now)?.ready = ready;
        state.forget(now);
        Ok(())
    }

    /// Forgets a snapshot that never came to be.
    pub fn drop_snapshot(&mut self, region: &Region, id: &SnapshotId) {
        if let Some(state) = self.regions.get_mut(region) {
            state.snapshots.remove(id);
        }
    }

    /// What processes are still copying.
    pub fn held(&self) -> Vec<(Region, Held, Owner)> {
        let mut held = Vec::new();
        for (region, state) in &self.regions {
            for (id, volume) in &state.volumes {
                if let Ready::Held(owner) = &volume.ready {
                    held.push((region.clone(), Held::Volume(id.clone()), owner.clone()));
                }
            }
            for (id, snapshot) in &state.snapshots {
                if let Ready::Held(owner) = &snapshot.ready {
                    held.push((region.clone(), Held::Snapshot(id.clone()), owner.clone()));
                }
            }
        }
        held
    }

    /// Says which process keeps an attachment's device open.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`.
    pub fn keep_attachment(
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
    pub fn attachments(&self, now: Timestamp) -> Vec<KeptAttachment> {
        let now = self.at(now);
        let mut all = Vec::new();
        for (region, state) in &self.regions {
            for (id, volume) in &state.volumes {
                if let Some(attachment) = volume.attached(now) {
                    all.push(KeptAttachment {
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

    /// An attachment's device is gone, whether or not anybody asked: at once, and its name is free.
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

    /// Sees to it that these regions are there.
    pub fn add_regions(&mut self, regions: impl IntoIterator<Item = Region>) {
        for region in regions {
            self.regions.entry(region).or_default();
        }
    }

    /// Removes an image and its snapshots, whoever owns it. Snapshots that another image holds stay.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`.
    pub fn remove_image(&mut self, now: Timestamp, region: &Region, id: &ImageId) -> Result<(), ApiError> {
        let now = self.advance(now);
        let state = self.region_mut(region)?;
        let image = state.images.remove(id).ok_or_else(|| no_image(id))?;
        state.deregistered.insert(id.clone());
        for id in image.facts.snapshots() {
            if state.holder(id).is_none()
                && let Some(snapshot) = state.snapshots.get_mut(id)
            {
                snapshot.deleted = true;
            }
        }
        state.forget(now);
        Ok(())
    }
}
