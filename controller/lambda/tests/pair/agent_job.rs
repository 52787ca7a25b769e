//! What an agent knows of a job.

use bakehouse_protocol::{HostId, Job, Timestamp, VolumeId};

#[derive(Clone, Debug)]
pub struct AgentJob {
    pub host: HostId,
    pub job: Job,
    pub stage: Stage,
    pub began: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    Waiting,
    Working { until: Timestamp },
    Over,
}

impl AgentJob {
    pub fn has_mounted(&self, volume: &VolumeId) -> bool {
        matches!(self.stage, Stage::Working { .. }) && &self.job.volume == volume
    }

    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }
}
