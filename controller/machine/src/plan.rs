//! The plan: everything about a build that had to be looked up, fixed at the end of Resolving. From then on nothing is
//! looked up again, so a base image that changes meanwhile does not affect the build.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use bakehouse_ec2::{
    request::RegisterImage,
    resource::{Permissions, Tags},
};
use bakehouse_protocol::{BuildId, ImageId, Region, RunData, SnapshotId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::AccountRegion;

/// The resolved plan of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "AnyPlan")]
pub struct Plan {
    /// The source image's attributes, for text that is rendered later (`{{.SourceAMI}}` and the like).
    pub data: RunData,
    /// The work volume.
    pub volume: VolumePlan,
    /// The image, without what is known only later: its root snapshot, its description and its tags. What the template
    /// does not set of ENA, SR-IOV, boot mode, TPM and IMDS support is inherited from the source; from scratch ENA is
    /// declared, as current instance types start no other image, and SR-IOV for x86_64; neither with paravirtual.
    pub register: RegisterImage,
    /// What differs from region to region; the build's region and all of `copies` are in it.
    pub regions: BTreeMap<AccountRegion, RegionPlan>,
    /// The regions to copy to, those of other accounts last, without the build's region and without duplicates.
    pub copies: Vec<AccountRegion>,
    /// The image in the build region is only copied, and removed once its copies stand.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub intermediate: bool,
    /// The images of the same name that the new ones replace.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<ReplacedImage>,
    /// When the images are deprecated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprecate_at: Option<Timestamp>,
    /// The parameters that get the images' ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterPlan>,
}

/// What is planned for one region.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionPlan {
    /// `ami_description`, rendered.
    pub description: String,
    /// `tags`, rendered, for the image.
    pub tags: Tags,
    /// `tags` and `snapshot_tags`, rendered, for its snapshots.
    pub snapshot_tags: Tags,
    /// CopyImage's `Encrypted`; not sent if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// CopyImage's `KmsKeyId`; absent: the region's default key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

/// The work volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumePlan {
    /// In GiB.
    pub size: u32,
    /// The source image's root snapshot; `None` for a build from scratch.
    pub snapshot: Option<SnapshotId>,
    /// The EBS volume type; `None`: EC2's default.
    pub volume_type: Option<String>,
    /// The IOPS, for volume types that take them.
    pub iops: Option<u32>,
    /// MiB/s, for gp3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    /// Whether it is encrypted; `None`: as the snapshot is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// MiB/s at which EBS loads the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialization_rate: Option<u32>,
    /// `root_volume_tags`, rendered.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Whether the volume is larger than the snapshot, so that the root file system must be grown.
    pub grow: bool,
}

/// An image that has the name of the new one. The new one stands under a temporary name before this one is
/// deregistered; if the build fails after that, this one is registered again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplacedImage {
    /// Its region.
    pub region: Region,
    /// Its id.
    pub id: ImageId,
    /// The request that registers it again, from its snapshots.
    pub register: RegisterImage,
    /// Who may launch it.
    pub launch_permission: Permissions,
    /// Its snapshots.
    pub snapshots: Vec<SnapshotId>,
}

/// A parameter of Parameter Store that gets the id of the image in its region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterPlan {
    /// Its region.
    pub region: Region,
    /// Its name.
    pub name: String,
    /// Its value before the build; `None`: there was no such parameter.
    pub previous: Option<String>,
}

impl Plan {
    /// Returns what is planned for a region.
    pub fn in_region(&self, region: &AccountRegion) -> RegionPlan {
        self.regions.get(region).cloned().unwrap_or_default()
    }

    /// Returns the image that the new one replaces in a region.
    pub fn replaced_in(&self, region: &AccountRegion) -> Option<&ReplacedImage> {
        self.replaced.iter().find(|image| region == &image.region)
    }

    /// Returns the regions of the build's own account in which an image stays.
    pub fn targets<'a>(&'a self, build_region: &'a Region) -> impl Iterator<Item = &'a Region> {
        let copies = self.copies.iter().filter_map(AccountRegion::own);
        copies.chain((!self.intermediate).then_some(build_region))
    }

    /// Returns the other accounts that get copies, each once.
    pub fn copying_accounts(&self) -> BTreeSet<&str> {
        self.copies.iter().filter_map(AccountRegion::account).collect()
    }

    /// Returns the name under which the image is first made in a region: a temporary one where it is not to stay, or
    /// where another image has its own name until the new one stands.
    pub fn first_name(&self, build: &BuildId, build_region: &Region, region: &AccountRegion) -> String {
        let is_intermediate = self.intermediate && region == build_region;
        if is_intermediate || self.replaced_in(region).is_some() {
            return format!("bakehouse-{build}");
        }
        self.register.name.clone()
    }
}

/// A plan as it is written now, or as records before December 2026 had it: one description and one set of tags for all
/// regions.
#[derive(Deserialize)]
struct AnyPlan {
    data: RunData,
    volume: VolumePlan,
    register: RegisterImage,
    #[serde(default)]
    regions: BTreeMap<AccountRegion, RegionPlan>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: Tags,
    copies: Vec<AccountRegion>,
    #[serde(default)]
    intermediate: bool,
    #[serde(default)]
    replaced: Vec<ReplacedImage>,
    #[serde(default)]
    deprecate_at: Option<Timestamp>,
    #[serde(default)]
    parameters: Vec<ParameterPlan>,
}

impl From<AnyPlan> for Plan {
    fn from(any: AnyPlan) -> Self {
        let AnyPlan { data, volume, register, mut regions, description, tags, copies, .. } = any;
        if regions.is_empty() {
            let snapshot_tags = tags.clone();
            let everywhere = RegionPlan { description, tags, snapshot_tags, ..RegionPlan::default() };
            let all = copies.iter().cloned().chain(data.build_region.iter().map(AccountRegion::from));
            regions = all.map(|region| (region, everywhere.clone())).collect();
        }
        let AnyPlan { intermediate, replaced, deprecate_at, parameters, .. } = any;
        Self { data, volume, register, regions, copies, intermediate, replaced, deprecate_at, parameters }
    }
}
