//! How a call to AWS, or to what stands for it, failed.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Why a call was not performed, or perhaps was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Decides how the machine reacts.
    pub kind: FaultKind,
    /// One line naming the operation, the thing and the service's own message.
    pub message: String,
    /// What to do about it, where we know.
    pub hint: Option<String>,
}

/// The kinds of faults, by how the machine reacts. Any place in which a build can run, AWS or our own, can meet each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Not performed, but only for now: throttling, a quota on concurrent operations. Retried, waiting longer each
    /// time; never a reason to fail.
    Throttled,
    /// Perhaps performed: a time-out, an internal error of the service. A command that creates something or hands
    /// something over stays in flight and is reissued later; any other is retried.
    #[serde(alias = "in_doubt")]
    Ambiguous,
    /// The resource is not in the required state yet. Retried.
    #[serde(alias = "not_yet")]
    NotReady,
    /// There is no such resource, or it can't be seen yet (eventual consistency). Retried if it was created moments
    /// ago; success if it was to be removed; if it is the host, its slot or its queue, the host counts as lost;
    /// otherwise the build fails.
    #[serde(alias = "gone")]
    NotFound,
    /// The name is in use: for a device name that the template does not fix, another is leased; otherwise the build
    /// fails.
    #[serde(alias = "taken")]
    Conflict,
    /// It will never succeed: the build fails. While undoing it is retried until the deadline.
    #[serde(alias = "refused")]
    Permanent,
}

impl Fault {
    /// Creates a fault without a hint.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Returns the same fault with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
