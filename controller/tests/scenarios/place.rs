//! The place of the scenarios: records and leases in memory, messages in a queue in virtual time, operations that can
//! be the last of their process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bakehouse_controller::{
    backend::Backend,
    cloud::Cloud,
    leasing::{Host, Leases},
    ports::{Agents, Clock, Inbox, LeaseRequest, Store, StoreError, Version},
};
use bakehouse_localcloud::VirtualCloud;
use bakehouse_machine::{Build, Fault, FaultKind, resources::Lease};
use bakehouse_protocol::{BuildId, HostId, Job, Timestamp};

use crate::{agent, cloud::FaultyCloud, parameters::FakeParameters, state::State};

pub struct TestPlace {
    pub ec2: Cloud<FaultyCloud, FakeParameters>,
    pub store: MemoryStore,
    pub agents: FakeAgents,
    pub inbox: Queue,
    pub clock: VirtualClock,
}

pub struct VirtualClock(pub Arc<VirtualCloud>);
pub struct Queue(pub Arc<Mutex<State>>, pub Arc<VirtualCloud>);
pub struct FakeAgents(pub Arc<Mutex<State>>, pub Arc<VirtualCloud>);
pub struct MemoryStore {
    pub records: Mutex<BTreeMap<BuildId, (Build, Version)>>,
    pub leases: Mutex<Leases>,
    pub host: Host,
    pub state: Arc<Mutex<State>>,
    pub clock: Arc<VirtualCloud>,
}

impl MemoryStore {
    pub fn new(host: Host, state: Arc<Mutex<State>>, clock: Arc<VirtualCloud>) -> Self {
        Self { records: Mutex::default(), leases: Mutex::default(), host, state, clock }
    }

    /// Whether the build still holds its lease.
    pub fn leases_left(&self, id: &BuildId) -> bool {
        self.leases.lock().expect("the leases").renew(id, Timestamp(0)).is_ok()
    }

    fn operation<T>(&self, f: impl FnOnce() -> T) -> T {
        self.state.lock().expect("the state").operation_begins();
        let result = f();
        self.state.lock().expect("the state").operation_ends();
        result
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Inbox for Queue {
    async fn wake(&self, id: &BuildId, at: Timestamp) -> Result<(), StoreError> {
        let now = self.1.now();
        self.0.lock().expect("the state").wake(id, at, now);
        Ok(())
    }
}

impl Agents for FakeAgents {
    async fn send_job(&self, _: &HostId, job: &Job) -> Result<(), Fault> {
        let mut state = self.0.lock().expect("the state");
        state.operation_begins();
        agent::take(&mut state, job, self.1.now());
        state.operation_ends();
        Ok(())
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        let mut state = self.0.lock().expect("the state");
        state.operation_begins();
        let known = agent::stop(&mut state, build, self.1.now());
        state.operation_ends();
        if known { Ok(()) } else { Err(Fault::new(FaultKind::NotFound, format!("{host} knows of no job of {build}"))) }
    }
}

impl Store for MemoryStore {
    async fn load(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        let records = self.records.lock().expect("the records");
        records.get(id).cloned().ok_or_else(|| StoreError::NotFound(id.clone()))
    }

    async fn save(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        self.operation(|| {
            // What is saved is what a file or a table would hold: it must survive the way there and back.
            let text = serde_json::to_string(build).expect("a record as JSON");
            let build: Build = serde_json::from_str(&text).expect("a record from JSON");
            let mut records = self.records.lock().expect("the records");
            match records.get_mut(&build.id) {
                Some((_, current)) if *current != version => Err(StoreError::Conflict(build.id.clone())),
                Some(entry) => {
                    *entry = (build, Version(version.0 + 1));
                    Ok(entry.1)
                }
                None => Err(StoreError::NotFound(build.id.clone())),
            }
        })
    }

    async fn lease(&self, request: &LeaseRequest<'_>) -> Result<Option<Lease>, Fault> {
        self.operation(|| {
            let mut leases = self.leases.lock().expect("the leases");
            leases.lease(&self.host, request, self.clock.now(), |_| false)
        })
    }
    async fn renew(&self, build: &BuildId, _: &Lease, until: Timestamp) -> Result<Lease, Fault> {
        self.operation(|| self.leases.lock().expect("the leases").renew(build, until))
    }
    async fn release(&self, build: &BuildId, _: &Lease) -> Result<(), Fault> {
        self.operation(|| self.leases.lock().expect("the leases").release(build));
        Ok(())
    }
}

impl Backend for TestPlace {
    type Ec2 = FaultyCloud;
    type Parameters = FakeParameters;
    type Agents = FakeAgents;
    type Store = MemoryStore;
    type Inbox = Queue;
    type Clock = VirtualClock;
    fn cloud(&self) -> &Cloud<FaultyCloud, FakeParameters> {
        &self.ec2
    }
    fn agents(&self) -> &Self::Agents {
        &self.agents
    }
    fn store(&self) -> &Self::Store {
        &self.store
    }
    fn inbox(&self) -> &Self::Inbox {
        &self.inbox
    }
    fn clock(&self) -> &Self::Clock {
        &self.clock
    }
}
