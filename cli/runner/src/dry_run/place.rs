//! The backend of a dry run: one record and one lease in memory, an agent whose job succeeds at once.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bakehouse_controller::{
    backend::Backend,
    cloud::Cloud,
    ports::{Agents, Clock, Inbox, LeaseRequest, Store, StoreError, Version},
};
use bakehouse_machine::{Build, Event, Fault, resources::Lease};
use bakehouse_protocol::{BuildId, HostId, Job, Millis, Outcome, Proof, Report, ReportBody, Timestamp, VERSION};

use super::{parameters::MemoryParameters, recorder::Recorder};

/// How long the model's steps take: the time of the template's own steps is not known.
const STEPS: Millis = Millis::seconds(1);

pub(super) struct Place {
    pub(super) ec2: Cloud<Recorder, MemoryParameters>,
    pub(super) state: State,
}

/// What is not in the cloud.
pub(super) struct State {
    record: Mutex<Build>,
    lease: Lease,
    /// Events, and when each arrives.
    events: Mutex<VecDeque<(Timestamp, Event)>>,
    now: Mutex<Timestamp>,
}

impl State {
    pub(super) fn new(build: Build, lease: Lease, now: Timestamp) -> Self {
        Self {
            record: Mutex::new(build),
            lease,
            events: Mutex::new(VecDeque::from([(now, Event::Tick)])),
            now: Mutex::new(now),
        }
    }

    pub(super) fn record(&self) -> Build {
        locked(&self.record).clone()
    }

    /// Takes the next event, and sets the clock to the time of its arrival.
    pub(super) fn next(&self) -> Option<(Timestamp, Event)> {
        let mut events = locked(&self.events);
        let (index, _) = events.iter().enumerate().min_by_key(|(_, (at, _))| *at)?;
        let (at, event) = events.remove(index)?;
        let mut now = locked(&self.now);
        *now = (*now).max(at);
        Some((*now, event))
    }

    fn send(&self, at: Timestamp, event: Event) {
        locked(&self.events).push_back((at, event));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock for State {
    fn now(&self) -> Timestamp {
        *locked(&self.now)
    }
}

impl Inbox for State {
    async fn wake(&self, _: &BuildId, at: Timestamp) -> Result<(), StoreError> {
        self.send(at, Event::Tick);
        Ok(())
    }
}

impl Agents for State {
    async fn send_job(&self, host: &HostId, job: &Job) -> Result<(), Fault> {
        let at = self.now() + STEPS;
        let proof = Proof { device: String::new(), filesystem: String::new(), killed: Vec::new() };
        let body = ReportBody::Ended(Outcome::Done(proof));
        let build = job.build.clone();
        let report = Report { version: VERSION, build, host: host.clone(), attempt: job.attempt, at, body };
        self.send(at, Event::Agent(report));
        Ok(())
    }

    async fn stop_job(&self, _: &HostId, _: &BuildId) -> Result<(), Fault> {
        Ok(())
    }
}

impl Store for State {
    async fn load(&self, _: &BuildId) -> Result<(Build, Version), StoreError> {
        Ok((self.record(), Version(0)))
    }

    async fn save(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        locked(&self.record).clone_from(build);
        Ok(version)
    }

    async fn lease(&self, request: &LeaseRequest<'_>) -> Result<Option<Lease>, Fault> {
        let device = request.device.unwrap_or(&self.lease.device).clone();
        Ok(Some(Lease { device, until: request.until, ..self.lease.clone() }))
    }

    async fn renew(&self, _: &BuildId, lease: &Lease, until: Timestamp) -> Result<Lease, Fault> {
        Ok(Lease { until, ..lease.clone() })
    }

    async fn release(&self, _: &BuildId, _: &Lease) -> Result<(), Fault> {
        Ok(())
    }
}

impl Backend for Place {
    type Ec2 = Recorder;
    type Parameters = MemoryParameters;
    type Agents = State;
    type Store = State;
    type Inbox = State;
    type Clock = State;

    fn cloud(&self) -> &Cloud<Recorder, MemoryParameters> {
        &self.ec2
    }
    fn agents(&self) -> &State {
        &self.state
    }
    fn store(&self) -> &State {
        &self.state
    }
    fn inbox(&self) -> &State {
        &self.state
    }
    fn clock(&self) -> &State {
        &self.state
    }
}
