//! Instances and regions: converts requests and responses between our types and the SDK's.

use aws_sdk_ec2::{Client, types};
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::{
    ApiError,
    request::DescribeInstances,
    resource::{AttachmentState, Instance, InstanceBlockDeviceMapping, InstanceState},
};
use bakehouse_protocol::{ImageId, InstanceId, Region, VolumeId, Zone};

use crate::ec2::{convert, pages::pages, volumes::device_name};

pub(crate) async fn start(client: &Client, instance: &InstanceId) -> Result<InstanceState, ApiError> {
    let response = client.start_instances().instance_ids(instance.as_str()).send().await.map_err(api_error)?;
    state_after(instance, response.starting_instances)
}

pub(crate) async fn stop(client: &Client, instance: &InstanceId) -> Result<InstanceState, ApiError> {
    let response = client.stop_instances().instance_ids(instance.as_str()).send().await.map_err(api_error)?;
    state_after(instance, response.stopping_instances)
}

fn state_after(
    instance: &InstanceId,
    changes: Option<Vec<types::InstanceStateChange>>,
) -> Result<InstanceState, ApiError> {
    let mut changes = changes.unwrap_or_default().into_iter();
    let own = changes.find(|change| change.instance_id.as_deref() == Some(instance.as_str()));
    let state = own.and_then(|change| change.current_state).and_then(|state| state.name);
    convert::variant("an instance's state", convert::required(state, "an instance's state")?.as_str())
}

fn from_described(it: types::Instance) -> Result<Instance, ApiError> {
    let state = convert::required(it.state.and_then(|state| state.name), "an instance's state")?;
    let architecture = convert::required(it.architecture, "an instance's architecture")?;
    let zone = it.placement.and_then(|placement| placement.availability_zone);
    let mappings = it.block_device_mappings.unwrap_or_default().into_iter();
    Ok(Instance {
        instance_id: convert::id::<InstanceId>("an instance's id", it.instance_id)?,
        availability_zone: convert::id::<Zone>("an instance's zone", zone)?,
        state: convert::variant("an instance's state", state.as_str())?,
        architecture: convert::variant("an instance's architecture", architecture.as_str())?,
        instance_type: it.instance_type.map(|it| it.as_str().to_owned()).unwrap_or_default(),
        image_id: convert::optional_id::<ImageId>("an instance's image", it.image_id)?,
        block_device_mappings: mappings.filter_map(|it| mapping(it).transpose()).collect::<Result<_, _>>()?,
        tags: convert::tags(it.tags),
    })
}

/// Converts a mapping; `None` if no volume is behind it.
fn mapping(it: types::InstanceBlockDeviceMapping) -> Result<Option<InstanceBlockDeviceMapping>, ApiError> {
    let Some(ebs) = it.ebs else { return Ok(None) };
    let status = ebs.status.as_ref().map(|status| convert::variant("an attachment's state", status.as_str()));
    Ok(Some(InstanceBlockDeviceMapping {
        device_name: device_name(it.device_name)?,
        volume_id: convert::id::<VolumeId>("a mapping's volume", ebs.volume_id)?,
        status: status.transpose()?.unwrap_or(AttachmentState::Attached),
    }))
}

pub(crate) async fn describe(
    client: &Client,
    page_size: i32,
    request: DescribeInstances,
) -> Result<Vec<Instance>, ApiError> {
    let call = client
        .describe_instances()
        .set_instance_ids(convert::texts(&request.instance_ids))
        .set_filters(convert::filters(request.filters))
        .into_paginator();
    // EC2 takes no MaxResults together with ids.
    let call = if request.instance_ids.is_empty() { call.page_size(page_size) } else { call };
    let reservations = pages(call.items().send(), |it| {
        it.instances.unwrap_or_default().into_iter().map(from_described).collect::<Result<Vec<_>, _>>()
    });
    Ok(reservations.await?.into_iter().flatten().collect())
}

/// Returns the regions that the account may use.
pub(crate) async fn regions(client: &Client) -> Result<Vec<Region>, ApiError> {
    let response = client.describe_regions().send().await.map_err(api_error)?;
    let regions = response.regions.unwrap_or_default().into_iter();
    regions.map(|region| convert::id("a region's name", region.region_name)).collect()
}
