//! The resources of a build and the stage that each has reached. Undoing removes what is listed here.

use alloc::{string::String, vec::Vec};
use bakehouse_protocol::{
    DeviceName, Failure, HostId, ImageId, InstanceId, Millis, Proof, Region, SnapshotId, Timestamp, VolumeId, Zone,
};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::AccountRegion;

/// Everything that one build holds or has created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// The slot and device name that it holds.
    pub lease: Option<Lease>,
    /// Device names that EC2 has refused as in use.
    pub avoid: Vec<DeviceName>,
    /// The work volume.
    pub volume: Option<VolumeRecord>,
    /// The agent's job.
    pub job: JobStage,
    /// The snapshot of the finished volume.
    pub snapshot: Option<SnapshotRecord>,
    /// The image and its copies, the image first.
    pub images: Vec<ImageRecord>,
    /// The regions in which a create command was issued.
    #[serde(alias = "touched")]
    pub regions: Vec<RegionRecord>,
    /// Resources with the build's tag that a search found and that are not in the fields above.
    pub orphans: Vec<Resource>,
    /// Images under a temporary name beside which the image now stands under its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temporary: Vec<TemporaryImage>,
    /// What has become of the images that the new ones replace; one that is not listed was not touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<ReplacedRecord>,
    /// Whether the image is shared with the accounts that copy it; absent: not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<SharingRecord>,
    /// The parameters that were written, or may have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterRecord>,
    /// Older images that are to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub old_images: Vec<OldImage>,
    /// The regions in which older images were looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub searched: Vec<Region>,
}

/// An image that stands under a temporary name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TemporaryImage {
    pub region: Region,
    pub id: ImageId,
}

/// What has become of an image that the new one replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedRecord {
    /// Its region.
    pub region: Region,
    /// The stage that it has reached.
    pub stage: ReplacedStage,
}

/// The stages of an image that is replaced, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplacedStage {
    /// The command to deregister it was issued.
    Deregistering,
    /// It is deregistered; its snapshots are kept.
    Deregistered,
    /// It is registered again, or was never deregistered: the build is undone.
    Restored,
}

/// The image's being shared with the accounts that copy it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingRecord {
    /// When it was shared.
    pub since: Timestamp,
    /// Whether that was taken back.
    pub ended: bool,
}

/// What has become of a parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterRecord {
    /// Its region.
    pub region: Region,
    /// Its name.
    pub name: String,
    /// The stage that it has reached.
    pub stage: ParameterStage,
}

/// The stages of a parameter, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterStage {
    /// The command to write it was issued.
    Writing,
    /// It was read back and has the image's id.
    Written,
    /// It has its former value: the build is undone.
    Restored,
}

/// An older image to remove.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OldImage {
    /// Its region.
    pub region: Region,
    /// Its id. It may be deregistered already.
    pub id: ImageId,
    /// The snapshots to delete.
    pub snapshots: Vec<SnapshotId>,
}

/// A slot on a host and a device name of its instance, held by one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The host whose slot it is.
    pub host: HostId,
    /// The EC2 instance of the host.
    pub instance: InstanceId,
    /// The availability zone of the host, in which the volume must be created.
    pub zone: Zone,
    /// The device name to attach the volume as.
    pub device: DeviceName,
    /// When it expires unless it is renewed.
    pub until: Timestamp,
}

impl Lease {
    /// Returns when it is to be renewed: half of its duration before it expires.
    pub(crate) fn renewal(&self, duration: Millis) -> Timestamp {
        Timestamp(self.until.0.saturating_sub(duration.0 / 2))
    }
}

/// The work volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Its id.
    pub id: VolumeId,
    /// When the create command returned it.
    #[serde(alias = "made_at")]
    pub created_at: Timestamp,
    /// The stage that it has reached.
    pub stage: VolumeStage,
}

/// The stages of the work volume. They are ordered: a result that says less than the record has is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeStage {
    /// CreateVolume has returned its id.
    Creating,
    /// EC2 has described it as available for the first time.
    Available,
    /// AttachVolume was accepted.
    Attaching,
    /// EC2 has described it as attached.
    Attached,
    /// DetachVolume was accepted.
    Detaching,
    /// EC2 has described it as available again after the detachment.
    Free,
    /// EC2 has said once that there is no such volume. Now and then it says so of a volume that exists, so it must say
    /// so twice.
    Missing,
    /// Deleted, or gone for certain.
    Deleted,
}

/// The stages of the agent's job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// The job has not been sent, as far as we know.
    #[default]
    None,
    /// The job has been sent; the agent has reported nothing yet.
    Sent,
    /// The agent runs the job.
    Running {
        /// When its last report arrived.
        #[serde(alias = "heard")]
        last_report: Timestamp,
    },
    /// The job has ended. With a proof, the host no longer uses the volume.
    Ended {
        /// The proof that the volume is clean.
        proof: Option<Proof>,
        /// Why it failed, if it did.
        failure: Option<Failure>,
    },
}

/// The snapshot of the finished volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// Its id.
    pub id: SnapshotId,
    /// When the create command returned it.
    #[serde(alias = "made_at")]
    pub created_at: Timestamp,
    /// The stage that it has reached.
    pub stage: SnapshotStage,
}

/// The stages of the snapshot, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotStage {
    /// CreateSnapshot has returned its id.
    Pending,
    /// EC2 has described it as completed.
    Completed,
    /// Deleted.
    Deleted,
}

/// The image or one of its copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Its region.
    pub region: AccountRegion,
    /// Its id.
    pub id: ImageId,
    /// When the create command returned it.
    #[serde(alias = "made_at")]
    pub created_at: Timestamp,
    /// The stage that it has reached.
    pub stage: ImageStage,
    /// The snapshots that the build created for it, known once it is available. Only these may be tagged.
    pub snapshots: Vec<SnapshotId>,
    /// Whether it has a temporary name.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub name_is_temporary: bool,
}

/// The stages of an image, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageStage {
    /// RegisterImage or CopyImage has returned its id.
    Pending,
    /// EC2 has described it as available.
    Available,
    /// It has its watermarks.
    Marked,
    /// It has its launch permissions, product codes, deprecation time and final tags.
    Published,
    /// It is protected from being deregistered.
    Protected,
    /// Deregistered.
    Removed,
}

/// A region in which the build created something, or may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRecord {
    /// The region.
    pub region: AccountRegion,
    /// When a create command was last issued there.
    #[serde(alias = "last")]
    pub last_create: Timestamp,
    /// Whether the result of a create command was lost, so that there may be resources that are not in the record.
    #[serde(alias = "in_doubt")]
    pub ambiguous: bool,
    /// Whether a search by tag, late enough to see everything, found nothing.
    #[serde(alias = "verified")]
    pub swept: bool,
}

/// A resource in EC2.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// An image. It is removed before snapshots, because it keeps its own from being deleted.
    Image(AccountRegion, ImageId),
    /// A snapshot.
    Snapshot(AccountRegion, SnapshotId),
    /// A volume.
    Volume(AccountRegion, VolumeId),
}

impl Resource {
    /// Returns its region.
    pub fn region(&self) -> &AccountRegion {
        match self {
            Self::Image(region, _) | Self::Snapshot(region, _) | Self::Volume(region, _) => region,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(region, id) => write!(f, "{id} in {region}"),
            Self::Snapshot(region, id) => write!(f, "{id} in {region}"),
            Self::Volume(region, id) => write!(f, "{id} in {region}"),
        }
    }
}

impl Resources {
    /// Returns the image or copy in a region, of the own account if it is given as a [`Region`].
    pub fn image_in<R>(&self, region: &R) -> Option<&ImageRecord>
    where
        AccountRegion: PartialEq<R>,
    {
        self.images.iter().find(|image| image.region == *region)
    }

    pub(crate) fn image_in_mut<R>(&mut self, region: &R) -> Option<&mut ImageRecord>
    where
        AccountRegion: PartialEq<R>,
    {
        self.images.iter_mut().find(|image| image.region == *region)
    }

    /// Returns the image that stands under a temporary name in a region, beside the one under its own.
    pub(crate) fn temporary_in(&self, region: &Region) -> Option<&ImageId> {
        self.temporary.iter().find(|image| &image.region == region).map(|image| &image.id)
    }

    /// Returns what has become of the image that is replaced in a region; `None`: it was not touched.
    pub fn replaced_in(&self, region: &Region) -> Option<ReplacedStage> {
        self.replaced.iter().find(|record| &record.region == region).map(|record| record.stage)
    }

    /// Sets that stage unless it has reached a later one.
    pub(crate) fn raise_replaced(&mut self, region: &Region, stage: ReplacedStage) {
        match self.replaced.iter_mut().find(|record| &record.region == region) {
            Some(record) => record.stage = record.stage.max(stage),
            None => self.replaced.push(ReplacedRecord { region: region.clone(), stage }),
        }
    }

    /// Returns the stage of a parameter; `None`: it was not touched.
    pub fn parameter(&self, region: &Region, name: &str) -> Option<ParameterStage> {
        let found = self.parameters.iter().find(|record| &record.region == region && record.name == name);
        found.map(|record| record.stage)
    }

    /// Sets the stage of a parameter unless it has reached a later one.
    pub(crate) fn set_parameter(&mut self, region: &Region, name: &str, stage: ParameterStage) {
        match self.parameters.iter_mut().find(|record| &record.region == region && record.name == name) {
            Some(record) => record.stage = record.stage.max(stage),
            None => self.parameters.push(ParameterRecord { region: region.clone(), name: name.into(), stage }),
        }
    }

    /// Sets the stage of the work volume unless it has reached a later one.
    pub(crate) fn raise_volume(&mut self, stage: VolumeStage) {
        if let Some(volume) = &mut self.volume {
            volume.stage = volume.stage.max(stage);
        }
    }

    /// Sets the stage of the image in a region unless it has reached a later one.
    pub(crate) fn raise_image<R>(&mut self, region: &R, stage: ImageStage)
    where
        AccountRegion: PartialEq<R>,
    {
        if let Some(image) = self.image_in_mut(region) {
            image.stage = image.stage.max(stage);
        }
    }

    /// Records that a create command is issued in a region.
    pub(crate) fn record_create(&mut self, region: &AccountRegion, now: Timestamp) {
        match self.regions.iter_mut().find(|record| &record.region == region) {
            Some(record) => record.last_create = now,
            None => {
                let region = region.clone();
                self.regions.push(RegionRecord { region, last_create: now, ambiguous: false, swept: false });
            }
        }
    }

    /// Records that the result of a create command in a region was lost: more may exist there than the record has.
    pub(crate) fn mark_ambiguous(&mut self, region: &AccountRegion) {
        if let Some(record) = self.regions.iter_mut().find(|record| &record.region == region) {
            record.ambiguous = true;
        }
    }
}

impl JobStage {
    /// Whether the agent may be running the job, and so using the volume.
    pub fn may_be_running(&self) -> bool {
        matches!(self, Self::Sent | Self::Running { .. })
    }
}
