//! The plan: everything about a build that had to be looked up, fixed at the end of Resolving. From then on nothing is
//! looked up again, so a base image that changes meanwhile does not affect the build.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use bakehouse_ec2::request::RegisterImage;
use bakehouse_protocol::{Region, RunData, SnapshotId};
use serde::{Deserialize, Serialize};

/// The resolved plan of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The source image's attributes, for text that is rendered later (`{{.SourceAMI}}` and the like).
    pub data: RunData,
    /// The work volume.
    pub volume: VolumePlan,
    /// The image, without what is known only later: its root snapshot, its description and its tags. ENA, SR-IOV, boot
    /// mode, TPM and IMDS support are inherited from the source; from scratch ENA is declared, as current instance
    /// types start no other image, and SR-IOV for x86_64; neither with paravirtual.
    pub register: RegisterImage,
    /// `ami_description`, rendered.
    pub description: String,
    /// `tags`, rendered, for the image and its snapshots in every region.
    pub tags: BTreeMap<String, String>,
    /// The regions to copy to, without the build's region and without duplicates.
    pub copies: Vec<Region>,
}

/// The work volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumePlan {
    /// In GiB.
    pub size: u32,
    /// The source image's root snapshot; `None` for a build from scratch.
    pub snapshot: Option<SnapshotId>,
    /// The EBS volume type; `None`: EC2's default.
    pub volume_type: Option<String>,
    /// The IOPS, for volume types that take them.
    pub iops: Option<u32>,
    /// Whether the volume is larger than the snapshot, so that the root file system must be grown.
    pub grow: bool,
}
