//! Instances and regions: our requests as the SDK's, its answers as ours.

use aws_sdk_ec2::{Client, types};
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::{
    ApiError,
    request::DescribeInstances,
    resource::{Instance, InstanceBlockDeviceMapping, InstanceState},
};
use bakehouse_protocol::{InstanceId, Region, VolumeId, Zone};

use crate::ec2::{convert, pages::pages, volumes::device_name};

fn from_described(it: types::Instance) -> Result<Instance, ApiError> {
    let state = it.state.and_then(|state| state.name);
    let architecture = convert::need(it.architecture, "an instance's architecture")?;
    let mappings = it.block_device_mappings.unwrap_or_default();
    Ok(Instance {
        instance_id: convert::id::<InstanceId>("an instance's id", it.instance_id)?,
        availability_zone: convert::id::<Zone>(
            "an instance's zone",
            it.placement.and_then(|placement| placement.availability_zone),
        )?,
        state: convert::word("an instance's state", convert::need(state, "an instance's state")?.as_str())?,
        architecture: convert::word("an instance's architecture", architecture.as_str())?,
        instance_type: convert::need(it.instance_type, "an instance's type")?.as_str().to_owned(),
        block_device_mappings: mappings.into_iter().filter_map(mapping).collect::<Result<_, _>>()?,
        tags: convert::tags(it.tags),
    })
}

/// A name that is taken. One of a form that we never ask for can't be in our way, and is left out.
fn mapping(it: types::InstanceBlockDeviceMapping) -> Option<Result<InstanceBlockDeviceMapping, ApiError>> {
    let device_name = device_name(it.device_name).ok()?;
    let ebs = it.ebs?;
    let read = || {
        Ok(InstanceBlockDeviceMapping {
            device_name,
            volume_id: convert::id::<VolumeId>("a mapping's volume", ebs.volume_id)?,
            status: convert::word("a mapping's status", convert::need(ebs.status, "a mapping's status")?.as_str())?,
        })
    };
    Some(read())
}

pub(crate) async fn describe(
    client: &Client,
    page: i32,
    request: DescribeInstances,
) -> Result<Vec<Instance>, ApiError> {
    let call = client
        .describe_instances()
        .set_instance_ids(convert::texts(&request.instance_ids))
        .set_filters(convert::filters(request.filters))
        .into_paginator();
    // EC2 takes no MaxResults together with ids.
    let call = if request.instance_ids.is_empty() { call.page_size(page) } else { call };
    let reservations = pages(call.items().send(), |it| {
        it.instances.unwrap_or_default().into_iter().map(from_described).collect::<Result<Vec<_>, _>>()
    });
    Ok(reservations.await?.into_iter().flatten().collect())
}

pub(crate) async fn start(client: &Client, instance: &InstanceId) -> Result<InstanceState, ApiError> {
    let answer = client.start_instances().instance_ids(instance.as_str()).send().await.map_err(api_error)?;
    changed(instance, answer.starting_instances)
}

pub(crate) async fn stop(client: &Client, instance: &InstanceId) -> Result<InstanceState, ApiError> {
    let answer = client.stop_instances().instance_ids(instance.as_str()).send().await.map_err(api_error)?;
    changed(instance, answer.stopping_instances)
}

fn changed(instance: &InstanceId, changes: Option<Vec<types::InstanceStateChange>>) -> Result<InstanceState, ApiError> {
    let mut changes = changes.unwrap_or_default().into_iter();
    let own = changes.find(|change| change.instance_id.as_deref() == Some(instance.as_str()));
    let state = own.and_then(|change| change.current_state).and_then(|state| state.name);
    convert::word("an instance's state", convert::need(state, "an instance's state")?.as_str())
}

/// The regions that the account may use.
pub(crate) async fn regions(client: &Client) -> Result<Vec<Region>, ApiError> {
    let answer = client.describe_regions().send().await.map_err(api_error)?;
    let regions = answer.regions.unwrap_or_default().into_iter();
    regions.map(|region| convert::id("a region's name", region.region_name)).collect()
}

#[cfg(test)]
mod tests {
    use bakehouse_ec2::resource::AttachmentState;

    use super::*;

    #[test]
    fn an_instance_is_read_with_the_names_that_are_taken() {
        let mapped = |name: &str| {
            let ebs = types::EbsInstanceBlockDevice::builder()
                .volume_id("vol-01234567")
                .status(types::AttachmentStatus::Attached);
            types::InstanceBlockDeviceMapping::builder().device_name(name).ebs(ebs.build()).build()
        };
        let described = types::Instance::builder()
            .instance_id("i-0123456789abcdef0")
            .placement(types::Placement::builder().availability_zone("us-east-1a").build())
            .state(types::InstanceState::builder().name(types::InstanceStateName::Running).build())
            .architecture(types::ArchitectureValues::X8664)
            .instance_type(types::InstanceType::from("m9z.enormous"))
            .block_device_mappings(mapped("/dev/sda1"))
            .block_device_mappings(mapped("/dev/nvme0n1"));
        let instance = from_described(described.clone().build()).unwrap();
        assert_eq!((instance.state, instance.instance_type.as_str()), (InstanceState::Running, "m9z.enormous"));
        let taken: Vec<_> =
            instance.block_device_mappings.iter().map(|it| (it.device_name.as_str(), it.status)).collect();
        assert_eq!(taken, [("/dev/sda1", AttachmentState::Attached)]);
        let asleep = types::InstanceState::builder().name("asleep".into()).build();
        let error = from_described(described.state(asleep).build()).unwrap_err();
        assert!(error.message.contains("\"asleep\""), "{error}");
    }
}
