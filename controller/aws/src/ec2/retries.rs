//! Calls that the SDK must not retry.

/// Returns the settings of a call that the SDK must not retry: CreateSnapshot and RegisterImage have no client token,
/// and a retry could create a second resource.
pub(crate) fn without_retries() -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::config::Builder::new().retry_config(aws_config::retry::RetryConfig::disabled())
}
