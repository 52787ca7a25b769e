//! Volumes: converts requests and responses between our types and the SDK's.

use aws_sdk_ec2::{Client, types};
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::{
    ApiError,
    request::{AttachVolume, CreateVolume, DeleteVolume, DescribeVolumes, DetachVolume},
    resource::{Volume, VolumeAttachment},
};
use bakehouse_protocol::{DeviceName, InstanceId, VolumeId, Zone};

use crate::ec2::{convert, pages::pages};

/// CreateVolume and DescribeVolumes return the same fields in two types.
macro_rules! volume {
    ($it:expr) => {{
        let it = $it;
        Ok(Volume {
            volume_id: convert::id::<VolumeId>("a volume's id", it.volume_id)?,
            snapshot_id: convert::optional_id("a volume's snapshot", it.snapshot_id)?,
            size: convert::count("a volume's size", convert::required(it.size, "a volume's size")?)?,
            volume_type: convert::required(it.volume_type, "a volume's type")?.as_str().to_owned(),
            iops: convert::optional_count("a volume's IOPS", it.iops)?,
            throughput: convert::optional_count("a volume's throughput", it.throughput)?,
            encrypted: it.encrypted.unwrap_or_default(),
            kms_key_id: it.kms_key_id,
            volume_initialization_rate: convert::optional_count("a volume's rate", it.volume_initialization_rate)?,
            availability_zone: convert::id::<Zone>("a volume's zone", it.availability_zone)?,
            state: convert::variant("a volume's state", convert::required(it.state, "a volume's state")?.as_str())?,
            create_time: convert::time("when a volume was created", it.create_time)?,
            attachments: it.attachments.unwrap_or_default().into_iter().map(attachment).collect::<Result<_, _>>()?,
            tags: convert::tags(it.tags),
        })
    }};
}

fn from_described(it: types::Volume) -> Result<Volume, ApiError> {
    volume!(it)
}

fn attachment(it: types::VolumeAttachment) -> Result<VolumeAttachment, ApiError> {
    attached(it.volume_id, it.instance_id, it.device, it.state, it.attach_time)
}

fn attached(
    volume: Option<String>,
    instance: Option<String>,
    device: Option<String>,
    state: Option<types::VolumeAttachmentState>,
    time: Option<aws_sdk_ec2::primitives::DateTime>,
) -> Result<VolumeAttachment, ApiError> {
    Ok(VolumeAttachment {
        volume_id: convert::id::<VolumeId>("an attachment's volume", volume)?,
        instance_id: convert::id::<InstanceId>("an attachment's instance", instance)?,
        device: device_name(device)?,
        state: convert::variant("an attachment's state", convert::required(state, "an attachment's state")?.as_str())?,
        attach_time: convert::time("a volume's attach time", time)?,
    })
}

/// Returns a device name. EC2 also accepts and returns `xvdf` for `/dev/xvdf`.
pub(crate) fn device_name(text: Option<String>) -> Result<DeviceName, ApiError> {
    let text = convert::required(text, "a device name")?;
    let full = if text.starts_with("/dev/") { text } else { format!("/dev/{text}") };
    convert::id("a device name", Some(full))
}

pub(crate) async fn describe(
    client: &Client,
    page_size: i32,
    request: DescribeVolumes,
) -> Result<Vec<Volume>, ApiError> {
    let call = client
        .describe_volumes()
        .set_volume_ids(convert::texts(&request.volume_ids))
        .set_filters(convert::filters(request.filters))
        .into_paginator();
    // EC2 takes no MaxResults together with ids.
    let call = if request.volume_ids.is_empty() { call.page_size(page_size) } else { call };
    pages(call.items().send(), from_described).await
}

pub(crate) async fn create(client: &Client, request: CreateVolume) -> Result<Volume, ApiError> {
    let created = client
        .create_volume()
        .availability_zone(request.availability_zone.as_str())
        .set_size(request.size.map(convert::signed))
        .set_snapshot_id(request.snapshot_id.map(String::from))
        .set_volume_type(request.volume_type.as_deref().map(types::VolumeType::from))
        .set_iops(request.iops.map(convert::signed))
        .set_throughput(request.throughput.map(convert::signed))
        .set_encrypted(request.encrypted)
        .set_kms_key_id(request.kms_key_id)
        .set_volume_initialization_rate(request.volume_initialization_rate.map(convert::signed))
        .set_client_token(request.client_token)
        .set_tag_specifications(convert::tag_specifications([(types::ResourceType::Volume, &request.tags)]))
        .send()
        .await
        .map_err(api_error)?;
    volume!(created)
}

pub(crate) async fn attach(client: &Client, request: AttachVolume) -> Result<VolumeAttachment, ApiError> {
    let created = client
        .attach_volume()
        .volume_id(request.volume_id)
        .instance_id(request.instance_id)
        .device(request.device)
        .send()
        .await
        .map_err(api_error)?;
    attached(created.volume_id, created.instance_id, created.device, created.state, created.attach_time)
}

pub(crate) async fn detach(client: &Client, request: DetachVolume) -> Result<VolumeAttachment, ApiError> {
    let it = client
        .detach_volume()
        .volume_id(request.volume_id)
        .set_instance_id(request.instance_id.map(String::from))
        .send()
        .await
        .map_err(api_error)?;
    attached(it.volume_id, it.instance_id, it.device, it.state, it.attach_time)
}

pub(crate) async fn delete(client: &Client, request: DeleteVolume) -> Result<(), ApiError> {
    client.delete_volume().volume_id(request.volume_id).send().await.map(drop).map_err(api_error)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::primitives::DateTime;
    use bakehouse_ec2::resource::{AttachmentState, VolumeState};

    use super::*;

    fn described() -> types::builders::VolumeBuilder {
        let attached = types::VolumeAttachment::builder()
            .volume_id("vol-0123456789abcdef0")
            .instance_id("i-0123456789abcdef0")
            .device("xvdf")
            .state(types::VolumeAttachmentState::Attaching)
            .attach_time(DateTime::from_secs(2))
            .build();
        types::Volume::builder()
            .volume_id("vol-0123456789abcdef0")
            .snapshot_id("")
            .size(8)
            .volume_type(types::VolumeType::Gp3)
            .availability_zone("us-east-1a")
            .state(types::VolumeState::InUse)
            .create_time(DateTime::from_secs(1))
            .attachments(attached)
    }

    #[test]
    fn a_volume_is_read_with_its_attachment() {
        let volume = from_described(described().build()).unwrap();
        assert_eq!((volume.state, volume.size, volume.snapshot_id), (VolumeState::InUse, 8, None));
        let attachment = &volume.attachments[0];
        assert_eq!((attachment.device.as_str(), attachment.state), ("/dev/xvdf", AttachmentState::Attaching));
    }

    #[test]
    fn an_unknown_state_is_an_error_that_names_it() {
        let error = from_described(described().state("melting".into()).build()).unwrap_err();
        assert!(error.message.contains("a volume's state \"melting\""), "{error}");
        let error = from_described(described().set_size(None).build()).unwrap_err();
        assert_eq!(error.message, "EC2's response lacks a volume's size");
    }
}
