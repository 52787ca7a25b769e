//! The calls that make, change or remove something.

use bakehouse_ec2::{
    ApiError,
    request::{
        AttachVolume, CopyImage, CreateSnapshot, CreateTags, CreateVolume, DeleteVolume, DeregisterImage, DetachVolume,
        RegisterImage,
    },
    resource::{BlockDeviceMapping, EbsBlockDevice},
};
use bakehouse_protocol::{DeviceName, InstanceId, Region, SnapshotId, Zone};

use super::fields::{architecture, id, ids, owned, specified, tags, virtualization};
use crate::http::params::Node;

pub(crate) fn create_volume(node: &Node<'_>) -> Result<CreateVolume, ApiError> {
    node.never("Encrypted")?;
    node.never("MultiAttachEnabled")?;
    node.unset(&["AvailabilityZoneId", "KmsKeyId", "OutpostArn", "VolumeInitializationRate"])?;
    let zone = node.required("AvailabilityZone")?;
    let [tags] = specified(node, ["volume"])?;
    Ok(CreateVolume {
        availability_zone: Zone::new(zone)
            .map_err(|_| ApiError::new("InvalidZone.NotFound", format!("The zone '{zone}' does not exist.")))?,
        size: node.value("Size")?,
        snapshot_id: node.filled("SnapshotId").map(id).transpose()?,
        volume_type: owned(node.filled("VolumeType")),
        iops: node.value("Iops")?,
        throughput: node.value("Throughput")?,
        client_token: owned(node.filled("ClientToken")),
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

pub(crate) fn attach_volume(node: &Node<'_>) -> Result<AttachVolume, ApiError> {
    Ok(AttachVolume {
        volume_id: id(node.required("VolumeId")?)?,
        instance_id: id(node.required("InstanceId")?)?,
        device: device(node)?,
    })
}

/// The device, if it is given, must be the one that the volume is attached as.
pub(crate) fn detach_volume(node: &Node<'_>) -> Result<(DetachVolume, Option<DeviceName>), ApiError> {
    node.never("Force")?;
    let request = DetachVolume {
        volume_id: id(node.required("VolumeId")?)?,
        instance_id: node.filled("InstanceId").map(id).transpose()?,
    };
    let device = node.filled("Device").map(|_| device(node)).transpose()?;
    Ok((request, device))
}

pub(crate) fn start_instances(node: &Node<'_>) -> Result<Vec<InstanceId>, ApiError> {
    node.unset(&["AdditionalInfo"])?;
    instances(node)
}

pub(crate) fn stop_instances(node: &Node<'_>) -> Result<Vec<InstanceId>, ApiError> {
    node.never("Hibernate")?;
    // Nothing runs here that could be ended less or more gently.
    node.flag("Force")?;
    node.flag("SkipOsShutdown")?;
    instances(node)
}

fn instances(node: &Node<'_>) -> Result<Vec<InstanceId>, ApiError> {
    node.required("InstanceId.1")?;
    ids(node, "InstanceId")
}

pub(crate) fn delete_volume(node: &Node<'_>) -> Result<DeleteVolume, ApiError> {
    Ok(DeleteVolume { volume_id: id(node.required("VolumeId")?)? })
}

pub(crate) fn create_snapshot(node: &Node<'_>) -> Result<CreateSnapshot, ApiError> {
    node.unset(&["Location", "OutpostArn"])?;
    let [tags] = specified(node, ["snapshot"])?;
    let volume_id = id(node.required("VolumeId")?)?;
    Ok(CreateSnapshot { volume_id, description: node.text("Description").unwrap_or_default().to_owned(), tags })
}

pub(crate) fn delete_snapshot(node: &Node<'_>) -> Result<SnapshotId, ApiError> {
    id(node.required("SnapshotId")?)
}

pub(crate) fn register_image(node: &Node<'_>) -> Result<RegisterImage, ApiError> {
    node.unset(&["ImageLocation", "KernelId", "RamdiskId", "UefiData"])?;
    let [tags] = specified(node, ["image"])?;
    let mappings: Result<_, _> = node.nodes("BlockDeviceMapping").iter().map(mapping).collect();
    Ok(RegisterImage {
        name: node.required("Name")?.to_owned(),
        description: owned(node.filled("Description")),
        architecture: node.filled("Architecture").map(architecture).transpose()?,
        virtualization_type: node.filled("VirtualizationType").map(virtualization).transpose()?,
        root_device_name: owned(node.filled("RootDeviceName")),
        block_device_mappings: mappings?,
        ena_support: node.value("EnaSupport")?,
        sriov_net_support: owned(node.filled("SriovNetSupport")),
        boot_mode: owned(node.filled("BootMode")),
        imds_support: owned(node.filled("ImdsSupport")),
        tpm_support: owned(node.filled("TpmSupport")),
        tags,
    })
}

fn mapping(node: &Node<'_>) -> Result<BlockDeviceMapping, ApiError> {
    let ebs = node.node("Ebs");
    ebs.unset(&["KmsKeyId", "OutpostArn"])?;
    let ebs = EbsBlockDevice {
        snapshot_id: ebs.filled("SnapshotId").map(id).transpose()?,
        volume_size: ebs.value("VolumeSize")?,
        volume_type: owned(ebs.filled("VolumeType")),
        iops: ebs.value("Iops")?,
        throughput: ebs.value("Throughput")?,
        delete_on_termination: ebs.value("DeleteOnTermination")?,
        encrypted: ebs.value("Encrypted")?,
    };
    Ok(BlockDeviceMapping {
        device_name: node.required("DeviceName")?.to_owned(),
        virtual_name: owned(node.filled("VirtualName")),
        // Whatever it is set to, the empty text too.
        no_device: node.text("NoDevice").is_some(),
        ebs: (ebs != EbsBlockDevice::default()).then_some(ebs),
    })
}

pub(crate) fn copy_image(node: &Node<'_>) -> Result<CopyImage, ApiError> {
    node.never("Encrypted")?;
    node.unset(&["DestinationOutpostArn", "KmsKeyId", "SnapshotCopyCompletionDurationMinutes"])?;
    let [image_tags, snapshot_tags] = specified(node, ["image", "snapshot"])?;
    let source_region = node.required("SourceRegion")?;
    Ok(CopyImage {
        name: node.required("Name")?.to_owned(),
        description: owned(node.filled("Description")),
        source_image_id: id(node.required("SourceImageId")?)?,
        source_region: Region::new(source_region)
            .map_err(|_| ApiError::new("InvalidParameterValue", format!("Invalid region name '{source_region}'")))?,
        client_token: owned(node.filled("ClientToken")),
        copy_image_tags: node.flag("CopyImageTags")?,
        image_tags,
        snapshot_tags,
    })
}

pub(crate) fn create_tags(node: &Node<'_>) -> Result<CreateTags, ApiError> {
    let resources = node.texts("ResourceId");
    // EC2 wants one of each at least.
    node.required("ResourceId.1")?;
    let given = node.nodes("Tag");
    if given.is_empty() {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter Tag.1"));
    }
    Ok(CreateTags { resources, tags: tags(&given)? })
}

pub(crate) fn deregister_image(node: &Node<'_>) -> Result<DeregisterImage, ApiError> {
    Ok(DeregisterImage {
        image_id: id(node.required("ImageId")?)?,
        delete_associated_snapshots: node.flag("DeleteAssociatedSnapshots")?,
    })
}
