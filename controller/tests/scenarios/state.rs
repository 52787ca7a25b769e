//! The state of a run: the queue of what is due, what the agents are at, and what goes wrong when.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::resume_unwind,
};

use bakehouse_machine::Event;
use bakehouse_protocol::{BuildId, Millis, Region, Timestamp, VolumeId};

use crate::{
    agent_job::AgentJob,
    interference::{Crash, Fate, Interference, When},
    script::Script,
};

/// Something that is to happen at its time.
#[expect(clippy::large_enum_variant, reason = "a few dozen of them at a time")]
#[derive(Clone, Debug)]
pub enum Due {
    Deliver { build: BuildId, event: Event },
    Agent(BuildId),
    Patrol,
    Killed,
}

pub struct State {
    pub script: Script,
    pub interference: Interference,
    pub queue: Vec<(Timestamp, usize, Due)>,
    pub agents: BTreeMap<BuildId, AgentJob>,
    pub mounted: BTreeSet<VolumeId>,
    pub log: Vec<String>,
    pub operations: usize,
    pub calls: Vec<String>,
    pub calls_of: BTreeMap<String, usize>,
    pub messages: usize,
    pub parameters: BTreeMap<(Region, String), String>,
    pub dropped_writes: usize,
    began: Timestamp,
    pushed: usize,
}

impl State {
    pub fn new(script: &Script, interference: Interference, began: Timestamp) -> Self {
        Self {
            script: script.clone(),
            interference,
            queue: vec![],
            agents: BTreeMap::new(),
            mounted: BTreeSet::new(),
            log: vec![],
            operations: 0,
            calls: vec![],
            calls_of: BTreeMap::new(),
            messages: 0,
            parameters: BTreeMap::new(),
            dropped_writes: 0,
            began,
            pushed: 0,
        }
    }

    pub fn push(&mut self, at: Timestamp, due: Due) {
        self.pushed += 1;
        self.queue.push((at, self.pushed, due));
    }

    /// Sends a message; this is where messages fare badly.
    pub fn send(&mut self, build: &BuildId, event: Event, at: Timestamp) {
        let n = self.messages;
        self.messages += 1;
        let due = Due::Deliver { build: build.clone(), event };
        let fate = self.interference.message.filter(|(which, _)| *which == n).map(|(_, fate)| fate);
        match fate {
            Some(Fate::Lost) => return,
            Some(Fate::Late(by)) => return self.push(at + by, due),
            Some(Fate::Twice) => self.push(at + Millis::seconds(7), due.clone()),
            None if self.interference.all_twice => self.push(at + Millis::seconds(3), due.clone()),
            None => {}
        }
        self.push(at, due);
    }

    pub fn log(&mut self, now: Timestamp, line: &str) {
        let seconds = now.since(self.began).0;
        self.log.push(format!("{:>7.1} {line}", seconds as f64 / 1000.0));
    }

    pub fn operation_begins(&mut self) {
        if self.interference.crash == Some((self.operations, When::Before)) {
            self.interference.crash = None;
            resume_unwind(Box::new(Crash));
        }
    }

    pub fn operation_ends(&mut self) {
        let crash = self.interference.crash == Some((self.operations, When::After));
        self.operations += 1;
        if crash {
            self.interference.crash = None;
            resume_unwind(Box::new(Crash));
        }
    }

    /// Whether this call fails, with what, and whether it is performed all the same.
    pub fn fails(&mut self, action: &str) -> Option<(String, String, bool)> {
        let nth = self.calls_of.entry(action.to_owned()).or_default();
        *nth += 1;
        let nth = *nth;
        let call = self.calls.len();
        self.calls.push(action.to_owned());
        if let Some((_, fails)) = self.interference.call.filter(|(which, _)| *which == call) {
            return Some((fails.code.into(), fails.message.into(), fails.performed));
        }
        let scripted = self
            .script
            .failures
            .iter()
            .find(|failure| failure.action == action && failure.nth.is_none_or(|which| which == nth))?;
        Some((scripted.code.clone(), scripted.message.clone(), false))
    }

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
