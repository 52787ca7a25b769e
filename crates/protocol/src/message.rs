//! What travels through the queues: everything that we ourselves put into the inbox ([`InboxMessage`]) and into a host's
//! queue ([`HostMessage`]). EC2's, SNS's and EventBridge's own notifications reach the inbox, too; they are told apart by
//! the `bakehouse` member, which only ours have.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    bundle_ref::BundleRef,
    id::{BuildId, HostId, InstanceId, Region, Zone},
    job::Job,
    report::Report,
    spec::Architecture,
    time::Timestamp,
    version::VERSION,
};

/// A message with its version, which is looked at before anything else: `{"bakehouse": 1, "kind": ..., ...}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<M> {
    /// [`crate::VERSION`] of the sender.
    #[serde(rename = "bakehouse")]
    pub version: u16,
    /// The message.
    #[serde(flatten)]
    pub message: M,
}

impl<M> Envelope<M> {
    /// A message of this version.
    pub fn new(message: M) -> Self {
        Self { version: VERSION, message }
    }
}

/// A message to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InboxMessage {
    /// Build this.
    Request(Request),
    /// The agent's word on a build.
    Report {
        /// What it says.
        report: Report,
    },
    /// The agent's word on its host.
    Host {
        /// What it says.
        host: HostReport,
    },
    /// Look at a build.
    Tick {
        /// Which.
        build: BuildId,
    },
    /// End a build.
    Cancel {
        /// Which.
        build: BuildId,
    },
    /// Look at everything that may have been forgotten: builds whose tick was lost, hosts that have fallen silent,
    /// hosts that idle. Sent by a rule of the stack every minute.
    Patrol,
    /// Base images may have a new release: look at every recipe that follows one.
    Release,
    /// Give a host no new builds; what runs on it ends there.
    Drain {
        /// Which.
        host: HostId,
        /// False: give it builds again.
        draining: bool,
    },
}

/// A build that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its id, if the sender wants to know it at once. Without one it follows from the message, so that a message that
    /// comes twice is one build.
    #[serde(default)]
    pub build: Option<BuildId>,
    /// What to build.
    #[serde(flatten)]
    pub what: What,
    /// Template variables; they win over those of the bundle.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// For when a schedule has asked for it (RFC 3339). Schedules are delivered at least once, each time as a message of
    /// its own: two requests for one thing and the same time are one build. What is no time says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<String>,
}

/// What to build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// This bundle.
    Bundle(BundleRef),
    /// The recipe kept under this name.
    Recipe(String),
}

/// How a host is. Sent when the agent starts, then as a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// Its name: the instance's id.
    pub host: HostId,
    /// The instance.
    pub instance: InstanceId,
    /// Its region.
    pub region: Region,
    /// Its zone.
    pub zone: Zone,
    /// What it runs.
    pub architecture: Architecture,
    /// `uname -r`.
    pub kernel: String,
    /// The agent's version.
    pub agent: String,
    /// How many builds it takes at once.
    pub slots: u32,
    /// How many volumes the instance can have attached, if the agent knows.
    pub attach_limit: Option<u32>,
    /// The builds that it works on.
    pub running: Vec<BuildId>,
    /// It takes no new builds: it is shutting down, or was told to drain.
    pub draining: bool,
    /// It has found its queue. One that has not can be given nothing: its queue must be made (again) first.
    #[serde(default = "yes")]
    pub listening: bool,
    /// By the host's clock.
    pub at: Timestamp,
}

/// An agent that does not say it has a queue.
fn yes() -> bool {
    true
}

/// A message to a host's agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one at a time is taken apart at once")]
pub enum HostMessage {
    /// Do this.
    Job {
        /// What.
        job: Job,
    },
    /// Stop a build's job.
    Stop {
        /// Whose.
        build: BuildId,
    },
}
