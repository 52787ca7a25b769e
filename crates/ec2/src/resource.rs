//! What EC2 answers: resources as they are at the moment of the call. Field names are EC2's in snake_case.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use core::fmt;

pub use bakehouse_protocol::{BlockDeviceMapping, EbsBlockDevice};
use bakehouse_protocol::{
    DeviceName, ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId, Zone,
    spec::{Architecture, Virtualization},
};
use serde::{Deserialize, Serialize};

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// EC2's name of it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )*};
}

states! {
    /// A volume's state.
    VolumeState {
        /// Not usable yet.
        Creating = "creating",
        /// Attached to nothing.
        Available = "available",
        /// Attached, or on its way to or from it.
        InUse = "in-use",
        /// On its way out.
        Deleting = "deleting",
        /// Gone. Only a repeated CreateVolume with its client token still shows it.
        Deleted = "deleted",
        /// Creation failed.
        Error = "error",
    }
    /// An attachment's state.
    AttachmentState {
        /// On its way.
        Attaching = "attaching",
        /// Usable.
        Attached = "attached",
        /// On its way out.
        Detaching = "detaching",
        /// Gone.
        Detached = "detached",
        /// To be detached, but still mounted.
        Busy = "busy",
    }
    /// A snapshot's state.
    SnapshotState {
        /// Being stored.
        Pending = "pending",
        /// Usable.
        Completed = "completed",
        /// Failed.
        Error = "error",
    }
    /// An image's state.
    ImageState {
        /// Not usable yet.
        Pending = "pending",
        /// Usable.
        Available = "available",
        /// Failed.
        Failed = "failed",
    }
    /// An instance's state.
    InstanceState {
        /// Starting.
        Pending = "pending",
        /// Running.
        Running = "running",
        /// Ending for good.
        ShuttingDown = "shutting-down",
        /// Ended for good.
        Terminated = "terminated",
        /// Stopping.
        Stopping = "stopping",
        /// Stopped; it can be started again.
        Stopped = "stopped",
    }
    /// What became of a snapshot of a deregistered image.
    ReturnCode {
        /// Deleted.
        Success = "success",
        /// Another image holds it.
        Skipped = "skipped",
    }
}

/// An instance: a place that volumes are attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub instance_id: InstanceId,
    /// Where it is.
    pub availability_zone: Zone,
    /// Its state.
    pub state: InstanceState,
    /// Its processor architecture.
    pub architecture: Architecture,
    /// The type, as `m7i.large`.
    pub instance_type: String,
    /// The image that it was launched from, if it is known.
    #[serde(default)]
    pub image_id: Option<ImageId>,
    /// The names that its mappings take, and the volumes behind them.
    pub block_device_mappings: Vec<InstanceBlockDeviceMapping>,
    /// Its tags.
    pub tags: Tags,
}

/// A name of an instance that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceBlockDeviceMapping {
    /// The name.
    pub device_name: DeviceName,
    /// The volume behind it.
    pub volume_id: VolumeId,
    /// The attachment's state.
    pub status: AttachmentState,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its id.
    pub volume_id: VolumeId,
    /// What it was made from.
    pub snapshot_id: Option<SnapshotId>,
    /// GiB.
    pub size: u32,
    /// As `gp2`.
    pub volume_type: String,
    /// I/O operations per second, if requested.
    pub iops: Option<u32>,
    /// MiB/s, if requested.
    pub throughput: Option<u32>,
    /// Whether it is encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// The key that it is encrypted with.
    #[serde(default)]
    pub kms_key_id: Option<String>,
    /// MiB/s at which EBS loads the snapshot, if requested.
    #[serde(default)]
    pub volume_initialization_rate: Option<u32>,
    /// Where it is.
    pub availability_zone: Zone,
    /// Its state.
    pub state: VolumeState,
    /// When it was requested.
    pub create_time: Timestamp,
    /// None or one.
    pub attachments: Vec<VolumeAttachment>,
    /// Its tags.
    pub tags: Tags,
}

/// An attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeAttachment {
    /// The volume.
    pub volume_id: VolumeId,
    /// The instance.
    pub instance_id: InstanceId,
    /// The attachment point.
    pub device: DeviceName,
    /// Its state.
    pub state: AttachmentState,
    /// When it was requested.
    pub attach_time: Timestamp,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub snapshot_id: SnapshotId,
    /// What it was made from; for a copy or an import a meaningless `vol-ffffffff`.
    pub volume_id: VolumeId,
    /// GiB.
    pub volume_size: u32,
    /// Its state.
    pub state: SnapshotState,
    /// Why it failed.
    pub state_message: Option<String>,
    /// As `42%`.
    pub progress: String,
    /// When it was requested.
    pub start_time: Timestamp,
    /// The account it belongs to.
    pub owner_id: String,
    /// Its description.
    pub description: String,
    /// Whether it is encrypted.
    #[serde(default)]
    pub encrypted: bool,
    /// The key that it is encrypted with.
    #[serde(default)]
    pub kms_key_id: Option<String>,
    /// Who may create volumes from it.
    pub create_volume_permission: Permissions,
    /// Its tags.
    pub tags: Tags,
}

/// Who may use an image or a snapshot, besides its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Accounts.
    pub users: BTreeSet<String>,
    /// Groups; EC2 has one, `all`.
    pub groups: BTreeSet<String>,
    /// ARNs of organizations.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub organizations: BTreeSet<String>,
    /// ARNs of organizational units.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub organizational_units: BTreeSet<String>,
}

/// An image. Launch permissions and product codes, which EC2 returns only by DescribeImageAttribute, are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub image_id: ImageId,
    /// Its name.
    pub name: String,
    /// Its description; empty: none.
    pub description: String,
    /// The account it belongs to.
    pub owner_id: String,
    /// The account's alias (`amazon`, `aws-marketplace`), if it has one.
    pub image_owner_alias: Option<String>,
    /// Its state.
    pub state: ImageState,
    /// Why it failed.
    pub state_reason: Option<String>,
    /// Its processor architecture.
    pub architecture: Architecture,
    /// How its instances are virtualized.
    pub virtualization_type: Virtualization,
    /// The device of the root mapping.
    pub root_device_name: String,
    /// `ebs`.
    pub root_device_type: String,
    /// Its mappings.
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// As `2026-01-01T00:00:00.000Z`.
    pub creation_date: String,
    /// From when on it is deprecated.
    pub deprecation_time: Option<Timestamp>,
    /// Who may launch it.
    pub launch_permission: Permissions,
    /// Its product codes.
    pub product_codes: BTreeSet<String>,
    /// The image it is a copy of.
    pub source_image_id: Option<ImageId>,
    /// Where that is.
    pub source_image_region: Option<Region>,
    /// Whether enhanced networking (ENA) is declared.
    pub ena_support: bool,
    /// `simple`.
    pub sriov_net_support: Option<String>,
    /// As `uefi-preferred`.
    pub boot_mode: Option<String>,
    /// As `v2.0`.
    pub imds_support: Option<String>,
    /// As `v2.0`.
    pub tpm_support: Option<String>,
    /// The UEFI variable store in base64, which EC2 returns only by DescribeImageAttribute.
    #[serde(default)]
    pub uefi_data: Option<String>,
    /// Whether, and how, it is protected from deregistration: `disabled` and `enabled-with-cooldown`, for example.
    /// Empty: it is not.
    #[serde(default)]
    pub deregistration_protection: String,
    /// Its watermarks, as `ACCOUNT:NAME`.
    #[serde(default)]
    pub watermarks: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

impl Image {
    /// Whether everybody may launch it.
    pub fn public(&self) -> bool {
        self.launch_permission.groups.contains("all")
    }

    /// Whether it can't be deregistered.
    pub fn is_protected(&self) -> bool {
        !matches!(self.deregistration_protection.as_str(), "" | "disabled")
    }

    /// The mapping of the root device.
    pub fn root_mapping(&self) -> Option<&BlockDeviceMapping> {
        self.block_device_mappings.iter().find(|mapping| mapping.device_name == self.root_device_name)
    }

    /// The snapshot of the root device.
    pub fn root_snapshot(&self) -> Option<&SnapshotId> {
        self.root_mapping()?.ebs.as_ref()?.snapshot_id.as_ref()
    }

    /// All snapshots that it holds.
    pub fn snapshots(&self) -> impl Iterator<Item = &SnapshotId> {
        self.block_device_mappings.iter().filter_map(|mapping| mapping.ebs.as_ref()?.snapshot_id.as_ref())
    }
}

/// What became of one snapshot of a deregistered image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteSnapshotResult {
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// What became of it.
    pub return_code: ReturnCode,
}
