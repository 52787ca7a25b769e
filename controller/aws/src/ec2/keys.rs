//! KMS through the SDK.

use aws_sdk_kms::{
    Client,
    types::{KeyManagerType, KeyMetadata, KeySpec, KeyState, KeyUsageType},
};
use bakehouse_aws::sdk_error::{Endpoint, api_error};
use bakehouse_controller::ports::{Key, Keys};
use bakehouse_ec2::{ApiError, faults::fault_of};
use bakehouse_protocol::{Fault, FaultKind, Region, spec::CopyRole};

use super::{parameters::SsmParameters, role::with_role};

impl Keys for SsmParameters {
    async fn key(&self, region: &Region, role: Option<&CopyRole>, key: &str) -> Result<Key, Fault> {
        let config = role.map_or_else(|| self.config.clone(), |role| with_role(&self.config, role));
        let config = aws_sdk_kms::config::Builder::from(&config)
            .region(aws_sdk_kms::config::Region::new(region.to_string()))
            .timeout_config(self.limits.timeouts())
            .retry_config(self.limits.retries());
        let response = Client::from_conf(config.build()).describe_key().key_id(key).send().await.map_err(api_error);
        let error = match response {
            Ok(response) => match response.key_metadata {
                Some(metadata) => return Ok(facts(&metadata)),
                None => ApiError::new(ApiError::NOT_UNDERSTOOD, "KMS returned nothing about the key"),
            },
            Err(error) => error,
        };
        let endpoint = Endpoint { service: "kms", region: region.as_str(), url: self.config.endpoint_url() };
        Err(key_fault(key, &endpoint.add_to(error)))
    }
}

fn key_fault(key: &str, error: &ApiError) -> Fault {
    let operation = format!("DescribeKey {key}");
    if matches!(error.code.as_ref(), "NotFoundException" | "InvalidArnException") {
        return Fault::new(FaultKind::NotFound, format!("{operation}: {}", error.message));
    }
    fault_of("kms", &operation, &error.code, &error.message)
}

fn facts(metadata: &KeyMetadata) -> Key {
    // As EBS needs it: "The key must be a symmetric encryption key".
    let is_symmetric = metadata.key_spec == Some(KeySpec::SymmetricDefault);
    Key {
        enabled: metadata.key_state == Some(KeyState::Enabled),
        encrypts: is_symmetric && metadata.key_usage == Some(KeyUsageType::EncryptDecrypt),
        managed_by_aws: metadata.key_manager == Some(KeyManagerType::Aws),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> aws_sdk_kms::types::builders::KeyMetadataBuilder {
        KeyMetadata::builder()
            .key_id("1")
            .key_state(KeyState::Enabled)
            .key_spec(KeySpec::SymmetricDefault)
            .key_usage(KeyUsageType::EncryptDecrypt)
            .key_manager(KeyManagerType::Customer)
    }

    #[test]
    fn what_a_key_can_do_is_read_from_its_metadata() {
        let read = |key: aws_sdk_kms::types::builders::KeyMetadataBuilder| facts(&key.build().unwrap());
        assert_eq!(read(key()), Key { enabled: true, encrypts: true, managed_by_aws: false });
        assert!(!read(key().key_state(KeyState::PendingDeletion)).enabled);
        assert!(!read(key().key_spec(KeySpec::Rsa2048)).encrypts);
        assert!(!read(key().key_usage(KeyUsageType::SignVerify)).encrypts);
        assert!(read(key().key_manager(KeyManagerType::Aws)).managed_by_aws);
    }

    #[test]
    fn a_key_of_another_region_is_not_found() {
        let fault = key_fault("alias/ours", &ApiError::new("NotFoundException", "Alias alias/ours is not found."));
        assert_eq!(
            (fault.kind, fault.message.as_str()),
            (FaultKind::NotFound, "DescribeKey alias/ours: Alias alias/ours is not found.")
        );
        assert_eq!(key_fault("k", &ApiError::new("KMSInternalException", "")).kind, FaultKind::Ambiguous);
        let refused = ApiError::new("AccessDeniedException", "");
        assert!(key_fault("k", &refused).message.contains("kms:DescribeKey"), "the right is named");
    }
}
