//! Instances that are stopped and started.

use bakehouse_protocol::{InstanceId, Millis, Region, Timestamp};

use super::{Model, record::InstanceRecord};
use crate::{
    ApiError,
    resource::{Instance, InstanceState},
};

impl InstanceRecord {
    pub(super) fn state(&self, now: Timestamp) -> InstanceState {
        match self.change {
            Some((at, state)) if at <= now => state,
            _ => self.facts.state,
        }
    }

    pub(super) fn view(&self, now: Timestamp) -> Instance {
        Instance { state: self.state(now), ..self.facts.clone() }
    }

    fn go(&mut self, by: InstanceState, to: InstanceState, now: Timestamp, takes: Millis) {
        self.facts.state = by;
        self.change = Some((now + takes, to));
    }
}

impl Model {
    /// StartInstances, of one.
    ///
    /// # Errors
    /// As [`crate::Ec2::start_instances`].
    pub fn start_instance(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &InstanceId,
    ) -> Result<InstanceState, ApiError> {
        let now = self.advance(now);
        let takes = self.delays.start_instance;
        let instance = self.instance(region, id)?;
        match instance.state(now) {
            InstanceState::Pending | InstanceState::Running => {}
            InstanceState::Stopped => instance.go(InstanceState::Pending, InstanceState::Running, now, takes),
            _ => return Err(not_now(id, "started")),
        }
        Ok(instance.state(now))
    }

    /// StopInstances, of one.
    ///
    /// # Errors
    /// As [`crate::Ec2::stop_instances`].
    pub fn stop_instance(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &InstanceId,
    ) -> Result<InstanceState, ApiError> {
        let now = self.advance(now);
        let takes = self.delays.stop_instance;
        let instance = self.instance(region, id)?;
        match instance.state(now) {
            InstanceState::Stopping | InstanceState::Stopped => {}
            InstanceState::Running => instance.go(InstanceState::Stopping, InstanceState::Stopped, now, takes),
            _ => return Err(not_now(id, "stopped")),
        }
        Ok(instance.state(now))
    }
}

fn not_now(id: &InstanceId, verb: &str) -> ApiError {
    let message = format!("The instance '{id}' is not in a state from which it can be {verb}.");
    ApiError::new("IncorrectInstanceState", message)
}
