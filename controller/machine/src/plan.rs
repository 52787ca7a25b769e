//! The plan: everything about a build that had to be looked up, fixed at the end of Resolving. From then on nothing is
//! looked up again, so a base image that changes meanwhile changes nothing.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use bakehouse_protocol::{
    Region, RunData, SnapshotId,
    spec::{Architecture, BlockDeviceMapping, Virtualization},
};
use serde::{Deserialize, Serialize};

/// What will be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The source's facts, for deferred templates: the values of {{.SourceAMI}} and the like.
    pub data: RunData,
    /// The work volume.
    pub volume: VolumePlan,
    /// The image.
    pub register: RegisterPlan,
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

/// What RegisterImage is told. The root mapping carries no snapshot yet: there is none when the plan is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RegisterPlan {
    pub name: String,
    pub architecture: Architecture,
    pub virtualization: Virtualization,
    pub root_device_name: String,
    pub mappings: Vec<BlockDeviceMapping>,
    /// Inherited from the source (Packer drops it, and the image loses its network speed); from scratch true, as current
    /// instance types take no other image. Never with paravirtual.
    pub ena_support: bool,
    /// Inherited from the source, as `simple`; from scratch set for x86_64. Never with paravirtual.
    pub sriov_net_support: Option<String>,
    /// Inherited from the source: EC2's default for x86 is legacy-bios, whatever the disk holds.
    pub boot_mode: Option<String>,
    /// Inherited from the source: `v2.0`.
    pub tpm_support: Option<String>,
    /// Inherited from the source: `v2.0`.
    pub imds_support: Option<String>,
}
