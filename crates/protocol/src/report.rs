//! What the agent reports while it runs a job and when the job has ended.

use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::{
    id::{BuildId, HostId},
    interaction::Waiting,
    job,
    time::Timestamp,
};

/// One report of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`crate::VERSION`] of the sender.
    pub version: u16,
    /// The build it is about.
    pub build: BuildId,
    /// The host that sent it.
    pub host: HostId,
    /// [`crate::Job::attempt`]: a delayed report on an earlier attempt must not count for this one.
    #[serde(default = "job::first_attempt")]
    pub attempt: u32,
    /// When it was made, by the host's clock.
    pub at: Timestamp,
    /// What is reported.
    pub body: ReportBody,
}

/// What is reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBody {
    /// A phase of the job begins.
    Phase(AgentPhase),
    /// A provisioner begins.
    Provisioner {
        /// Counted from 0.
        index: u32,
        /// How many there are.
        of: u32,
        /// A description of it: "shell (inline)", "file etc/motd -> /etc/motd".
        title: String,
    },
    /// A line of output of a command or a provisioner, without its line end.
    Output {
        /// Which stream it was written to.
        stream: Stream,
        /// The text; bytes that are not UTF-8 are replaced.
        line: String,
    },
    /// A remark for people that changes nothing: "XFS: mounting with nouuid".
    Note(String),
    /// The job waits until it is told how to go on ([`crate::Answer`]).
    Waiting(Waiting),
    /// The job is alive; renews its lease.
    Heartbeat,
    /// The job has ended. It is reported again until it is acknowledged.
    Ended(Outcome),
}

/// The stream that a line of output was written to.
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
    /// Creating the namespaces and setting up the chroot.
    Enter,
    /// Running the provisioners.
    Provision,
    /// Ending the processes and undoing what setting up the chroot did.
    Leave,
    /// Syncing and unmounting.
    Unmount,
}

impl AgentPhase {
    /// The phase's name.
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
    /// A step failed. With a proof the volume is free all the same; without one the host could not release it.
    Failed {
        /// Why.
        failure: Failure,
        /// Proof that the volume is free.
        proof: Option<Proof>,
    },
    /// It was told to stop.
    Cancelled {
        /// Proof that the volume is free.
        proof: Option<Proof>,
    },
    /// The host lost it through no fault of the template: its agent was killed, or the host is shutting down. The build
    /// can start again from the beginning.
    Lost {
        /// How it was lost, in one line.
        why: String,
        /// Proof that the volume is free.
        proof: Option<Proof>,
    },
}

/// Proof that the volume is synced, mounted nowhere and in use by nothing: only then may it be snapshotted or detached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The block device that was checked, such as `/dev/nvme1n1`; empty if none was ever found.
    pub device: String,
    /// The root's file system type; empty if nothing was mounted.
    pub filesystem: String,
    /// The processes that still ran after the last step, and were killed.
    pub killed: Vec<String>,
}

/// Why a job failed, for the person who wrote the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where it happened.
    pub phase: AgentPhase,
    /// Which provisioner (counted from 0), if one was running.
    pub provisioner: Option<u32>,
    /// The operation and what it was applied to, in one line.
    pub message: String,
    /// The last lines of the failing step's output, oldest first.
    pub tail: Vec<String>,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}
