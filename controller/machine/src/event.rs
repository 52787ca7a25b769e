//! Everything that can happen to a build.

use alloc::{boxed::Box, string::String, vec::Vec};
use bakehouse_protocol::{Fault, ImageId, Report, SnapshotId, VolumeId};
use serde::{Deserialize, Serialize};

use crate::{
    Plan, Step,
    resources::{Lease, Resource},
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Time has passed.
    Tick,
    /// The place itself can't go on with this build (its disk is full, say): it fails, for this reason.
    Trouble {
        /// One line naming the operation and the thing.
        message: String,
    },
    /// This build was in the hands of a process that is dead for certain, and the agent with it: all that it left open is
    /// given out again now. Sent after [`Event::Cancel`], when a killed run is cleared away.
    Resume,
    /// Something outside may have changed (EC2's own notification): look now instead of at the next tick.
    Hint,
    /// The user, or an operator, wants it ended.
    Cancel,
    /// A command was performed.
    Result {
        /// Which.
        step: Step,
        /// How it went.
        outcome: Result<Output, Fault>,
    },
    /// The agent said something.
    Agent(Report),
}

/// What performing a command gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// It is done, or was so already.
    Done,
    /// The plan.
    Plan(Box<Plan>),
    /// A lease; `None`: no host has room now.
    Lease(Option<Lease>),
    /// A new volume.
    Volume(VolumeId),
    /// How a volume is.
    VolumeSeen(VolumeFacts),
    /// A new snapshot.
    Snapshot(SnapshotId),
    /// How a snapshot is.
    SnapshotSeen(SnapshotFacts),
    /// A new image.
    Image(ImageId),
    /// How an image is.
    ImageSeen(ImageFacts),
    /// What carries the build's tag.
    Tagged(Vec<Resource>),
}

/// A volume, as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeFacts {
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

/// A snapshot, as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotFacts {
    /// `pending`.
    Pending,
    /// `completed`.
    Completed,
    /// `error`, with EC2's message.
    Error(String),
}

/// An image, as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageFacts {
    /// `pending`.
    Pending,
    /// `available`, with the snapshots behind it.
    Available(Vec<SnapshotId>),
    /// `failed`, `error`, `invalid` or deregistered, with EC2's reason.
    Failed(String),
}
