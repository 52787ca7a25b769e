//! The plan: everything about a build that had to be looked up, fixed at the end of Resolving. From then on nothing is
//! looked up again, so a base image that changes meanwhile changes nothing.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use bakehouse_ec2::request::RegisterImage;
use bakehouse_protocol::{Region, RunData, SnapshotId};
use serde::{Deserialize, Serialize};

/// What will be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The source's facts, for deferred templates: the values of {{.SourceAMI}} and the like.
    pub data: RunData,
    /// The work volume.
    pub volume: VolumePlan,
    /// The image, without what is known only later: its root snapshot, its description and its tags. ENA, SR-IOV, boot
    /// mode, TPM and IMDS support are inherited from the source; from scratch ENA is declared, as current instance types
    /// take no other image, and SR-IOV for x86_64; neither with paravirtual.
    pub register: RegisterImage,
    /// `ami_description`, rendered.
    pub description: String,
    /// `tags`, rendered, for the image and its snapshots in every region.
    pub tags: BTreeMap<String, String>,
    /// The regions to copy to: without the build region, each once.
    pub copies: Vec<Region>,
}

/// The work volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VolumePlan {
    /// In GiB.
    pub size: u32,
    /// The source's root snapshot; `None` from scratch.
    pub snapshot: Option<SnapshotId>,
    /// EBS volume type; `None`: EC2's default.
    pub volume_type: Option<String>,
    /// IOPS, for the types that take it.
    pub iops: Option<u32>,
    /// Whether it is larger than the snapshot, so that the root file system is grown.
    pub grow: bool,
}
