//! How a call fails.

use std::borrow::Cow;

/// What EC2 answers when it does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// EC2's error code, as `InvalidVolume.NotFound`; or [`ApiError::LOCAL_DISK`].
    pub code: Cow<'static, str>,
    /// EC2's text for people.
    pub message: String,
}

impl ApiError {
    /// The one code that EC2 does not have: a file or a loop device of the embedded cloud failed (a full disk, say).
    /// The message names the operation and the path. Trying again does not help by itself.
    pub const LOCAL_DISK: &'static str = "LocalDiskError";

    /// An error of this code and text.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}
