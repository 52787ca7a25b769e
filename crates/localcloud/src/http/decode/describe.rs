//! The describe calls.

use bakehouse_ec2::ApiError;
use bakehouse_protocol::{ImageId, SnapshotId};

use super::fields::{id, ids};
use crate::{
    http::{page::Paging, params::Node},
    request::{DescribeImages, DescribeInstances, DescribeSnapshots, DescribeVolumes, Filter},
};

/// The sizes of a page in EC2.
const PAGE: std::ops::RangeInclusive<u32> = 5..=1000;

pub(crate) fn filters(node: &Node<'_>) -> Result<Vec<Filter>, ApiError> {
    let read = |node: Node<'_>| {
        let values = node.texts("Value");
        Ok(Filter { name: node.required("Name")?.to_owned(), values })
    };
    node.nodes("Filter").into_iter().map(read).collect()
}

pub(crate) fn describe_instances_request(node: &Node<'_>) -> Result<(DescribeInstances, Paging), ApiError> {
    // No resource here is managed by another service, so this makes no difference.
    node.flag("IncludeManagedResources")?;
    let request = DescribeInstances { instance_ids: ids(node, "InstanceId")?, filters: filters(node)? };
    let paging = Paging::read(node, PAGE, !request.instance_ids.is_empty())?;
    Ok((request, paging))
}

pub(crate) fn describe_images_request(node: &Node<'_>) -> Result<(DescribeImages, Paging), ApiError> {
    // No image here can be disabled.
    node.flag("IncludeDisabled")?;
    let request = DescribeImages {
        image_ids: ids(node, "ImageId")?,
        owners: node.texts("Owner"),
        filters: filters(node)?,
        include_deprecated: node.flag("IncludeDeprecated")?,
    };
    let paging = Paging::read(node, 1..=1000, !request.image_ids.is_empty())?;
    Ok((request, paging))
}

pub(crate) fn describe_snapshots_request(node: &Node<'_>) -> Result<(DescribeSnapshots, Paging), ApiError> {
    let request = DescribeSnapshots {
        snapshot_ids: ids(node, "SnapshotId")?,
        owner_ids: node.texts("Owner"),
        filters: filters(node)?,
    };
    let paging = Paging::read(node, PAGE, !request.snapshot_ids.is_empty())?;
    Ok((request, paging))
}

pub(crate) fn describe_volumes_request(node: &Node<'_>) -> Result<(DescribeVolumes, Paging), ApiError> {
    node.flag("IncludeManagedResources")?;
    let request = DescribeVolumes { volume_ids: ids(node, "VolumeId")?, filters: filters(node)? };
    let paging = Paging::read(node, PAGE, !request.volume_ids.is_empty())?;
    Ok((request, paging))
}

/// The image and the name of the attribute.
pub(crate) fn image_attribute(node: &Node<'_>) -> Result<(ImageId, String), ApiError> {
    Ok((id(node.required("ImageId")?)?, node.required("Attribute")?.to_owned()))
}

/// The snapshot and the name of the attribute.
pub(crate) fn snapshot_attribute(node: &Node<'_>) -> Result<(SnapshotId, String), ApiError> {
    Ok((id(node.required("SnapshotId")?)?, node.required("Attribute")?.to_owned()))
}
