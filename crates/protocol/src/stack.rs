//! How the parts of one deployed stack find each other. The stack's template writes it; everything that belongs to the
//! stack reads it.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, Region};

/// One stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackConfig {
    /// [`crate::VERSION`] of the writer.
    #[serde(rename = "bakehouse")]
    pub version: u16,
    /// The CloudFormation stack's name.
    pub name: String,
    /// Where it is, and where templates without a region are built.
    pub region: Region,
    /// The account's id.
    pub account: String,
    /// The DynamoDB table.
    pub table: String,
    /// The inbox queue's URL.
    pub inbox_url: String,
    /// The bucket of the bundles.
    pub bucket: String,
    /// The log group with one stream for each build.
    pub builds_log_group: String,
    /// What the names of the hosts' queues begin with; the instance's id follows.
    pub host_queue_prefix: String,
    /// The role of the hosts: the only one that may read their queues.
    pub host_role_arn: String,
    /// That role's unique id (`AROA…`), with which SQS names the sender of what a host says. Empty: not known, and what
    /// hosts say is believed of whoever says it.
    #[serde(default)]
    pub host_role_id: String,
    /// Whether templates may reach the build host itself (see [`crate::BuildSpec::host_access`]).
    #[serde(default)]
    pub allow_host_access: bool,
    /// After how many seconds without a heartbeat a host counts as lost, and so does the agent of a build.
    #[serde(default = "silence")]
    pub host_silence_seconds: u64,
}

/// The hosts on demand: instances that are started when a build waits for a slot, and stopped when they idle. Only the
/// controller is told of them: hosts can't be, as their own ids come later than what they are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnDemand {
    /// Which.
    pub instances: Vec<InstanceId>,
    /// After how many seconds without a build they are stopped.
    pub idle_seconds: u64,
}

impl OnDemand {
    /// No hosts on demand.
    pub const NONE: Self = Self { instances: Vec::new(), idle_seconds: 900 };
}

fn silence() -> u64 {
    240
}
