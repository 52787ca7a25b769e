//! Everything that can happen to a build, and what performing a command returns.

use alloc::{boxed::Box, string::String, vec::Vec};
use bakehouse_protocol::{Fault, ImageId, Report, SnapshotId, VolumeId};

use crate::{
    CommandKey, Plan,
    resources::{Lease, OldImage, Resource},
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Time has passed. Sent when [`crate::Decision::Advance`] asks for it.
    Tick,
    /// The process that drives this build can't go on with it (the disk that holds its records is full, say). The build
    /// fails for this reason.
    RunnerFailed {
        /// One line naming the operation and the thing.
        message: String,
    },
    /// The process that drove this build is known to be dead, and the agent with it: what it left in flight is issued
    /// again at once. Sent after [`Event::Cancel`], when another process undoes the build of a killed one.
    Resume,
    /// Something that the build waits for may have changed (EC2 sent an event about one of its resources, or a host has
    /// room again): describe commands and the lease are retried now instead of at the next tick.
    CheckNow,
    /// The user or an operator cancels the build.
    Cancel,
    /// What a build that has ended badly has left is removed after all.
    RemoveLeftovers,
    /// A command was performed.
    Result {
        /// Which command.
        key: CommandKey,
        /// Its output, or why it could not be performed.
        outcome: Result<Output, Fault>,
    },
    /// The agent sent a report.
    Agent(Report),
}

/// What performing a command returns. Each [`crate::Command`] names its variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The command was performed, or there was nothing left to do.
    Done,
    /// The plan.
    Plan(Box<Plan>),
    /// A lease; `None`: no host has room now.
    Lease(Option<Lease>),
    /// The id of the new volume.
    VolumeCreated(VolumeId),
    /// The status of a volume.
    VolumeDescribed(VolumeStatus),
    /// The id of the new snapshot.
    SnapshotCreated(SnapshotId),
    /// The status of a snapshot.
    SnapshotDescribed(SnapshotStatus),
    /// The id of the new image.
    ImageCreated(ImageId),
    /// The status of an image.
    ImageDescribed(ImageStatus),
    /// The new id of an image that was registered again; `None`: it was never deregistered.
    Restored(Option<ImageId>),
    /// Older images of the recipe that nothing uses.
    OldImages(Vec<OldImage>),
    /// Everything in a region that carries the build's tag.
    Tagged(Vec<Resource>),
}

/// The status of a volume as EC2 describes it: its state, and while that is `in-use` the state of its attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeStatus {
    /// `creating`.
    Creating,
    /// `available`: attached to nothing.
    Available,
    /// `in-use`, attachment `attaching`.
    Attaching,
    /// `in-use`, attachment `attached`.
    Attached,
    /// `in-use`, attachment `detaching`.
    Detaching,
    /// `in-use`, attachment `busy`: still mounted on the host.
    Busy,
    /// `deleting` or `deleted`.
    Deleted,
    /// `error`.
    Error,
}

/// The status of a snapshot as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// `pending`.
    Pending,
    /// `completed`.
    Completed,
    /// `error`, with EC2's message.
    Error(String),
}

/// The status of an image as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageStatus {
    /// `pending`.
    Pending,
    /// `available`, with the snapshots that its block device mappings name.
    Available(Vec<SnapshotId>),
    /// `failed`, `error`, `invalid` or deregistered, with EC2's reason.
    Failed(String),
}
