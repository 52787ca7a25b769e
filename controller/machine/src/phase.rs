//! The phases of a build, and why it ended as it did.

use alloc::string::String;
use bakehouse_protocol::Failure;
use serde::{Deserialize, Serialize};

/// The phase of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The record is created; no command has been issued yet.
    Accepted,
    /// The source image is looked up, and everything that would otherwise fail only at the end is checked.
    Resolving,
    /// The build waits for a lease: a slot of a host and a device name.
    Queued,
    /// The work volume is created.
    Creating,
    /// The volume is attached, and the job is sent to the agent.
    Attaching,
    /// The agent runs the job.
    Provisioning,
    /// The volume is snapshotted and meanwhile detached.
    Snapshotting,
    /// The image is registered.
    Registering,
    /// The image is copied to the other regions.
    Copying,
    /// The images are brought under their own names, published and protected; the volume is deleted and the lease
    /// released.
    Finishing,
    /// Older images are removed. The new ones stand: nothing is undone any more.
    Retiring,
    /// Everything that the build created is removed; what follows is in the reason.
    Undoing(UndoReason),
    /// Every requested image exists.
    Succeeded,
    /// The build ended without an image.
    Failed(FailureReason),
    /// The build was cancelled.
    Cancelled,
}

/// Why a build is undone, and so what follows when that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoReason {
    /// It failed: it ends as [`Phase::Failed`].
    Failed(FailureReason),
    /// It was cancelled: it ends as [`Phase::Cancelled`].
    Cancelled,
    /// Its host was lost: it starts again at [`Phase::Queued`], as the next attempt.
    #[serde(alias = "again")]
    Restart {
        /// How the host was lost, in one line.
        #[serde(alias = "why")]
        message: String,
    },
}

/// Why a build failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureReason {
    /// The phase in which it failed.
    pub phase: PhaseName,
    /// One line naming the operation and the thing.
    pub message: String,
    /// What to do about it, where we know.
    pub hint: Option<String>,
    /// What the agent reported, if its job failed.
    pub failure: Option<Failure>,
}

macro_rules! phase_names {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A phase without its data.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum PhaseName { $($name,)* }

        impl PhaseName {
            /// Returns the phase in one word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl Phase {
            /// Returns the phase without its data.
            pub fn name(&self) -> PhaseName {
                match self { $(Self::$name { .. } => PhaseName::$name,)* }
            }
        }
    };
}

phase_names! {
    Accepted = "accepted", Resolving = "resolving", Queued = "queued", Creating = "creating", Attaching = "attaching",
    Provisioning = "provisioning", Snapshotting = "snapshotting", Registering = "registering", Copying = "copying",
    Finishing = "finishing", Retiring = "retiring", Undoing = "undoing", Succeeded = "succeeded", Failed = "failed", Cancelled = "cancelled",
}

impl core::fmt::Display for PhaseName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.as_str())
    }
}

impl Phase {
    /// Whether the build has ended: no command follows any more.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed(_) | Self::Cancelled)
    }
}
