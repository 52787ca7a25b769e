//! What exists because of a build, and how far each thing has come. This is what undoing walks.

use alloc::vec::Vec;
use bakehouse_protocol::{
    DeviceName, Failure, HostId, ImageId, InstanceId, Millis, Proof, Region, SnapshotId, Timestamp, VolumeId, Zone,
};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Everything one build has made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// The slot and device name it holds.
    pub lease: Option<Lease>,
    /// Device names that EC2 said were taken.
    pub avoid: Vec<DeviceName>,
    /// The work volume.
    pub volume: Option<VolumeRecord>,
    /// The agent's work.
    pub job: JobStage,
    /// The finished volume's snapshot.
    pub snapshot: Option<SnapshotRecord>,
    /// The image and its copies, the image first.
    pub images: Vec<ImageRecord>,
    /// Regions in which a create call was asked for, and what is known of each.
    #[serde(alias = "touched")]
    pub regions: Vec<Touched>,
    /// What a last look by tag found beyond the above.
    pub orphans: Vec<Resource>,
}

/// A slot on a host and a device name of its instance, held by one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Whose slot.
    pub host: HostId,
    /// The host as EC2 knows it.
    pub instance: InstanceId,
    /// Where it is; the volume must be there too.
    pub zone: Zone,
    /// The attachment point.
    pub device: DeviceName,
    /// When it ends unless it is renewed.
    pub until: Timestamp,
}

impl Lease {
    /// Returns when it is to be renewed: at half of its time.
    pub(crate) fn renewal(&self, length: Millis) -> Timestamp {
        Timestamp(self.until.0.saturating_sub(length.0 / 2))
    }
}

/// The work volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Its id.
    pub id: VolumeId,
    /// When we learned it.
    pub made_at: Timestamp,
    /// How far it has come.
    pub stage: VolumeStage,
}

/// How far a volume has come. Later stages are greater: news that is older than what we know is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum VolumeStage {
    Creating,
    Available,
    Attaching,
    Attached,
    Detaching,
    /// Attached to nothing any more.
    Free,
    /// EC2 has said once that there is no such volume. It says so of one that is there, too, now and then: only when it
    /// says so twice is it believed.
    Missing,
    Deleted,
}

/// How far the agent has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStage {
    /// It knows nothing of this build, as far as we know.
    #[default]
    None,
    /// The job has been sent; nothing heard yet.
    Sent,
    /// It works.
    Running {
        /// When it was last heard of.
        heard: Timestamp,
    },
    /// It has ended; with a proof the volume is free of it.
    Ended {
        /// That the volume is clean.
        proof: Option<Proof>,
        /// Why it failed, if it did.
        failure: Option<Failure>,
    },
}

/// The snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// Its id.
    pub id: SnapshotId,
    /// When we learned it.
    pub made_at: Timestamp,
    /// How far it has come.
    pub stage: SnapshotStage,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum SnapshotStage {
    Pending,
    Completed,
    Deleted,
}

/// The image or a copy of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Where it is.
    pub region: Region,
    /// Its id.
    pub id: ImageId,
    /// When we learned it.
    pub made_at: Timestamp,
    /// How far it has come.
    pub stage: ImageStage,
    /// The snapshots behind it that the build has made, once known. Only these may be tagged.
    pub snapshots: Vec<SnapshotId>,
}

/// How far an image has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ImageStage {
    Pending,
    Available,
    /// Shared and tagged as asked.
    Published,
    Removed,
}

/// A region in which something was, or may have been, made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// Which.
    pub region: Region,
    /// When something was last asked to be made there.
    pub last: Timestamp,
    /// Whether an answer was ever lost, so that there may be more than we know of.
    pub in_doubt: bool,
    /// Whether a look by tag, made late enough to be trusted, found nothing.
    #[serde(alias = "verified")]
    pub swept: bool,
}

/// Something in EC2.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// An image; goes first, as it holds its snapshots.
    Image(Region, ImageId),
    /// A snapshot.
    Snapshot(Region, SnapshotId),
    /// A volume.
    Volume(Region, VolumeId),
}

impl Resource {
    /// Where it is.
    pub fn region(&self) -> &Region {
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
    /// The image or copy in a region.
    pub fn image_in(&self, region: &Region) -> Option<&ImageRecord> {
        self.images.iter().find(|image| &image.region == region)
    }

    pub(crate) fn image_in_mut(&mut self, region: &Region) -> Option<&mut ImageRecord> {
        self.images.iter_mut().find(|image| &image.region == region)
    }

    /// Notes that something is about to be made in a region.
    pub(crate) fn touch(&mut self, region: &Region, now: Timestamp) {
        match self.regions.iter_mut().find(|touched| &touched.region == region) {
            Some(touched) => touched.last = now,
            None => self.regions.push(Touched { region: region.clone(), last: now, in_doubt: false, swept: false }),
        }
    }

    /// Notes that an answer from a region was lost: there may be more there than we know of.
    pub(crate) fn mark_uncertain(&mut self, region: &Region) {
        if let Some(touched) = self.regions.iter_mut().find(|touched| &touched.region == region) {
            touched.in_doubt = true;
        }
    }
}

impl JobStage {
    /// Whether the agent may be at work on the volume.
    pub fn may_run(&self) -> bool {
        matches!(self, Self::Sent | Self::Running { .. })
    }
}
