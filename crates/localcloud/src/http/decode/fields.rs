//! Fields that several requests have.

use std::str::FromStr;

use bakehouse_ec2::{ApiError, resource::Tags};
use bakehouse_protocol::{
    ImageId, InstanceId, SnapshotId, VolumeId,
    spec::{Architecture, Virtualization},
};

use crate::http::params::{Node, invalid_value};

/// An id, with EC2's code for text that is not one.
pub(super) trait Id: FromStr {
    const MALFORMED: &'static str;
}

impl Id for ImageId {
    const MALFORMED: &'static str = "InvalidAMIID.Malformed";
}
impl Id for InstanceId {
    const MALFORMED: &'static str = "InvalidInstanceID.Malformed";
}
impl Id for SnapshotId {
    const MALFORMED: &'static str = "InvalidSnapshotID.Malformed";
}
impl Id for VolumeId {
    const MALFORMED: &'static str = "InvalidVolumeID.Malformed";
}

pub(super) fn id<T: Id>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::new(T::MALFORMED, format!("Invalid id: \"{text}\"")))
}

pub(super) fn ids<T: Id>(node: &Node<'_>, name: &str) -> Result<Vec<T>, ApiError> {
    node.texts(name).iter().map(|text| id(text)).collect()
}

pub(super) fn tags(nodes: &[Node<'_>]) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for node in nodes {
        let key = node.text("Key").unwrap_or_default().to_owned();
        let value = node.text("Value").unwrap_or_default().to_owned();
        if tags.contains_key(&key) {
            let message = format!("Duplicate tag key '{key}' specified.");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        tags.insert(key, value);
    }
    Ok(tags)
}

/// The tags in `TagSpecification.N` of each resource type of `kinds`, in that order.
pub(super) fn tag_specifications<const N: usize>(node: &Node<'_>, kinds: [&str; N]) -> Result<[Tags; N], ApiError> {
    let mut all = [const { Tags::new() }; N];
    for specification in node.nodes("TagSpecification") {
        let kind = specification.required("ResourceType")?;
        let Some(index) = kinds.iter().position(|known| *known == kind) else {
            let message = format!("'{kind}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::new("InvalidParameterValue", message));
        };
        if !all[index].is_empty() {
            let message = format!("Tags for the resource type {kind} are specified twice.");
            return Err(ApiError::new("InvalidParameterValue", message));
        }
        all[index] = tags(&specification.nodes("Tag"))?;
    }
    Ok(all)
}

pub(super) fn owned(text: Option<&str>) -> Option<String> {
    text.map(ToOwned::to_owned)
}

pub(super) fn architecture(text: &str) -> Result<Architecture, ApiError> {
    use Architecture::{Arm64, Arm64Mac, I386, X86_64, X86_64Mac};
    let all = [X86_64, Arm64, I386, X86_64Mac, Arm64Mac];
    all.into_iter().find(|it| it.as_str() == text).ok_or_else(|| invalid_value("architecture", text))
}

pub(super) fn virtualization(text: &str) -> Result<Virtualization, ApiError> {
    let all = [Virtualization::Hvm, Virtualization::Paravirtual];
    all.into_iter().find(|it| it.as_str() == text).ok_or_else(|| invalid_value("virtualizationType", text))
}
