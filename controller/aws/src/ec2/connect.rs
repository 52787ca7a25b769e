//! Connects to AWS: credentials, region, endpoints.
//!
//! | | In this order |
//! |---|---|
//! | Credentials | the template's keys; the template's profile; the environment; the profile (AWS_PROFILE, `default`) of the shared files; web identity; the container's role; the instance's role (IMDSv2) |
//! | on top | the template's `assume_role` |
//! | Region | what the caller gives (the template's, `--region`); AWS_REGION, AWS_DEFAULT_REGION; the profile's; the instance's |
//! | EC2's endpoint | the template's `custom_endpoint_ec2`; AWS_ENDPOINT_URL_EC2; AWS_ENDPOINT_URL; the profile's; AWS's own |
//!
//! The order in each row, but for the template's own part, is that of the SDK's default chains.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::{
    Credentials,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_http_client::{
    Builder as HttpBuilder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use bakehouse_aws::{Limits, sdk_error::NoCredentials};
use bakehouse_protocol::{Region, access::Access};

use super::{SdkEc2, SsmParameters, mfa, role::RoleProvider, unverified_http};

/// The configuration of all clients.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Credentials, region, endpoints and limits, for any service's client.
    pub config: SdkConfig,
    /// The region that was found.
    pub region: Region,
    limits: Limits,
    endpoint_ec2: Option<String>,
    /// Whether STS is asked to decode the texts of refused calls.
    decode_refusals: bool,
}

/// Why there is no connection. Missing credentials are found only by the first call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No region is configured.
    #[error(
        "there is no region: neither the template, nor `--region`, nor AWS_REGION, nor the profile {profile} names one, \
         and this is no EC2 instance that has one"
    )]
    NoRegion {
        /// The profile that was read.
        profile: String,
    },
    /// The template has an MFA code, and the profile no role that asks for one.
    #[error("`mfa_code` is set, but the profile {profile} has no role with an `mfa_serial` and a `source_profile`")]
    NoMfaRole {
        /// The profile that was read.
        profile: String,
    },
    /// The TLS library can't be set up.
    #[error("setting up TLS: {0}")]
    Tls(String),
    /// The profiles can't be read.
    #[error("{0}")]
    Profiles(String),
    /// It is not a region's name.
    #[error("\"{0}\" is not a region")]
    NotARegion(String),
}

/// Connects with a template's access options, the environment, the shared files and the instance's metadata.
///
/// # Errors
/// [`ConnectError`]. No call is made to AWS, but the metadata service may be asked for the region.
pub async fn connect(access: &Access, region: Option<&Region>, limits: Limits) -> Result<Connection, ConnectError> {
    // All clients share one HTTP client: its connections are reused, and the system's certificates are read once.
    let http = if access.insecure_skip_tls_verify {
        unverified_http::client().map_err(|error| ConnectError::Tls(error.to_string()))?
    } else {
        HttpBuilder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
    };
    let limits = Limits { attempts: access.max_retries.map_or(limits.attempts, |retries| retries + 1), ..limits };
    let files = profile_files(access);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(limits.timeouts())
        .retry_config(limits.retries())
        .profile_files(files.clone());
    if let Some(region) = region {
        loader = loader.region(aws_config::Region::new(region.to_string()));
    }
    if let Some(profile) = &access.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(keys) = &access.keys {
        let token = keys.token.as_ref().map(|token| token.reveal().to_owned());
        let secret = keys.secret_key.reveal();
        loader = loader.credentials_provider(Credentials::new(&keys.access_key, secret, token, None, "template"));
    }
    let mut config = loader.load().await;
    if let (None, Some(profile)) = (&access.keys, &access.profile) {
        // A profile in the template takes precedence over the environment, which the default chain would use first.
        let provider = mfa::profile_credentials(config.region(), &files, profile);
        config = config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build();
    }
    let region = match config.region() {
        Some(region) => Region::new(region.as_ref()).map_err(|_| ConnectError::NotARegion(region.to_string()))?,
        None => return Err(ConnectError::NoRegion { profile: profile_name(access) }),
    };
    let named = |inner: SharedCredentialsProvider| {
        SharedCredentialsProvider::new(NamedSources { inner, looked_in: credential_sources(access).into() })
    };
    let config = match config.credentials_provider() {
        Some(inner) => config.into_builder().credentials_provider(named(inner)).build(),
        None => config,
    };
    let config = match &access.mfa_code {
        Some(code) => {
            let role =
                mfa::profile_role(&config, &files, access.profile.as_deref()).await.map_err(ConnectError::Profiles)?;
            let role = role.ok_or_else(|| ConnectError::NoMfaRole { profile: profile_name(access) })?;
            let source = named(SharedCredentialsProvider::new(role.source));
            let source = config.to_builder().credentials_provider(source).build();
            let provider = RoleProvider::new(&source, role.role).with_mfa(role.device, code.clone());
            config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
        }
        None => config,
    };
    let config = match &access.assume_role {
        Some(role) => {
            let provider = RoleProvider::new(&config, role.clone());
            config.into_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
        }
        None => config,
    };
    let decode_refusals = access.decode_authorization_messages;
    Ok(Connection { config, region, limits, endpoint_ec2: access.custom_endpoint_ec2.clone(), decode_refusals })
}

impl Connection {
    /// Returns EC2.
    pub fn ec2(&self) -> SdkEc2 {
        SdkEc2::new(self.config.clone(), self.region.clone(), self.limits)
            .at(self.endpoint_ec2.clone())
            .decoding_refusals(self.decode_refusals)
    }

    /// Returns Parameter Store.
    pub fn parameters(&self) -> SsmParameters {
        SsmParameters::new(self.config.clone(), self.limits)
    }
}

fn profile_files(access: &Access) -> EnvConfigFiles {
    match &access.shared_credentials_file {
        None => EnvConfigFiles::default(),
        Some(path) => EnvConfigFiles::builder()
            .include_default_config_file(true)
            .with_file(EnvConfigFileKind::Credentials, path)
            .build(),
    }
}

fn profile_name(access: &Access) -> String {
    access.profile.as_ref().map_or_else(|| "of AWS_PROFILE (or `default`)".to_owned(), |name| format!("`{name}`"))
}

/// Returns the sources of credentials, for the error if there are none.
fn credential_sources(access: &Access) -> String {
    let file = access.shared_credentials_file.as_deref().unwrap_or("~/.aws/credentials");
    let profile = format!("the profile {} (~/.aws/config, {file})", profile_name(access));
    if access.keys.is_some() {
        return "the template's keys".to_owned();
    }
    if access.profile.is_some() {
        return profile;
    }
    format!(
        "the environment (AWS_ACCESS_KEY_ID), {profile}, web identity (AWS_WEB_IDENTITY_TOKEN_FILE), the container's \
         role (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI) and the instance's role (metadata service)"
    )
}

/// A credentials provider whose error names its sources, as the SDK's error does not.
#[derive(Debug)]
struct NamedSources {
    inner: SharedCredentialsProvider,
    looked_in: Arc<str>,
}

impl NamedSources {
    async fn provide(&self) -> provider::Result {
        self.inner.provide_credentials().await.map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) => {
                CredentialsError::not_loaded(NoCredentials { looked_in: self.looked_in.to_string() })
            }
            other => other,
        })
    }
}

impl ProvideCredentials for NamedSources {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}
