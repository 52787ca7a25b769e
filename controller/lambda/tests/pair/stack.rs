//! The ports of a stack in memory, except those of the table. The function may die during every method.

use std::sync::Arc;

use bakehouse_bundle::verify;
use bakehouse_controller::{
    backend::Backend,
    cloud::{self, Ec2InstancePower, NoParameters},
    ports::{Agents, Clock, Inbox, StoreError},
    stack::{Bundles, Queues},
};
use bakehouse_lambda::stack::{BuildLog, Stack, Timers};
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{
    BuildId, BundleRef, Envelope, HostId, HostReport, InboxMessage, Job, Millis, OnDemand, StackConfig, Timestamp,
};

use crate::{agent, ec2::Cloud, function::Function, simulation::region, state::State};

pub struct Memory {
    pub function: Arc<Function>,
    cloud: cloud::Cloud<Cloud>,
    switch: Ec2InstancePower<Cloud>,
}

impl Memory {
    pub fn new(function: Arc<Function>) -> Self {
        let cloud = || Cloud(function.clone());
        Self { cloud: cloud::Cloud(cloud(), NoParameters), switch: Ec2InstancePower(cloud(), region()), function }
    }

    pub async fn call<T>(&self, f: impl FnOnce(&mut State, Timestamp) -> T + Send) -> T {
        self.function.begins().await;
        let simulation = &self.function.simulation;
        let answer = f(&mut simulation.state(), simulation.time.now());
        self.function.ends().await;
        answer
    }
}

pub fn gone(what: impl std::fmt::Display) -> Fault {
    Fault::new(FaultKind::NotFound, format!("there is no {what}"))
}

impl Clock for Memory {
    fn now(&self) -> Timestamp {
        self.function.simulation.time.now()
    }
}

impl Inbox for Memory {
    // The tick of the last decision is arranged at the end of the invocation: see `Timers`.
    async fn wake(&self, _: &BuildId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Timers for Memory {
    async fn schedule_tick(&self, id: &BuildId, at: Timestamp) -> Result<(), StoreError> {
        self.call(|state, now| {
            if state.ticks.get(id).is_some_and(|arranged| now <= *arranged && *arranged <= at) {
                return;
            }
            let delay = at.since(now).min(Millis::seconds(900));
            state.ticks.insert(id.clone(), now + delay);
            let message = Envelope::new(InboxMessage::Tick { build: id.clone() });
            state.send(serde_json::to_string(&message).expect("a message"), now, delay);
        })
        .await;
        Ok(())
    }
}

impl Agents for Memory {
    async fn send_job(&self, host: &HostId, job: &Job) -> Result<(), Fault> {
        self.call(|state, now| {
            if !state.queues.contains(host) {
                return Err(gone(format!("queue of {host}")));
            }
            agent::take(state, host, job, now);
            Ok(())
        })
        .await
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        self.call(|state, now| {
            if agent::stop(state, host, build, now) { Ok(()) } else { Err(gone(format!("job of {build} on {host}"))) }
        })
        .await
    }
}

impl Bundles for Memory {
    async fn fetch(&self, bundle: &BundleRef) -> Result<Vec<u8>, Fault> {
        self.call(|state, _| {
            let bytes = state.bundles.get(&bundle.key).ok_or_else(|| gone(format!("bundle {}", bundle.key)))?;
            verify(bytes, bundle).map_err(|error| Fault::new(FaultKind::Permanent, error.to_string()))?;
            Ok(bytes.clone())
        })
        .await
    }
}

impl Queues for Memory {
    async fn ensure(&self, report: &HostReport) -> Result<(), Fault> {
        self.call(|state, _| state.queues.insert(report.host.clone())).await;
        Ok(())
    }
    async fn remove(&self, host: &HostId) -> Result<(), Fault> {
        self.call(|state, _| state.queues.remove(host)).await;
        Ok(())
    }
}

impl BuildLog for Memory {
    async fn write(&self, id: &BuildId, lines: Vec<(Timestamp, String)>) -> Result<(), Fault> {
        self.call(|state, _| state.log_lines.entry(id.clone()).or_default().extend(lines)).await;
        Ok(())
    }
}

impl Backend for Memory {
    type Ec2 = Cloud;
    type Parameters = NoParameters;
    type Agents = Self;
    type Store = Self;
    type Inbox = Self;
    type Clock = Self;
    fn cloud(&self) -> &cloud::Cloud<Cloud> {
        &self.cloud
    }
    fn agents(&self) -> &Self {
        self
    }
    fn store(&self) -> &Self {
        self
    }
    fn inbox(&self) -> &Self {
        self
    }
    fn clock(&self) -> &Self {
        self
    }
}

impl Stack for Memory {
    type Registry = Self;
    type Bundles = Self;
    type Queues = Self;
    type InstancePower = Ec2InstancePower<Cloud>;
    type Timers = Self;
    type BuildLog = Self;
    fn config(&self) -> &StackConfig {
        &self.function.simulation.config
    }
    fn on_demand(&self) -> &OnDemand {
        &self.function.simulation.on_demand
    }
    fn registry(&self) -> &Self {
        self
    }
    fn bundles(&self) -> &Self {
        self
    }
    fn queues(&self) -> &Self {
        self
    }
    fn instance_power(&self) -> &Ec2InstancePower<Cloud> {
        &self.switch
    }
    fn timers(&self) -> &Self {
        self
    }
    fn build_log(&self) -> &Self {
        self
    }
    async fn sleep_until(&self, until: Timestamp) {
        self.function.simulation.time.sleep_until(until).await;
    }
}
