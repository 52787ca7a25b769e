//! The image to register: its options.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::{account_copy::AccountCopies, deferred::DeferredTemplate};
use crate::{BlockDeviceMapping, id::Region, time::Millis};

/// The image to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    /// `ami_name`: 3 to 128 characters of EC2's set.
    pub name: String,
    /// `ami_description`; empty: none.
    pub description: DeferredTemplate,
    /// `ami_virtualization_type`; absent: the source's.
    pub virtualization: Option<Virtualization>,
    /// `ami_architecture`: used from scratch only, as with Packer; a clone has the source's.
    pub architecture: Architecture,
    /// `root_device_name`; absent: the source's.
    pub root_device_name: Option<String>,
    /// `ami_block_device_mappings`: if not empty, it replaces the source's mappings.
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// `ami_users`: accounts that may launch it.
    pub users: Vec<String>,
    /// `ami_groups`: groups that may launch it (`all`).
    pub groups: Vec<String>,
    /// `ami_product_codes`.
    pub product_codes: Vec<String>,
    /// `ami_regions`, each once and without the build region if `region` names it.
    pub regions: Vec<Region>,
    /// `tags` and `tag`, on the image and its snapshots in every region, in the template's order; a later one overrides
    /// an earlier one of the same key.
    pub tags: Vec<(DeferredTemplate, DeferredTemplate)>,
    /// `snapshot_tags` and `snapshot_tag`, on the snapshots only, where they override `tags`.
    #[serde(default)]
    pub snapshot_tags: Vec<(DeferredTemplate, DeferredTemplate)>,
    /// Who else may use the image and its snapshots.
    #[serde(default)]
    pub sharing: Sharing,
    /// What is declared of the image when it is registered.
    #[serde(default)]
    pub attributes: ImageAttributes,
    /// How the image is encrypted.
    #[serde(default)]
    pub encryption: Encryption,
    /// Which older images the new one replaces.
    #[serde(default)]
    pub replacement: Replacement,
    /// How the image is copied to `regions`.
    #[serde(default)]
    pub copying: Copying,
    /// `bakehouse_account_copies`: copies that other accounts own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub account_copies: Vec<AccountCopies>,
    /// What happens to the image later, and where its id is published.
    #[serde(default)]
    pub lifecycle: Lifecycle,
}

impl ImageSpec {
    /// Returns an image of this name, everything else left at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: DeferredTemplate::default(),
            virtualization: None,
            architecture: Architecture::X86_64,
            root_device_name: None,
            block_device_mappings: Vec::new(),
            users: Vec::new(),
            groups: Vec::new(),
            product_codes: Vec::new(),
            regions: Vec::new(),
            tags: Vec::new(),
            snapshot_tags: Vec::new(),
            sharing: Sharing::default(),
            attributes: ImageAttributes::default(),
            encryption: Encryption::default(),
            replacement: Replacement::default(),
            copying: Copying::default(),
            account_copies: Vec::new(),
            lifecycle: Lifecycle::default(),
        }
    }
}

/// Who may use an image, beyond `users`, `groups` and `product_codes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sharing {
    /// `ami_org_arns`: organizations that may launch it.
    pub org_arns: Vec<String>,
    /// `ami_ou_arns`: organizational units that may launch it.
    pub ou_arns: Vec<String>,
    /// `snapshot_users`: accounts that may create volumes from its snapshots.
    pub snapshot_users: Vec<String>,
    /// `snapshot_groups` (`all`).
    pub snapshot_groups: Vec<String>,
}

/// Attributes that the template sets; absent: the source's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageAttributes {
    /// `ena_support`.
    pub ena_support: Option<bool>,
    /// `sriov_support`.
    pub sriov_support: Option<bool>,
    /// `boot_mode`: `legacy-bios`, `uefi`, `uefi-preferred`.
    pub boot_mode: Option<String>,
    /// `uefi_data`, in base64.
    pub uefi_data: Option<String>,
    /// `tpm_support`: `v2.0`.
    pub tpm_support: Option<String>,
    /// `imds_support`: `v2.0`.
    pub imds_support: Option<String>,
    /// `bakehouse_watermarks`: names of watermarks to attach before the image is copied, at most five.
    pub watermarks: Vec<String>,
}

/// How the image is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Encryption {
    /// `encrypt_boot`; absent: as the source is.
    pub encrypt_boot: Option<bool>,
    /// `kms_key_id`: the key in the build region; absent: the account's default key.
    pub kms_key_id: Option<String>,
    /// `region_kms_key_ids`: the key in each region; "" is the region's default key.
    pub region_kms_key_ids: BTreeMap<Region, String>,
}

/// Which older images the new one replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replacement {
    /// `force_deregister`, `-force`: the account's own image of this name is replaced, in every region.
    pub force_deregister: bool,
    /// `force_delete_snapshot`: and its snapshots are deleted.
    pub force_delete_snapshot: bool,
    /// `bakehouse_keep`: how many images of the recipe stay; older ones that nothing uses are deregistered with their
    /// snapshots once the new one stands.
    pub keep: Option<u32>,
}

/// How the image is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Copying {
    /// `skip_save_build_region`: no image stays in the build region.
    pub skip_save_build_region: bool,
    /// `skip_region_validation`: the regions are not checked against the account's.
    pub skip_region_validation: bool,
    /// `snapshot_copy_duration_minutes`: how long EBS may take for each copy, in steps of 15.
    pub snapshot_copy_duration_minutes: Option<u32>,
}

/// What happens to the image after the build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// When the image is deprecated.
    pub deprecation: Option<Deprecation>,
    /// `deregistration_protection`; absent: not protected.
    pub deregistration_protection: Option<DeregistrationProtection>,
    /// `bakehouse_ssm_parameters`: names of parameters of Parameter Store that get the image's id in each region, with
    /// the data type `aws:ec2:image`.
    pub parameters: Vec<DeferredTemplate>,
}

/// When an image is deprecated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deprecation {
    /// `deprecate_at`, RFC 3339.
    At(String),
    /// `bakehouse_deprecate_in`: this long after the build.
    In(Millis),
}

/// `deregistration_protection` with `enabled` or `with_cooldown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeregistrationProtection {
    /// Protection lasts 24 hours after it is switched off.
    pub with_cooldown: bool,
}

/// How an instance of the image is virtualized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Virtualization {
    /// Hardware virtual machine: the whole disk boots.
    Hvm,
    /// Paravirtual: the root file system is the whole disk.
    Paravirtual,
}

/// A processor architecture, in EC2's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Architecture {
    #[serde(rename = "x86_64")]
    X86_64,
    #[serde(rename = "arm64")]
    Arm64,
    #[serde(rename = "i386")]
    I386,
    #[serde(rename = "x86_64_mac")]
    X86_64Mac,
    #[serde(rename = "arm64_mac")]
    Arm64Mac,
}

impl Architecture {
    /// EC2's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
            Self::I386 => "i386",
            Self::X86_64Mac => "x86_64_mac",
            Self::Arm64Mac => "arm64_mac",
        }
    }
}

impl Virtualization {
    /// EC2's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hvm => "hvm",
            Self::Paravirtual => "paravirtual",
        }
    }
}
