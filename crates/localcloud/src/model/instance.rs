//! Instances that are stopped and started.

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
        let takes = self.delays.start_instance;
        let way = [InstanceState::Stopped, InstanceState::Pending, InstanceState::Running];
        self.switch(now, region, id, way, takes, "started")
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
        let takes = self.delays.stop_instance;
        let way = [InstanceState::Running, InstanceState::Stopping, InstanceState::Stopped];
        self.switch(now, region, id, way, takes, "stopped")
    }

    /// From one state through another to a third; whoever is past the first is left as he is.
    fn switch(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &InstanceId,
        [from, by, to]: [InstanceState; 3],
        takes: Millis,
        verb: &str,
    ) -> Result<InstanceState, ApiError> {
        let now = self.advance(now);
        let instance = self.instance(region, id)?;
        match instance.state(now) {
            state if state == by || state == to => {}
            state if state == from => {
                instance.facts.state = by;
                instance.change = Some((now + takes, to));
            }
            _ => {
                let message = format!("The instance '{id}' is not in a state from which it can be {verb}.");
                return Err(ApiError::new("IncorrectInstanceState", message));
            }
        }
        Ok(instance.state(now))
    }
}
