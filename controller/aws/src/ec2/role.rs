//! Credentials of an assumed role: that of `assume_role`, and that of a profile whose role asks for an MFA code. The
//! SDK's own provider sends neither transitive tag keys nor a code.

use std::fmt;

use aws_config::SdkConfig;
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_sdk_sts::{
    Client,
    error::ProvideErrorMetadata as _,
    operation::assume_role::builders::AssumeRoleFluentBuilder,
    types::{PolicyDescriptorType, Tag},
};
use bakehouse_aws::sdk_error::NotIssuedNow;
use bakehouse_ec2::faults::fault_of;
use bakehouse_protocol::{
    FaultKind,
    access::{AssumeRole, Secret},
    spec::CopyRole,
};
use tokio::sync::Mutex;

/// The session's name if the template sets none.
const SESSION: &str = "bakehouse";

/// Returns the settings with the credentials of a role of another account, which is assumed with those that they had.
pub(super) fn with_role(config: &SdkConfig, role: &CopyRole) -> SdkConfig {
    let role = AssumeRole {
        role_arn: role.arn.to_string(),
        session_name: role.session_name.clone(),
        external_id: role.external_id.clone().map(Secret::new),
        ..AssumeRole::default()
    };
    let provider = SharedCredentialsProvider::new(RoleProvider::new(config, role));
    config.to_builder().credentials_provider(provider).build()
}

/// Assumes a role whenever credentials are needed; the SDK keeps them until they expire.
pub(super) struct RoleProvider {
    client: Client,
    role: AssumeRole,
    /// The device and its code, which is taken when the role is assumed: a code is valid once.
    mfa: Option<(String, Mutex<Option<Secret>>)>,
}

impl fmt::Debug for RoleProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleProvider").field("role", &self.role.role_arn).finish_non_exhaustive()
    }
}

impl RoleProvider {
    /// Returns a provider that assumes a role with the credentials of `config`.
    pub(super) fn new(config: &SdkConfig, role: AssumeRole) -> Self {
        Self { client: Client::new(config), role, mfa: None }
    }

    /// Sends this code of this MFA device.
    pub(super) fn with_mfa(self, device: String, code: Secret) -> Self {
        Self { mfa: Some((device, Mutex::new(Some(code)))), ..self }
    }

    async fn request(&self) -> Result<AssumeRoleFluentBuilder, CredentialsError> {
        let AssumeRole {
            role_arn,
            session_name,
            external_id,
            duration_seconds,
            policy,
            policy_arns,
            tags,
            transitive_tag_keys,
        } = &self.role;
        let mut request = self
            .client
            .assume_role()
            .role_arn(role_arn)
            .role_session_name(session_name.as_deref().unwrap_or(SESSION))
            .set_external_id(external_id.as_ref().map(|id| id.reveal().to_owned()))
            .set_duration_seconds(duration_seconds.and_then(|seconds| i32::try_from(seconds).ok()))
            .set_policy(policy.clone());
        for arn in policy_arns {
            request = request.policy_arns(PolicyDescriptorType::builder().arn(arn).build());
        }
        for (key, value) in tags {
            let tag = Tag::builder().key(key).value(value).build();
            request = request.tags(tag.map_err(CredentialsError::invalid_configuration)?);
        }
        for key in transitive_tag_keys {
            request = request.transitive_tag_keys(key);
        }
        if let Some((device, code)) = &self.mfa {
            let Some(code) = code.lock().await.take() else {
                return Err(CredentialsError::not_loaded(
                    "the MFA code was sent already, and each is valid once: give a new `mfa_code`",
                ));
            };
            request = request.serial_number(device).token_code(code.reveal());
        }
        Ok(request)
    }

    async fn assume(&self) -> provider::Result {
        let response = self.request().await?.send().await.map_err(|error| {
            let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
            let fault = fault_of("sts", "AssumeRole", code, message);
            match fault.kind {
                FaultKind::Throttled | FaultKind::Ambiguous => {
                    CredentialsError::provider_error(NotIssuedNow(fault.message))
                }
                _ => CredentialsError::provider_error(error),
            }
        })?;
        let Some(issued) = response.credentials else {
            return Err(CredentialsError::unhandled("STS returned no credentials"));
        };
        let expires = std::time::SystemTime::try_from(*issued.expiration()).map_err(CredentialsError::unhandled)?;
        let token = Some(issued.session_token().to_owned());
        Ok(Credentials::new(issued.access_key_id(), issued.secret_access_key(), token, Some(expires), "assumed role"))
    }
}

impl ProvideCredentials for RoleProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.assume())
    }
}
