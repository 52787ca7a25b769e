//! Importing images, for which EC2 has no such call: a cloud begins with them.

use std::collections::BTreeSet;

use bakehouse_protocol::{
    Region, Timestamp,
    spec::{Architecture, Virtualization},
};

use super::{
    check::check_name,
    ids,
    protection::Protection,
    record::{ImageRecord, Ready, SnapshotRecord},
    state::Model,
};
use crate::{
    ApiError,
    resource::{BlockDeviceMapping, EbsBlockDevice, Image, ImageState, Permissions, Snapshot, SnapshotState, Tags},
    timestamp::iso8601,
};

/// An image to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The image's name.
    pub name: String,
    /// The image's description; empty: none.
    pub description: String,
    /// The size of the disk, in GiB.
    pub size: u32,
    /// The processor architecture.
    pub architecture: Architecture,
    /// How its instances are virtualized.
    pub virtualization_type: Virtualization,
    /// As `/dev/sda1`.
    pub root_device_name: String,
    /// The account that owns it; absent: the caller's. An image of another account is public, as AWS's base images are.
    pub owner: Option<String>,
    /// `amazon` or `aws-marketplace`.
    pub owner_alias: Option<String>,
    /// From when on it is deprecated.
    pub deprecation_time: Option<Timestamp>,
    /// The key that its snapshot is encrypted with; absent: it is not encrypted.
    pub encrypted_with: Option<String>,
    /// The image's tags.
    pub tags: Tags,
}

impl Import {
    /// An image of the caller's account, `hvm`, with its root at `/dev/sda1`.
    pub fn new(name: impl Into<String>, size: u32, architecture: Architecture) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            size,
            architecture,
            virtualization_type: Virtualization::Hvm,
            root_device_name: "/dev/sda1".to_owned(),
            owner: None,
            owner_alias: None,
            deprecation_time: None,
            encrypted_with: None,
            tags: Tags::new(),
        }
    }
}

impl Model {
    /// Imports an image with its snapshot. It is available, and visible to describe calls, at once.
    ///
    /// # Errors
    /// `InvalidAMIName.Malformed`, `InvalidAMIName.Duplicate`, `InvalidParameterValue` (unknown region).
    pub fn import_image(&mut self, now: Timestamp, region: &Region, import: &Import) -> Result<Image, ApiError> {
        let now = self.advance(now);
        check_name(&import.name)?;
        let owner_id = import.owner.clone().unwrap_or_else(|| self.caller().to_owned());
        self.region(region)?.check_free(&import.name, &owner_id, now)?;
        let groups = if owner_id == self.caller() { BTreeSet::new() } else { BTreeSet::from(["all".to_owned()]) };
        let permissions = Permissions { groups, ..Permissions::default() };
        let snapshot = Snapshot {
            snapshot_id: self.ids.next("snap-")?,
            volume_id: ids::fixed("vol-ffffffff")?,
            volume_size: import.size,
            state: SnapshotState::Completed,
            state_message: None,
            progress: "100%".to_owned(),
            start_time: now,
            owner_id: owner_id.clone(),
            description: format!("Imported for {}", import.name),
            encrypted: import.encrypted_with.is_some(),
            kms_key_id: import.encrypted_with.clone(),
            create_volume_permission: permissions.clone(),
            tags: Tags::new(),
        };
        let root = BlockDeviceMapping {
            device_name: import.root_device_name.clone(),
            ebs: Some(EbsBlockDevice {
                snapshot_id: Some(snapshot.snapshot_id.clone()),
                volume_size: Some(import.size),
                volume_type: Some("gp3".to_owned()),
                delete_on_termination: Some(true),
                encrypted: Some(import.encrypted_with.is_some()),
                ..EbsBlockDevice::default()
            }),
            ..BlockDeviceMapping::default()
        };
        let image = Image {
            image_id: self.ids.next("ami-")?,
            name: import.name.clone(),
            description: import.description.clone(),
            owner_id,
            image_owner_alias: import.owner_alias.clone(),
            state: ImageState::Available,
            state_reason: None,
            architecture: import.architecture,
            virtualization_type: import.virtualization_type,
            root_device_name: import.root_device_name.clone(),
            root_device_type: "ebs".to_owned(),
            block_device_mappings: vec![root],
            creation_date: iso8601(now),
            deprecation_time: import.deprecation_time,
            launch_permission: permissions,
            product_codes: BTreeSet::new(),
            source_image_id: None,
            source_image_region: None,
            ena_support: true,
            sriov_net_support: Some("simple".to_owned()),
            boot_mode: None,
            imds_support: None,
            tpm_support: None,
            uefi_data: None,
            deregistration_protection: "disabled".to_owned(),
            watermarks: Vec::new(),
            tags: import.tags.clone(),
        };
        let state = self.region_mut(region)?;
        state.snapshots.insert(
            snapshot.snapshot_id.clone(),
            SnapshotRecord { facts: snapshot, ready: Ready::At(now), deleted: false },
        );
        // So old that no consistency lag hides it.
        let record = ImageRecord {
            facts: image.clone(),
            created: Timestamp(0),
            ready: Ready::At(now),
            protection: Protection::Off,
        };
        state.images.insert(image.image_id.clone(), record);
        Ok(image)
    }
}
