//! Tags on existing resources.

use aws_sdk_ec2::Client;
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::{ApiError, request::CreateTags};

use crate::ec2::convert;

pub(crate) async fn create(client: &Client, request: CreateTags) -> Result<(), ApiError> {
    client
        .create_tags()
        .set_resources(Some(request.resources))
        .set_tags(Some(convert::to_tags(&request.tags)))
        .send()
        .await
        .map(drop)
        .map_err(api_error)
}
