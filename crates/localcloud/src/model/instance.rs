//! StartInstances and StopInstances.

use bakehouse_protocol::{InstanceId, Millis, Region, Timestamp};

use super::{errors::no_instance, record::InstanceRecord, state::Model};
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
}

impl Model {
    pub(super) fn instance(&mut self, region: &Region, id: &InstanceId) -> Result<&mut InstanceRecord, ApiError> {
        self.region_mut(region)?.instances.get_mut(id).ok_or_else(|| no_instance(id))
    }

    /// StartInstances, for one instance.
    ///
    /// # Errors
    /// As [`crate::Ec2::start_instances`].
    pub fn start_instance(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &InstanceId,
    ) -> Result<InstanceState, ApiError> {
        let duration = self.delays.start_instance;
        let states = [InstanceState::Stopped, InstanceState::Pending, InstanceState::Running];
        self.switch(now, region, id, states, duration, "started")
    }

    /// StopInstances, for one instance.
    ///
    /// # Errors
    /// As [`crate::Ec2::stop_instances`].
    pub fn stop_instance(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &InstanceId,
    ) -> Result<InstanceState, ApiError> {
        let duration = self.delays.stop_instance;
        let states = [InstanceState::Running, InstanceState::Stopping, InstanceState::Stopped];
        self.switch(now, region, id, states, duration, "stopped")
    }

    /// Changes an instance from one state through another to a third. One that is past the first is not changed.
    fn switch(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &InstanceId,
        [from, through, to]: [InstanceState; 3],
        duration: Millis,
        verb: &str,
    ) -> Result<InstanceState, ApiError> {
        let now = self.advance(now);
        let instance = self.instance(region, id)?;
        match instance.state(now) {
            state if state == through || state == to => {}
            state if state == from => {
                instance.facts.state = through;
                instance.change = Some((now + duration, to));
            }
            _ => {
                let message = format!("The instance '{id}' is not in a state from which it can be {verb}.");
                return Err(ApiError::new("IncorrectInstanceState", message));
            }
        }
        Ok(instance.state(now))
    }
}
