//! Profiles of the shared files; `mfa_code`: a profile that assumes a role which asks for a code of an MFA device.

use aws_config::{
    Region, SdkConfig,
    profile::{self, ProfileFileCredentialsProvider},
    provider_config::ProviderConfig,
};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use bakehouse_protocol::access::{AssumeRole, Secret};

/// The role of a profile, and what is needed to assume it.
#[derive(Debug)]
pub(super) struct ProfileRole {
    pub(super) role: AssumeRole,
    /// `mfa_serial`.
    pub(super) device: String,
    /// Credentials of `source_profile`.
    pub(super) source: ProfileFileCredentialsProvider,
}

/// Returns the credentials of a profile. The region is that of STS, if the profile assumes a role.
pub(super) fn profile_credentials(
    region: Option<&Region>,
    files: &EnvConfigFiles,
    name: &str,
) -> ProfileFileCredentialsProvider {
    ProfileFileCredentialsProvider::builder()
        .configure(&ProviderConfig::default().with_region(region.cloned()))
        .profile_files(files.clone())
        .profile_name(name)
        .build()
}

/// Returns the role of a profile. `None`: the profile has no role, or the role asks for no code.
///
/// # Errors
/// Why the files could not be read, in one line.
pub(super) async fn profile_role(
    config: &SdkConfig,
    files: &EnvConfigFiles,
    name: Option<&str>,
) -> Result<Option<ProfileRole>, String> {
    let name = name.map(|name| name.to_owned().into());
    let profiles = profile::load(&Fs::real(), &Env::real(), files, name)
        .await
        .map_err(|error| format!("reading the profiles: {error}"))?;
    let value = |key: &str| profiles.get(key).map(str::to_owned);
    let (Some(role_arn), Some(device), Some(source)) =
        (value("role_arn"), value("mfa_serial"), value("source_profile"))
    else {
        return Ok(None);
    };
    let role = AssumeRole {
        role_arn,
        session_name: value("role_session_name"),
        external_id: value("external_id").map(Secret::new),
        duration_seconds: value("duration_seconds").and_then(|seconds| seconds.parse().ok()),
        ..AssumeRole::default()
    };
    let source = profile_credentials(config.region(), files, &source);
    Ok(Some(ProfileRole { role, device, source }))
}
