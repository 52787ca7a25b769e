//! The messages of the queues: those that we send to the inbox ([`InboxMessage`]) and to a host's queue
//! ([`HostMessage`]). Notifications of EC2, SNS and EventBridge reach the inbox, too; only our own messages have the
//! member `bakehouse`.

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

/// A message with its version, which is checked before anything else: `{"bakehouse": 1, "kind": ..., ...}`.
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
    /// Wraps a message with the current version.
    pub fn new(message: M) -> Self {
        Self { version: VERSION, message }
    }
}

/// A message to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InboxMessage {
    /// Start a build.
    Request(Request),
    /// The agent's report on a build.
    Report {
        /// The report.
        report: Report,
    },
    /// The agent's report on its host.
    Host {
        /// The report.
        host: HostReport,
    },
    /// Check a build's progress.
    Tick {
        /// The build.
        build: BuildId,
    },
    /// Cancel a build.
    Cancel {
        /// The build.
        build: BuildId,
    },
    /// Check everything that a lost message may have left behind: builds whose tick was lost, hosts without heartbeats,
    /// idle hosts. Sent by a rule of the stack every minute.
    Patrol,
    /// Base images may have a new release: check every recipe that follows one.
    Release,
    /// Assign no new builds to a host; those that run on it finish there.
    Drain {
        /// The host.
        host: HostId,
        /// False: assign builds to it again.
        draining: bool,
    },
}

/// A request for a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The build's id, if the sender wants to know it at once. Otherwise it is derived from the message, so that a
    /// message that is delivered twice is one build.
    #[serde(default)]
    pub build: Option<BuildId>,
    /// What to build.
    #[serde(flatten)]
    pub target: BuildTarget,
    /// Template variables; they override those of the bundle.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// The time that a schedule requested it for (RFC 3339). Schedules are delivered at least once, each time as a
    /// message of its own: two requests for the same target and time are one build. Anything but a time is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<String>,
}

/// What to build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildTarget {
    /// This bundle.
    Bundle(BundleRef),
    /// The recipe of this name.
    Recipe(String),
}

/// The state of a host. Sent when the agent starts, then as a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// Its id: the instance's id.
    pub host: HostId,
    /// The instance.
    pub instance: InstanceId,
    /// Its region.
    pub region: Region,
    /// Its zone.
    pub zone: Zone,
    /// Its processor architecture.
    pub architecture: Architecture,
    /// `uname -r`.
    pub kernel: String,
    /// The agent's version.
    pub agent: String,
    /// How many builds it can run at once.
    pub slots: u32,
    /// How many volumes the instance can have attached, if the agent knows.
    pub attach_limit: Option<u32>,
    /// The builds that run on it.
    pub running: Vec<BuildId>,
    /// Whether it accepts no new builds: it is shutting down, or was told to drain.
    pub draining: bool,
    /// Whether it has found its queue. If not, nothing can be sent to it: its queue must be created (again) first.
    #[serde(default = "listens")]
    pub listening: bool,
    /// When it was made, by the host's clock.
    pub at: Timestamp,
}

/// The default of [`HostReport::listening`]: a host whose report does not say so has found its queue.
fn listens() -> bool {
    true
}

/// A message to a host's agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is matched at once")]
pub enum HostMessage {
    /// Run a job.
    Job {
        /// The job.
        job: Job,
    },
    /// Stop a build's job.
    Stop {
        /// The build.
        build: BuildId,
    },
}
