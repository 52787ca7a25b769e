//! RegisterImage, ModifyImageAttribute, DescribeImageAttribute, DeregisterImage.

use std::collections::BTreeSet;

use bakehouse_protocol::{
    ImageId, Region, SnapshotId, Timestamp,
    spec::{Architecture, Virtualization},
};

use super::{
    check::{check_description, check_name, check_tags},
    encryption::check_sharing,
    errors::{incomplete, no_image, no_snapshot},
    permissions::change,
    protection::Protection,
    record::{ImageRecord, Ready},
    state::{Model, RegionState},
};
use crate::{
    ApiError,
    request::{DeregisterImage, ModifyImageAttribute, RegisterImage},
    resource::{BlockDeviceMapping, DeleteSnapshotResult, Image, ImageState, Permissions, ReturnCode, SnapshotState},
    timestamp::iso8601,
};

fn mapping_error(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidBlockDeviceMapping", message)
}

impl RegionState {
    /// Refuses a name that one of the account's images has, or had until a moment ago.
    pub(super) fn check_free(&self, name: &str, account: &str, now: Timestamp) -> Result<(), ApiError> {
        let holder = self.images.values().find(|it| it.facts.name == name && it.facts.owner_id == account);
        let message = match holder {
            Some(image) => format!("AMI name {name} is already in use by AMI {}", image.facts.image_id),
            None if self.name_holds.get(&held_name(account, name)).is_some_and(|until| *until > now) => {
                format!("AMI name {name} is already in use by an AMI that was deregistered a moment ago")
            }
            None => return Ok(()),
        };
        Err(ApiError::new("InvalidAMIName.Duplicate", message))
    }

    /// An image of this account that can be changed.
    pub(super) fn own_image(&mut self, id: &ImageId, account: &str) -> Result<&mut ImageRecord, ApiError> {
        if self.deregistered.contains(id) {
            return Err(ApiError::new(
                "InvalidAMIID.Unavailable",
                format!("The image ID '{id}' is no longer available"),
            ));
        }
        match self.images.get_mut(id) {
            Some(image) if image.facts.owner_id == account => Ok(image),
            Some(image) if image.visible_to(account) => {
                Err(ApiError::new("AuthFailure", format!("Not authorized for image:{id}")))
            }
            _ => Err(no_image(id)),
        }
    }
}

/// The key of a name in [`RegionState::name_holds`]: each account has names of its own.
fn held_name(account: &str, name: &str) -> String {
    format!("{account} {name}")
}

/// Checks what the firmware of instances needs.
fn check_firmware(request: &RegisterImage) -> Result<(), ApiError> {
    let one_of = |name: &str, given: &Option<String>, known: &[&str]| match given {
        Some(value) if !known.contains(&value.as_str()) => Err(ApiError::new(
            "InvalidParameterValue",
            format!("Invalid value '{value}' for {name}: one of {}.", known.join(", ")),
        )),
        _ => Ok(()),
    };
    one_of("BootMode", &request.boot_mode, &["legacy-bios", "uefi", "uefi-preferred"])?;
    one_of("TpmSupport", &request.tpm_support, &["v2.0"])?;
    one_of("ImdsSupport", &request.imds_support, &["v2.0"])?;
    one_of("SriovNetSupport", &request.sriov_net_support, &["simple"])?;
    let needs_uefi = request.tpm_support.is_some() || request.uefi_data.is_some();
    if needs_uefi && request.boot_mode.as_deref() == Some("legacy-bios") {
        let message = "TpmSupport and UefiData need a boot mode of uefi or uefi-preferred.";
        return Err(ApiError::new("InvalidParameterCombination", message));
    }
    match &request.uefi_data {
        Some(data) if data.len() > 64_000 => {
            Err(ApiError::new("InvalidParameterValue", "UefiData may be at most 64000 characters long."))
        }
        _ => Ok(()),
    }
}

impl Model {
    /// RegisterImage.
    ///
    /// # Errors
    /// As [`crate::Ec2::register_image`].
    pub fn register_image(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &RegisterImage,
    ) -> Result<ImageId, ApiError> {
        let now = self.advance(now);
        check_name(&request.name)?;
        check_description(request.description.as_deref().unwrap_or_default())?;
        check_tags(&request.tags)?;
        check_firmware(request)?;
        let root = request.root_device_name.clone().unwrap_or_else(|| "/dev/sda1".to_owned());
        let mappings = self.check_mappings(now, region, &root, &request.block_device_mappings)?;
        self.region(region)?.check_free(&request.name, self.caller(), now)?;
        let facts = Image {
            image_id: self.ids.next("ami-")?,
            name: request.name.clone(),
            description: request.description.clone().unwrap_or_default(),
            owner_id: self.caller().to_owned(),
            image_owner_alias: None,
            state: ImageState::Pending,
            state_reason: None,
            architecture: request.architecture.unwrap_or(Architecture::I386),
            virtualization_type: request.virtualization_type.unwrap_or(Virtualization::Paravirtual),
            root_device_name: root,
            root_device_type: "ebs".to_owned(),
            block_device_mappings: mappings,
            creation_date: iso8601(now),
            deprecation_time: None,
            launch_permission: Permissions::default(),
            product_codes: BTreeSet::new(),
            source_image_id: None,
            source_image_region: None,
            ena_support: request.ena_support.unwrap_or(false),
            sriov_net_support: request.sriov_net_support.clone(),
            boot_mode: request.boot_mode.clone(),
            imds_support: request.imds_support.clone(),
            tpm_support: request.tpm_support.clone(),
            uefi_data: request.uefi_data.clone(),
            deregistration_protection: String::new(),
            watermarks: Vec::new(),
            tags: request.tags.clone(),
        };
        let id = facts.image_id.clone();
        let ready = Ready::At(now + self.delays.register_image);
        let record = ImageRecord { facts, created: now, ready, protection: Protection::Off };
        self.region_mut(region)?.images.insert(id.clone(), record);
        Ok(id)
    }

    /// Checks mappings and fills in EC2's defaults.
    fn check_mappings(
        &self,
        now: Timestamp,
        region: &Region,
        root: &str,
        mappings: &[BlockDeviceMapping],
    ) -> Result<Vec<BlockDeviceMapping>, ApiError> {
        let mut names = BTreeSet::new();
        let mut filled = Vec::new();
        for mapping in mappings {
            let name = &mapping.device_name;
            if !names.insert(name) {
                return Err(mapping_error(format!("Duplicate device name {name}")));
            }
            let kinds = [mapping.no_device, mapping.virtual_name.is_some(), mapping.ebs.is_some()];
            if kinds.into_iter().filter(|given| *given).count() != 1 {
                return Err(mapping_error(format!(
                    "Device {name} must have exactly one of Ebs, VirtualName and NoDevice"
                )));
            }
            filled.push(self.check_mapping(now, region, mapping)?);
        }
        let root_mapping = filled.iter().find(|it| it.device_name == root).and_then(|it| it.ebs.as_ref());
        match root_mapping {
            None => Err(mapping_error(format!("The mapping of the root device {root} is missing"))),
            Some(ebs) if ebs.snapshot_id.is_none() => {
                Err(mapping_error(format!("The root device {root} has no snapshot")))
            }
            Some(_) => Ok(filled.into_iter().filter(|it| !it.no_device).collect()),
        }
    }

    fn check_mapping(
        &self,
        now: Timestamp,
        region: &Region,
        mapping: &BlockDeviceMapping,
    ) -> Result<BlockDeviceMapping, ApiError> {
        let name = &mapping.device_name;
        let mut filled = mapping.clone();
        let Some(ebs) = &mut filled.ebs else {
            return Ok(filled);
        };
        match &ebs.snapshot_id {
            Some(id) => {
                if ebs.encrypted.is_some() {
                    return Err(mapping_error(format!(
                        "the encrypted flag cannot be specified since device {name} has a snapshot specified."
                    )));
                }
                let (minimum, encrypted) = self.snapshot_for_image(now, region, id)?;
                ebs.encrypted = Some(encrypted);
                let size = ebs.volume_size.unwrap_or(minimum);
                if size < minimum {
                    return Err(mapping_error(format!(
                        "Volume of size {size}GB is smaller than snapshot '{id}', expect size>= {minimum}GB"
                    )));
                }
                ebs.volume_size = Some(size);
            }
            None if ebs.volume_size.is_none() => {
                return Err(mapping_error(format!("Device {name} has neither a snapshot nor a size")));
            }
            None => {}
        }
        ebs.encrypted = Some(ebs.encrypted.unwrap_or(false));
        ebs.volume_type.get_or_insert_with(|| "gp2".to_owned());
        ebs.delete_on_termination.get_or_insert(true);
        Ok(filled)
    }

    /// Returns the size of a snapshot in GiB and whether it is encrypted.
    fn snapshot_for_image(&self, now: Timestamp, region: &Region, id: &SnapshotId) -> Result<(u32, bool), ApiError> {
        let snapshots = &self.region(region)?.snapshots;
        let snapshot = snapshots
            .get(id)
            .filter(|it| !it.is_gone(now) && !it.deleted && self.may_read(it))
            .ok_or_else(|| no_snapshot(id))?;
        match snapshot.state(now) {
            SnapshotState::Completed => Ok((snapshot.facts.volume_size, snapshot.facts.encrypted)),
            state => Err(incomplete(state)),
        }
    }

    /// ModifyImageAttribute.
    ///
    /// # Errors
    /// As [`crate::Ec2::modify_image_attribute`].
    pub fn modify_image_attribute(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &ModifyImageAttribute,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        let account = self.caller().to_owned();
        let image = self.region_mut(region)?.own_image(&request.image_id, &account)?;
        let state = image.state(now);
        if state != ImageState::Available {
            return Err(ApiError::new(
                "InvalidAMIID.Unavailable",
                format!("The image ID '{}' is currently {state} and may not be used", request.image_id),
            ));
        }
        check_description(request.description.as_deref().unwrap_or_default())?;
        let permissions =
            change(&image.facts.launch_permission, &request.launch_permission, "InvalidAMIAttributeItemValue")?;
        // Of its own snapshots: those of another account say nothing about who may launch the image.
        let held: Vec<_> = image.facts.snapshots().cloned().collect();
        let snapshots = &self.region(region)?.snapshots;
        for snapshot in held.iter().filter_map(|id| snapshots.get(id)).filter(|it| it.facts.owner_id == account) {
            check_sharing(request.image_id.as_str(), &snapshot.encryption(), &permissions)?;
        }
        if request.imds_support.as_deref().is_some_and(|support| support != "v2.0") {
            return Err(ApiError::new("InvalidParameterValue", "Invalid value for ImdsSupport. Specify v2.0."));
        }
        let image = self.region_mut(region)?.own_image(&request.image_id, &account)?;
        image.facts.launch_permission = permissions;
        if request.imds_support.is_some() {
            image.facts.imds_support.clone_from(&request.imds_support);
        }
        if let Some(description) = &request.description {
            image.facts.description.clone_from(description);
        }
        image.facts.product_codes.extend(request.product_codes.iter().cloned());
        Ok(())
    }

    /// Returns who may launch an image of the caller's.
    ///
    /// # Errors
    /// As [`crate::Ec2::describe_launch_permission`].
    pub fn describe_launch_permission(&mut self, region: &Region, id: &ImageId) -> Result<Permissions, ApiError> {
        let account = self.caller().to_owned();
        Ok(self.region_mut(region)?.own_image(id, &account)?.facts.launch_permission.clone())
    }

    /// DeregisterImage.
    ///
    /// # Errors
    /// As [`crate::Ec2::deregister_image`].
    pub fn deregister_image(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &DeregisterImage,
    ) -> Result<Vec<DeleteSnapshotResult>, ApiError> {
        let now = self.advance(now);
        let (account, name_release) = (self.caller().to_owned(), self.delays.name_release);
        let state = self.region_mut(region)?;
        let record = state.own_image(&request.image_id, &account)?;
        if record.protection.protects(now) {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("The image {} is protected from deregistration", request.image_id),
            ));
        }
        let image = record.facts.clone();
        state.images.remove(&request.image_id);
        state.deregistered.insert(request.image_id.clone());
        state.name_holds.insert(held_name(&account, &image.name), now + name_release);
        let mut results = Vec::new();
        if request.delete_associated_snapshots {
            for id in image.snapshots() {
                let used = state.image_using(id).is_some();
                let own = state.snapshots.get_mut(id).filter(|it| it.facts.owner_id == account && !used);
                let return_code = match own {
                    Some(snapshot) => {
                        snapshot.deleted = true;
                        ReturnCode::Success
                    }
                    None => ReturnCode::Skipped,
                };
                results.push(DeleteSnapshotResult { snapshot_id: id.clone(), return_code });
            }
        }
        state.drop_expired(now);
        Ok(results)
    }
}
