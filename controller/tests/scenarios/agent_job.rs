//! What the fake agent knows of a job.

use bakehouse_protocol::{HostId, Job, Outcome, Timestamp};

/// A job on the fake agent.
#[derive(Clone, Debug)]
pub struct AgentJob {
    pub job: Job,
    pub stage: Stage,
    pub began: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    Waiting,
    Working { until: Timestamp },
    Ended(Outcome),
    Dead,
}

/// The one host.
pub fn host() -> HostId {
    HostId::new("bakery-1").expect("a host id")
}
