//! Instances and regions: our requests as the SDK's, its answers as ours.

use aws_sdk_ec2::{Client, types};
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::{ApiError, resource::InstanceState};
use bakehouse_protocol::{InstanceId, Region};

use crate::ec2::convert;

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

/// Returns the regions that the account may use.
pub(crate) async fn regions(client: &Client) -> Result<Vec<Region>, ApiError> {
    let answer = client.describe_regions().send().await.map_err(api_error)?;
    let regions = answer.regions.unwrap_or_default().into_iter();
    regions.map(|region| convert::id("a region's name", region.region_name)).collect()
}
