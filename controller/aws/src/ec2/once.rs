//! Calls that are not repeated.

/// Returns the settings of a call that must not be repeated without a look: CreateSnapshot and RegisterImage have no
/// client token, and a second try could make a second thing.
pub(crate) fn once() -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::config::Builder::new().retry_config(aws_config::retry::RetryConfig::disabled())
}
