//! Instances and regions: converts requests and responses between our types and the SDK's.

use aws_sdk_ec2::{Client, types};
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::{ApiError, resource::InstanceState};
use bakehouse_protocol::{InstanceId, Region};

use crate::ec2::convert;

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

/// Returns the regions that the account may use.
pub(crate) async fn regions(client: &Client) -> Result<Vec<Region>, ApiError> {
    let response = client.describe_regions().send().await.map_err(api_error)?;
    let regions = response.regions.unwrap_or_default().into_iter();
    regions.map(|region| convert::id("a region's name", region.region_name)).collect()
}
