//! Which EC2 instance this is, by its metadata service (IMDSv2).

use std::time::Duration;

use aws_config::imds::client::Client;
use bakehouse_protocol::{InstanceId, Region, Zone, spec::Architecture};
use serde::Deserialize;

/// The instance that this program runs on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Its id.
    pub instance_id: InstanceId,
    /// Its region.
    pub region: Region,
    /// Its Availability Zone.
    #[serde(rename = "availabilityZone")]
    pub zone: Zone,
    /// Its processor architecture.
    pub architecture: Architecture,
}

/// Why the instance's identity is not known.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// No metadata service answered.
    #[error("this does not look like an EC2 instance: its metadata service does not answer ({0})")]
    NoInstance(String),
    /// It answered something else than an instance identity document.
    #[error("the metadata service answered with an identity document that can't be read")]
    Unreadable(#[source] serde_json::Error),
}

impl InstanceError {
    /// What to do about it.
    pub const HINT: &str = "use `--local`, or run this on an EC2 instance, with its metadata service (IMDSv2) on";
}

/// A client of the metadata service. It answers from within the host, so it gets little time: off EC2, nobody should
/// wait for it. AWS_EC2_METADATA_SERVICE_ENDPOINT and the profile's `ec2_metadata_service_endpoint` are used.
pub fn metadata() -> Client {
    Client::builder()
        .max_attempts(3)
        .connect_timeout(Duration::from_secs(1))
        .read_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(3))
        .operation_timeout(Duration::from_secs(6))
        .build()
}

/// Returns the identity of the instance that this program runs on.
///
/// # Errors
/// [`InstanceError`], with [`InstanceError::HINT`].
pub async fn identity(metadata: &Client) -> Result<Instance, InstanceError> {
    let document = metadata
        .get("/latest/dynamic/instance-identity/document")
        .await
        .map_err(|error| InstanceError::NoInstance(bakehouse_protocol::chain(&error)))?;
    read(document.as_ref())
}

fn read(document: &str) -> Result<Instance, InstanceError> {
    serde_json::from_str(document).map_err(InstanceError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_document_is_read() {
        let instance = read(
            r#"{"accountId": "111122223333", "architecture": "arm64", "availabilityZone": "eu-west-1b",
                "billingProducts": null, "imageId": "ami-0123456789abcdef0", "instanceId": "i-0123456789abcdef0",
                "instanceType": "m7g.large", "pendingTime": "2026-01-01T00:00:00Z", "region": "eu-west-1",
                "version": "2017-09-30"}"#,
        )
        .unwrap();
        assert_eq!(instance.instance_id.as_str(), "i-0123456789abcdef0");
        assert_eq!((instance.zone.as_str(), instance.architecture), ("eu-west-1b", Architecture::Arm64));
        assert!(read("<html>").is_err());
    }
}
