//! The place of the scenarios: records and leases in memory, messages in a queue in virtual time, operations that can
//! be the last of their process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bakehouse_controller::{
    local::{
        Ec2Cloud,
        leases::{Host, Leases},
    },
    ports::{Agents, Clock, Inbox, LeaseRequest, Place, Store, StoreError, Version},
};
use bakehouse_localcloud::VirtualCloud;
use bakehouse_machine::{Build, Event, Fault, FaultKind, made::Lease};
use bakehouse_protocol::{BuildId, HostId, Job, Timestamp};

use crate::{
    agent,
    cloud::Faulty,
    world::{Due, State},
};

pub struct Scene {
    pub ec2: Ec2Cloud<Faulty>,
    pub store: Memory,
    pub agents: Fakes,
    pub inbox: Queue,
    pub clock: Virtual,
}

pub struct Virtual(pub Arc<VirtualCloud>);
pub struct Queue(pub Arc<Mutex<State>>, pub Arc<VirtualCloud>);
pub struct Fakes(pub Arc<Mutex<State>>, pub Arc<VirtualCloud>);
pub struct Memory {
    pub records: Mutex<BTreeMap<BuildId, (Build, Version)>>,
    pub leases: Leases,
    pub state: Arc<Mutex<State>>,
    pub clock: Arc<VirtualCloud>,
    _dir: tempfile::TempDir,
}

impl Memory {
    pub fn new(host: Host, state: Arc<Mutex<State>>, clock: Arc<VirtualCloud>) -> Self {
        // In memory if there is such a place: thousands of runs would wait for the disk otherwise.
        let shm = std::path::Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        let dir = dir.expect("a directory for the leases");
        let leases = Leases::new(dir.path().join("leases.json"), host);
        Self { records: Mutex::default(), leases, state, clock, _dir: dir }
    }

    fn operation<T>(&self, f: impl FnOnce() -> T) -> T {
        self.state.lock().expect("the world").operation_begins();
        let result = f();
        self.state.lock().expect("the world").operation_ends();
        result
    }
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Inbox for Queue {
    async fn wake(&self, id: &BuildId, at: Timestamp) -> Result<(), StoreError> {
        let now = self.1.now();
        self.0.lock().expect("the world").wake(id, at, now);
        Ok(())
    }
}

impl Agents for Fakes {
    async fn send_job(&self, _: &HostId, job: &Job) -> Result<(), Fault> {
        let mut state = self.0.lock().expect("the world");
        state.operation_begins();
        agent::take(&mut state, job, self.1.now());
        state.operation_ends();
        Ok(())
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        let mut state = self.0.lock().expect("the world");
        state.operation_begins();
        let known = agent::stop(&mut state, build, self.1.now());
        state.operation_ends();
        if known { Ok(()) } else { Err(Fault::new(FaultKind::Gone, format!("{host} knows of no job of {build}"))) }
    }
}

impl Store for Memory {
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
        self.operation(|| self.leases.lease(request, self.clock.now(), |_| false))
    }
    async fn renew(&self, build: &BuildId, _: &Lease, until: Timestamp) -> Result<Lease, Fault> {
        self.operation(|| self.leases.renew(build, until))
    }
    async fn release(&self, build: &BuildId, _: &Lease) -> Result<(), Fault> {
        self.operation(|| self.leases.release(build))
    }
}

impl Place for Scene {
    type Cloud = Ec2Cloud<Faulty>;
    type Agents = Fakes;
    type Store = Memory;
    type Inbox = Queue;
    type Clock = Virtual;
    fn cloud(&self) -> &Self::Cloud {
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

impl State {
    /// One tick is enough: no second is queued while one is on its way that comes early enough.
    pub fn wake(&mut self, id: &BuildId, at: Timestamp, now: Timestamp) {
        let on_its_way = self.queue.iter().any(|(due_at, _, due)| {
            matches!(due, Due::Deliver { event: Event::Tick, .. }) && *due_at > now && *due_at <= at
        });
        if !on_its_way {
            self.send(id, Event::Tick, at);
        }
    }
}
