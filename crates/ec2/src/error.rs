//! How a call fails.

use alloc::{borrow::Cow, string::String};

/// EC2's response to a failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// EC2's error code, as `InvalidVolume.NotFound`; or one of ours, for what EC2 has no code for.
    pub code: Cow<'static, str>,
    /// EC2's text for people.
    pub message: String,
}

impl ApiError {
    /// A file or a loop device of the embedded cloud failed (a full disk, say). The message names the operation and the
    /// path. Trying again does not help by itself.
    pub const LOCAL_DISK: &'static str = "LocalDiskError";
    /// No connection could be made, so nothing was sent.
    pub const NOT_SENT: &'static str = "NotSent";
    /// It was sent, perhaps, and no answer came: a time-out, a connection that broke.
    pub const NO_ANSWER: &'static str = "NoAnswer";
    /// An answer came that could not be read: a cut body, a status without EC2's error in it, a state that is not known
    /// here.
    pub const NOT_UNDERSTOOD: &'static str = "AnswerNotUnderstood";
    /// The endpoint's name is known to no name server: a region that does not exist, or one that AWS has not opened.
    pub const NO_ENDPOINT: &'static str = "NoSuchEndpoint";
    /// The endpoint's certificate is not trusted.
    pub const NOT_TRUSTED: &'static str = "EndpointNotTrusted";
    /// There are no credentials to sign with, or they could not be fetched.
    pub const NO_CREDENTIALS: &'static str = "NoCredentials";
    /// The request could not be made: a parameter that the SDK refuses.
    pub const NOT_MADE: &'static str = "RequestNotMade";

    /// An error of this code and text.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}
