//! What the agent says while it works and when it ends.

use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::{
    id::{BuildId, HostId},
    job,
    time::Timestamp,
};

/// One message of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`crate::VERSION`] of the sender.
    pub version: u16,
    /// The build it speaks of.
    pub build: BuildId,
    /// The host that speaks.
    pub host: HostId,
    /// [`crate::Job::attempt`]: a late word on an earlier attempt must not count for this one.
    #[serde(default = "job::first")]
    pub attempt: u32,
    /// When it was said, by the host's clock.
    pub at: Timestamp,
    /// What it says.
    pub body: ReportBody,
}

/// What the agent says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBody {
    /// A phase of the job begins.
    Phase(AgentPhase),
    /// The next provisioner (counted from 0) begins; `of` are to be run.
    Provisioner {
        /// Counted from 0.
        index: u32,
        /// How many there are.
        of: u32,
        /// What it is, for people: "shell (inline)", "file etc/motd -> /etc/motd".
        title: String,
    },
    /// A line of output of a command or a provisioner, without its line end.
    Output {
        /// Where it came from.
        stream: Stream,
        /// The text; bytes that are not UTF-8 are replaced.
        line: String,
    },
    /// Something a person should know but that changes nothing: "XFS: mounting with nouuid".
    Note(String),
    /// The job is alive; renews its lease.
    Heartbeat,
    /// The job has ended. It is said again until it is acknowledged.
    Ended(Outcome),
}

/// Where a line of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The agent's phases, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentPhase {
    /// Waiting for the disk and checking that it is the right one.
    Find,
    /// Host commands, finding the root, growing it, mounting it.
    Mount,
    /// Making the namespaces and furnishing the chroot.
    Enter,
    /// Running the provisioners.
    Provision,
    /// UndoReason what runs, taking out what was put in.
    Leave,
    /// Syncing and unmounting.
    Unmount,
}

impl AgentPhase {
    /// The phase in a person's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Mount => "mount",
            Self::Enter => "enter",
            Self::Provision => "provision",
            Self::Leave => "leave",
            Self::Unmount => "unmount",
        }
    }
}

impl fmt::Display for AgentPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every step ran, and the volume is clean.
    Done(Proof),
    /// A step failed. With a proof the volume is free all the same; without one the host could not let go of it.
    Failed {
        /// Why.
        failure: Failure,
        /// That the volume is free.
        proof: Option<Proof>,
    },
    /// It was told to stop.
    Cancelled {
        /// That the volume is free.
        proof: Option<Proof>,
    },
    /// The host lost it through no fault of the template: its agent was killed, or the host is going down. The build can
    /// be done anew from the start.
    Lost {
        /// One line: how.
        why: String,
        /// That the volume is free.
        proof: Option<Proof>,
    },
}

/// That the volume is synced, mounted nowhere and held by nobody: only then may it be snapshotted or detached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The block device that was checked, as `/dev/nvme1n1`; empty if none was ever found.
    pub device: String,
    /// The root's file system type; empty if nothing was mounted.
    pub filesystem: String,
    /// Processes that were still there when the last step had ended, and were killed.
    pub killed: Vec<String>,
}

/// Why a job failed, for the person who wrote the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where it happened.
    pub phase: AgentPhase,
    /// Which provisioner (counted from 0), if one was running.
    pub provisioner: Option<u32>,
    /// One line naming the operation and the thing.
    pub message: String,
    /// The last lines of the failing step's output, oldest first.
    pub tail: Vec<String>,
    /// What to do about it, where we know.
    pub hint: Option<String>,
}
