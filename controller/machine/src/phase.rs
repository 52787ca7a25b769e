//! Where a build is, and why it ended as it did.

use alloc::string::String;
use bakehouse_protocol::Failure;
use serde::{Deserialize, Serialize};

/// Where a build is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Taken down, nothing asked yet.
    Accepted,
    /// Looking up the source and everything that would only fail at the end.
    Resolving,
    /// Waiting for a host's slot and a device name.
    Queued,
    /// The work volume is being made.
    Creating,
    /// It is being attached; the agent has its job.
    Attaching,
    /// The agent works.
    Provisioning,
    /// The snapshot is being taken; the volume is detached beside it.
    Snapshotting,
    /// The image is being registered.
    Registering,
    /// Its copies are being made.
    Copying,
    /// Attributes and tags; volume and lease are let go.
    Finishing,
    /// Everything made is being removed; then the build ends as said.
    Undoing(UndoReason),
    /// Done: every image asked for exists.
    Succeeded,
    /// Ended without an image.
    Failed(Reason),
    /// Ended because it was asked to.
    Cancelled,
}

/// How a build that is being undone will end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoReason {
    /// As failed.
    Failed(Reason),
    /// As cancelled.
    Cancelled,
    /// Not at all: it is begun anew, because its host was lost.
    Again {
        /// One line: how.
        why: String,
    },
}

/// Why a build failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// In which phase.
    pub phase: PhaseName,
    /// One line naming the operation and the thing.
    pub message: String,
    /// What to do about it, where we know.
    pub hint: Option<String>,
    /// What the agent said, if the failure was the agent's.
    pub failure: Option<Failure>,
}

macro_rules! phase_names {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A phase without what belongs to it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum PhaseName { $($name,)* }

        impl PhaseName {
            /// The phase in one word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl Phase {
            /// The phase without what belongs to it.
            pub fn name(&self) -> PhaseName {
                match self { $(Self::$name { .. } => PhaseName::$name,)* }
            }
        }
    };
}

phase_names! {
    Accepted = "accepted", Resolving = "resolving", Queued = "queued", Creating = "creating", Attaching = "attaching",
    Provisioning = "provisioning", Snapshotting = "snapshotting", Registering = "registering", Copying = "copying",
    Finishing = "finishing", Undoing = "undoing", Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled",
}

impl core::fmt::Display for PhaseName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

impl Phase {
    /// Whether nothing more will happen.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed(_) | Self::Cancelled)
    }
}
