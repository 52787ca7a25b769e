//! How the parts of one deployed stack find each other. The stack's CloudFormation template writes it; every part of
//! the stack reads it.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::id::{InstanceId, Region};

/// The configuration of one stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackConfig {
    /// [`crate::VERSION`] of the writer.
    #[serde(rename = "bakehouse")]
    pub version: u16,
    /// The CloudFormation stack's name.
    pub name: String,
    /// The stack's region, and that of builds whose template names none.
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
    /// The prefix of the hosts' queue names; the instance's id follows.
    pub host_queue_prefix: String,
    /// The role of the hosts: the only one that may read their queues.
    pub host_role_arn: String,
    /// That role's unique id (`AROA…`), by which SQS names the sender of a host's message. Empty: not known, and a
    /// host's message is accepted from any sender.
    #[serde(default)]
    pub host_role_id: String,
    /// Whether templates may access the build host itself (see [`crate::BuildSpec::host_access`]).
    #[serde(default)]
    pub allow_host_access: bool,
    /// After how many seconds without a heartbeat a host, or the agent of a build, counts as lost.
    #[serde(default = "default_silence")]
    pub host_silence_seconds: u64,
}

/// The hosts on demand: instances that are started when a build waits for a slot, and stopped when they are idle. Only
/// the controller has this configuration: a host's is written before the host has an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnDemand {
    /// The instances.
    pub instances: Vec<InstanceId>,
    /// After how many seconds without a build they are stopped.
    pub idle_seconds: u64,
}

impl OnDemand {
    /// No hosts on demand.
    pub const NONE: Self = Self { instances: Vec::new(), idle_seconds: 900 };
}

fn default_silence() -> u64 {
    240
}
