//! How a call to AWS, or to what stands for it, failed.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Why a call was not performed, or perhaps was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What follows from it.
    pub kind: FaultKind,
    /// One line naming the operation, the thing and the service's own words.
    pub message: String,
    /// What to do about it, where we know.
    pub hint: Option<String>,
}

/// What follows from a fault. Each can come from AWS and from the embedded cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Not performed, and only for now: throttles, limits on what may run at once. Never a failure.
    Throttled,
    /// Perhaps performed: a time-out, a fault of the service. Look before doing it again.
    #[serde(alias = "in_doubt")]
    Ambiguous,
    /// The thing is not in the state for it yet.
    #[serde(alias = "not_yet")]
    NotReady,
    /// There is no such thing, or (eventual consistency) it can't be seen yet.
    #[serde(alias = "gone")]
    NotFound,
    /// The name is held by somebody else.
    #[serde(alias = "taken")]
    Conflict,
    /// It will never be done.
    #[serde(alias = "refused")]
    Permanent,
}

impl Fault {
    /// A fault without a hint.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The same fault with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
