//! Calls that create, change or delete something.

use bakehouse_ec2::{
    ApiError,
    request::{
        AttachImageWatermark, AttachVolume, CopyImage, CreateSnapshot, CreateTags, CreateVolume, DeleteVolume,
        DeregisterImage, DetachVolume, EnableImageDeprecation, EnableImageDeregistrationProtection, RegisterImage,
    },
    resource::{BlockDeviceMapping, EbsBlockDevice},
};
use bakehouse_protocol::{DeviceName, ImageId, InstanceId, Region, SnapshotId, Timestamp, Zone};

use super::fields::{architecture, id, ids, owned, tag_specifications, tags, virtualization};
use crate::http::params::{Node, invalid_value};

pub(crate) fn create_volume_request(node: &Node<'_>) -> Result<CreateVolume, ApiError> {
    node.unsupported_flag("MultiAttachEnabled")?;
    node.unsupported(&["AvailabilityZoneId", "OutpostArn"])?;
    let zone = node.required("AvailabilityZone")?;
    let [tags] = tag_specifications(node, ["volume"])?;
    Ok(CreateVolume {
        availability_zone: Zone::new(zone)
            .map_err(|_| ApiError::new("InvalidZone.NotFound", format!("The zone '{zone}' does not exist.")))?,
        size: node.value("Size")?,
        snapshot_id: node.non_empty("SnapshotId").map(id).transpose()?,
        volume_type: owned(node.non_empty("VolumeType")),
        iops: node.value("Iops")?,
        throughput: node.value("Throughput")?,
        encrypted: node.value("Encrypted")?,
        kms_key_id: owned(node.non_empty("KmsKeyId")),
        volume_initialization_rate: node.value("VolumeInitializationRate")?,
        client_token: owned(node.non_empty("ClientToken")),
        tags,
    })
}

fn device(node: &Node<'_>) -> Result<DeviceName, ApiError> {
    let text = node.required("Device")?;
    DeviceName::new(text).map_err(|_| {
        let message = format!("Value ({text}) for parameter device is invalid. {text} is not a valid EBS device name.");
        ApiError::new("InvalidParameterValue", message)
    })
}

pub(crate) fn attach_volume_request(node: &Node<'_>) -> Result<AttachVolume, ApiError> {
    Ok(AttachVolume {
        volume_id: id(node.required("VolumeId")?)?,
        instance_id: id(node.required("InstanceId")?)?,
        device: device(node)?,
    })
}

/// The request, and the device name that the volume must be attached as, if given.
pub(crate) fn detach_volume_request(node: &Node<'_>) -> Result<(DetachVolume, Option<DeviceName>), ApiError> {
    node.unsupported_flag("Force")?;
    let request = DetachVolume {
        volume_id: id(node.required("VolumeId")?)?,
        instance_id: node.non_empty("InstanceId").map(id).transpose()?,
    };
    let device = node.non_empty("Device").map(|_| device(node)).transpose()?;
    Ok((request, device))
}

pub(crate) fn start_instances_request(node: &Node<'_>) -> Result<Vec<InstanceId>, ApiError> {
    node.unsupported(&["AdditionalInfo"])?;
    instances(node)
}

pub(crate) fn stop_instances_request(node: &Node<'_>) -> Result<Vec<InstanceId>, ApiError> {
    node.unsupported_flag("Hibernate")?;
    // No operating system runs here, so these make no difference.
    node.flag("Force")?;
    node.flag("SkipOsShutdown")?;
    instances(node)
}

fn instances(node: &Node<'_>) -> Result<Vec<InstanceId>, ApiError> {
    node.required("InstanceId.1")?;
    ids(node, "InstanceId")
}

pub(crate) fn delete_volume_request(node: &Node<'_>) -> Result<DeleteVolume, ApiError> {
    Ok(DeleteVolume { volume_id: id(node.required("VolumeId")?)? })
}

pub(crate) fn create_snapshot_request(node: &Node<'_>) -> Result<CreateSnapshot, ApiError> {
    node.unsupported(&["Location", "OutpostArn"])?;
    let [tags] = tag_specifications(node, ["snapshot"])?;
    let volume_id = id(node.required("VolumeId")?)?;
    Ok(CreateSnapshot { volume_id, description: node.text("Description").unwrap_or_default().to_owned(), tags })
}

pub(crate) fn delete_snapshot_request(node: &Node<'_>) -> Result<SnapshotId, ApiError> {
    id(node.required("SnapshotId")?)
}

pub(crate) fn register_image_request(node: &Node<'_>) -> Result<RegisterImage, ApiError> {
    node.unsupported(&["ImageLocation", "KernelId", "RamdiskId"])?;
    let [tags] = tag_specifications(node, ["image"])?;
    let mappings: Result<_, _> = node.nodes("BlockDeviceMapping").iter().map(mapping).collect();
    Ok(RegisterImage {
        name: node.required("Name")?.to_owned(),
        description: owned(node.non_empty("Description")),
        architecture: node.non_empty("Architecture").map(architecture).transpose()?,
        virtualization_type: node.non_empty("VirtualizationType").map(virtualization).transpose()?,
        root_device_name: owned(node.non_empty("RootDeviceName")),
        block_device_mappings: mappings?,
        ena_support: node.value("EnaSupport")?,
        sriov_net_support: owned(node.non_empty("SriovNetSupport")),
        boot_mode: owned(node.non_empty("BootMode")),
        imds_support: owned(node.non_empty("ImdsSupport")),
        tpm_support: owned(node.non_empty("TpmSupport")),
        uefi_data: owned(node.non_empty("UefiData")),
        tags,
    })
}

fn mapping(node: &Node<'_>) -> Result<BlockDeviceMapping, ApiError> {
    let ebs = node.node("Ebs");
    ebs.unsupported(&["KmsKeyId", "OutpostArn"])?;
    let ebs = EbsBlockDevice {
        snapshot_id: ebs.non_empty("SnapshotId").map(id).transpose()?,
        volume_size: ebs.value("VolumeSize")?,
        volume_type: owned(ebs.non_empty("VolumeType")),
        iops: ebs.value("Iops")?,
        throughput: ebs.value("Throughput")?,
        delete_on_termination: ebs.value("DeleteOnTermination")?,
        encrypted: ebs.value("Encrypted")?,
        kms_key_id: None,
    };
    Ok(BlockDeviceMapping {
        device_name: node.required("DeviceName")?.to_owned(),
        virtual_name: owned(node.non_empty("VirtualName")),
        // With any value, the empty text included.
        no_device: node.text("NoDevice").is_some(),
        ebs: (ebs != EbsBlockDevice::default()).then_some(ebs),
    })
}

pub(crate) fn copy_image_request(node: &Node<'_>) -> Result<CopyImage, ApiError> {
    node.unsupported(&["DestinationOutpostArn"])?;
    let [image_tags, snapshot_tags] = tag_specifications(node, ["image", "snapshot"])?;
    let source_region = node.required("SourceRegion")?;
    Ok(CopyImage {
        name: node.required("Name")?.to_owned(),
        description: owned(node.non_empty("Description")),
        source_image_id: id(node.required("SourceImageId")?)?,
        source_region: Region::new(source_region)
            .map_err(|_| ApiError::new("InvalidParameterValue", format!("Invalid region name '{source_region}'")))?,
        client_token: owned(node.non_empty("ClientToken")),
        copy_image_tags: node.flag("CopyImageTags")?,
        encrypted: node.value("Encrypted")?,
        // Packer sends an empty one.
        kms_key_id: owned(node.non_empty("KmsKeyId")),
        snapshot_copy_completion_duration_minutes: node.value("SnapshotCopyCompletionDurationMinutes")?,
        image_tags,
        snapshot_tags,
    })
}

pub(crate) fn create_tags_request(node: &Node<'_>) -> Result<CreateTags, ApiError> {
    let resources = node.texts("ResourceId");
    // EC2 requires at least one of each.
    node.required("ResourceId.1")?;
    let given = node.nodes("Tag");
    if given.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter Tag.1"));
    }
    Ok(CreateTags { resources, tags: tags(&given)? })
}

pub(crate) fn deregister_image_request(node: &Node<'_>) -> Result<DeregisterImage, ApiError> {
    Ok(DeregisterImage {
        image_id: id(node.required("ImageId")?)?,
        delete_associated_snapshots: node.flag("DeleteAssociatedSnapshots")?,
    })
}

pub(crate) fn enable_image_deprecation_request(node: &Node<'_>) -> Result<EnableImageDeprecation, ApiError> {
    let text = node.required("DeprecateAt")?;
    let at: Option<jiff::Timestamp> = text.parse().ok();
    let millis = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    let deprecate_at = millis.map(Timestamp).ok_or_else(|| invalid_value("DeprecateAt", text))?;
    Ok(EnableImageDeprecation { image_id: image_id(node)?, deprecate_at })
}

pub(crate) fn enable_image_deregistration_protection_request(
    node: &Node<'_>,
) -> Result<EnableImageDeregistrationProtection, ApiError> {
    let with_cooldown = node.flag("WithCooldown")?;
    Ok(EnableImageDeregistrationProtection { image_id: image_id(node)?, with_cooldown })
}

pub(crate) fn attach_image_watermark_request(node: &Node<'_>) -> Result<AttachImageWatermark, ApiError> {
    let watermark_name = node.required("WatermarkName")?.to_owned();
    Ok(AttachImageWatermark { image_id: image_id(node)?, watermark_name })
}

/// The image of calls that name nothing else.
pub(crate) fn image_id(node: &Node<'_>) -> Result<ImageId, ApiError> {
    id(node.required("ImageId")?)
}
