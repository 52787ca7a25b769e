//! The requests to EC2. Field names are EC2's in snake_case; what is `None` or empty is not sent.

use alloc::{string::String, vec, vec::Vec};

use bakehouse_protocol::{
    BlockDeviceMapping, DeviceName, ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId, Zone,
    spec::{Architecture, Virtualization},
};
use serde::{Deserialize, Serialize};

use crate::resource::Tags;

/// One filter of a describe call. `*` stands for any text, `?` for any one character, `\` takes their meaning away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// EC2's name for it, as `virtualization-type` or `tag:Name`.
    pub name: String,
    /// Values of which one must match.
    pub values: Vec<String>,
}

impl Filter {
    /// A filter with one value.
    pub fn one(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), values: vec![value.into()] }
    }
}

/// DescribeImages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeImages {
    /// Only these; each must exist and be visible.
    pub image_ids: Vec<ImageId>,
    /// Account ids, `self`, `amazon`, `aws-marketplace`; one must match.
    pub owners: Vec<String>,
    /// All of these must match.
    pub filters: Vec<Filter>,
    /// Others' deprecated images too. One's own are always shown.
    pub include_deprecated: bool,
}

/// DescribeSnapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeSnapshots {
    /// Only these; each must exist.
    pub snapshot_ids: Vec<SnapshotId>,
    /// Account ids or `self`; one must match.
    pub owner_ids: Vec<String>,
    /// All of these must match.
    pub filters: Vec<Filter>,
}

/// DescribeVolumes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeVolumes {
    /// Only these; each must exist.
    pub volume_ids: Vec<VolumeId>,
    /// All of these must match.
    pub filters: Vec<Filter>,
}

/// DescribeInstances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeInstances {
    /// Only these; each must exist.
    pub instance_ids: Vec<InstanceId>,
    /// All of these must match.
    pub filters: Vec<Filter>,
}

/// CreateVolume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateVolume {
    /// A zone of the region.
    #[serde(alias = "zone")]
    pub availability_zone: Zone,
    /// GiB. Needed without a snapshot; with one at least the snapshot's.
    pub size: Option<u32>,
    /// What it starts with.
    #[serde(alias = "snapshot")]
    pub snapshot_id: Option<SnapshotId>,
    /// `gp2` if absent, as EC2 still has it.
    pub volume_type: Option<String>,
    /// I/O operations per second.
    pub iops: Option<u32>,
    /// MiB/s, of gp3.
    pub throughput: Option<u32>,
    /// Absent: as the snapshot is, or as the account has it by default. An encrypted snapshot makes an encrypted
    /// volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The key, of an encrypted volume: an id, an alias or an ARN. EC2 checks it only after the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// MiB/s at which EBS loads the snapshot, 100 to 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_initialization_rate: Option<u32>,
    /// The idempotency token, at most 64 ASCII characters.
    #[serde(alias = "token")]
    pub client_token: Option<String>,
    /// On the volume, from the start.
    pub tags: Tags,
}

impl CreateVolume {
    /// A volume in this zone, everything else left out.
    pub fn new(availability_zone: Zone) -> Self {
        Self {
            availability_zone,
            size: None,
            snapshot_id: None,
            volume_type: None,
            iops: None,
            throughput: None,
            encrypted: None,
            kms_key_id: None,
            volume_initialization_rate: None,
            client_token: None,
            tags: Tags::new(),
        }
    }
}

/// AttachVolume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttachVolume {
    /// The volume.
    pub volume_id: VolumeId,
    /// The instance, in the volume's zone.
    pub instance_id: InstanceId,
    /// The attachment point.
    pub device: DeviceName,
}

/// DetachVolume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DetachVolume {
    /// The volume.
    pub volume_id: VolumeId,
    /// If given, it must be the one it is attached to.
    pub instance_id: Option<InstanceId>,
}

/// DeleteVolume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeleteVolume {
    /// The volume.
    pub volume_id: VolumeId,
}

/// CreateSnapshot. It has no client token: look for your tags before you repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateSnapshot {
    /// The volume.
    #[serde(alias = "volume")]
    pub volume_id: VolumeId,
    /// At most 255 characters.
    pub description: String,
    /// On the snapshot, from the start.
    pub tags: Tags,
}

/// RegisterImage. It has no client token: the name is the guard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterImage {
    /// 3 to 128 characters of EC2's set, unique among the account's images of the region.
    pub name: String,
    /// At most 255 characters.
    pub description: Option<String>,
    /// `i386` if absent.
    pub architecture: Option<Architecture>,
    /// `paravirtual` if absent.
    #[serde(alias = "virtualization")]
    pub virtualization_type: Option<Virtualization>,
    /// The device of the root mapping; `/dev/sda1` if absent.
    pub root_device_name: Option<String>,
    /// The root mapping and others.
    #[serde(alias = "mappings")]
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// Whether enhanced networking (ENA) is declared.
    pub ena_support: Option<bool>,
    /// `simple`.
    pub sriov_net_support: Option<String>,
    /// `legacy-bios`, `uefi`, `uefi-preferred`.
    pub boot_mode: Option<String>,
    /// `v2.0`.
    pub imds_support: Option<String>,
    /// `v2.0`.
    pub tpm_support: Option<String>,
    /// The UEFI variable store in base64, at most 64,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uefi_data: Option<String>,
    /// On the image, from the start (its snapshots keep their own).
    #[serde(default)]
    pub tags: Tags,
}

impl RegisterImage {
    /// Returns the snapshot of the root mapping.
    pub fn root_snapshot(&self) -> Option<&SnapshotId> {
        let root = self.root_device_name.as_deref()?;
        let mapping = self.block_device_mappings.iter().find(|mapping| mapping.device_name == root)?;
        mapping.ebs.as_ref()?.snapshot_id.as_ref()
    }

    /// Returns the request with this snapshot in the root mapping.
    #[must_use]
    pub fn with_root_snapshot(mut self, snapshot: &SnapshotId) -> Self {
        let root = self.root_device_name.as_deref();
        for mapping in
            self.block_device_mappings.iter_mut().filter(|mapping| Some(mapping.device_name.as_str()) == root)
        {
            mapping.ebs.get_or_insert_default().snapshot_id = Some(snapshot.clone());
        }
        self
    }
}

/// CopyImage, called in the destination region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyImage {
    /// The name of the copy.
    pub name: String,
    /// The description of the copy; absent: the source's.
    pub description: Option<String>,
    /// The image.
    #[serde(alias = "image")]
    pub source_image_id: ImageId,
    /// Where it is.
    #[serde(alias = "from")]
    pub source_region: Region,
    /// The idempotency token, at most 64 ASCII characters.
    #[serde(alias = "token")]
    pub client_token: Option<String>,
    /// Take over the source image's own tags.
    #[serde(default)]
    pub copy_image_tags: bool,
    /// Encrypts copies of unencrypted snapshots; there is no unencrypted copy of an encrypted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
    /// The key in the destination region; needs `encrypted`. Absent: the region's default key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
    /// How long EBS may take, in steps of 15 minutes up to 2880; absent: no time is promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_copy_completion_duration_minutes: Option<u32>,
    /// On the image, from the start.
    #[serde(alias = "tags")]
    pub image_tags: Tags,
    /// On its snapshots, from the start.
    #[serde(default)]
    pub snapshot_tags: Tags,
}

impl CopyImage {
    /// A copy under this name, everything else left out.
    pub fn new(name: impl Into<String>, source_image_id: ImageId, source_region: Region) -> Self {
        Self {
            name: name.into(),
            description: None,
            source_image_id,
            source_region,
            client_token: None,
            copy_image_tags: false,
            encrypted: None,
            kms_key_id: None,
            snapshot_copy_completion_duration_minutes: None,
            image_tags: Tags::new(),
            snapshot_tags: Tags::new(),
        }
    }
}

/// Changes to the list of who may use an image or a snapshot. For a snapshot not both adding and removing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PermissionChanges {
    /// Accounts to add.
    pub add_users: Vec<String>,
    /// Groups (`all`) to add.
    pub add_groups: Vec<String>,
    /// Accounts to remove.
    pub remove_users: Vec<String>,
    /// Groups to remove.
    pub remove_groups: Vec<String>,
    /// ARNs of organizations to add; of images only, as are the next three.
    pub add_organizations: Vec<String>,
    /// ARNs of organizational units to add.
    pub add_organizational_units: Vec<String>,
    /// ARNs of organizations to remove.
    pub remove_organizations: Vec<String>,
    /// ARNs of organizational units to remove.
    pub remove_organizational_units: Vec<String>,
}

/// ModifyImageAttribute. EC2 takes one attribute a call; here several may come at once, all or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModifyImageAttribute {
    /// The image.
    pub image_id: ImageId,
    /// The new description.
    pub description: Option<String>,
    /// Who may launch it.
    pub launch_permission: PermissionChanges,
    /// Product codes to add.
    pub product_codes: Vec<String>,
    /// `v2.0`; it can't be taken back.
    pub imds_support: Option<String>,
}

impl ModifyImageAttribute {
    /// A request that changes nothing of this image.
    pub fn new(image_id: ImageId) -> Self {
        Self {
            image_id,
            description: None,
            launch_permission: PermissionChanges::default(),
            product_codes: Vec::new(),
            imds_support: None,
        }
    }
}

/// ModifySnapshotAttribute (`createVolumePermission`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModifySnapshotAttribute {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// Who may create volumes from it.
    pub create_volume_permission: PermissionChanges,
}

/// EnableImageDeprecation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnableImageDeprecation {
    /// The image.
    pub image_id: ImageId,
    /// From when on it is deprecated, rounded to the minute: in the future, and within ten years.
    pub deprecate_at: Timestamp,
}

/// EnableImageDeregistrationProtection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnableImageDeregistrationProtection {
    /// The image.
    pub image_id: ImageId,
    /// It stays protected for 24 hours after it is no longer to be.
    pub with_cooldown: bool,
}

/// AttachImageWatermark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttachImageWatermark {
    /// The image.
    pub image_id: ImageId,
    /// 3 to 128 characters of the set of image names. Copies of the image get it too, as `ACCOUNT:NAME`.
    pub watermark_name: String,
}

/// CreateTags.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateTags {
    /// Volumes, snapshots, images, instances; at most 1000.
    pub resources: Vec<String>,
    /// The tags.
    pub tags: Tags,
}

/// DeregisterImage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeregisterImage {
    /// The image.
    pub image_id: ImageId,
    /// Delete its snapshots too.
    pub delete_associated_snapshots: bool,
}
