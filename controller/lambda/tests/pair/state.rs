//! The state of the stack in memory, and the faults to inject.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_controller::{
    ports::Version,
    stack::{HostRecord, Recipe},
};
use bakehouse_lambda::metrics::Metric;
use bakehouse_machine::Build;
use bakehouse_protocol::{BuildId, HostId, Millis, Timestamp, VolumeId, Zone};

use crate::agent_job::AgentJob;

/// The hosts' role, as SQS names it.
pub const HOST_ROLE: &str = "AROAIWPX5BD2BHG722MW4";

#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub sent: Timestamp,
    pub visible: Timestamp,
    pub receives: u32,
    pub sender: Option<String>,
}

#[derive(Default)]
pub struct State {
    pub records: BTreeMap<BuildId, (String, Version)>,
    /// The builds that have not ended.
    pub open: BTreeSet<BuildId>,
    pub ticks: BTreeMap<BuildId, Timestamp>,
    pub hosts: BTreeMap<HostId, HostRecord>,
    pub queues: BTreeSet<HostId>,
    pub recipes: BTreeMap<String, Recipe>,
    pub bundles: BTreeMap<String, Vec<u8>>,
    pub inbox: Vec<Message>,
    pub dead: Vec<Message>,
    pub agents: BTreeMap<BuildId, AgentJob>,
    /// Hosts whose instance is up and whose agent runs.
    pub up: BTreeSet<HostId>,
    /// The zones in which volumes were created.
    pub volume_zones: Vec<Zone>,
    /// The zone of each host.
    pub zones: BTreeMap<HostId, Zone>,
    pub calls: BTreeMap<String, usize>,
    pub log_lines: BTreeMap<BuildId, Vec<(Timestamp, String)>>,
    pub measured: Vec<(Metric, f64)>,
    pub invocations: usize,
    pub operations: usize,
    /// The function dies after this call, counted from 0.
    pub kill: Option<usize>,
    /// The percentage of calls that are throttled, and until when.
    pub throttles: Option<(u64, Timestamp)>,
    pub conflicts: Option<(u64, Timestamp)>,
    /// A larger record can't be kept, in bytes.
    pub largest: Option<usize>,
    /// Calls of EC2 that the role does not allow.
    pub denied: BTreeSet<String>,
    /// Every message is delivered twice; each comes up to this much later.
    pub twice: bool,
    pub late: Millis,
    /// Loading the record of this build panics.
    pub panics: Option<BuildId>,
    /// Loading this build's record never ends.
    pub hangs: Option<BuildId>,
    random: u64,
    messages: usize,
}

impl State {
    pub fn new(seed: u64) -> Self {
        Self { random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, ..Self::default() }
    }

    fn random(&mut self) -> u64 {
        // xorshift64*: the same seed makes the same run.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }

    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.random() % n }
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn is_mounted(&self, volume: &VolumeId) -> bool {
        self.agents.values().any(|agent| agent.has_mounted(volume) && self.up.contains(&agent.host))
    }

    pub fn send(&mut self, body: String, now: Timestamp, delay: Millis) {
        self.send_from(None, body, now, delay);
    }

    pub fn send_from(&mut self, sender: Option<&HostId>, body: String, now: Timestamp, delay: Millis) {
        let sender = sender.map(|host| format!("{HOST_ROLE}:{host}"));
        self.messages += 1;
        let id = format!("message-{}", self.messages);
        for _ in 0..=usize::from(self.twice) {
            let late = Millis(self.below(self.late.0 + 1));
            let visible = now + delay + late;
            let (id, body, sender) = (id.clone(), body.clone(), sender.clone());
            self.inbox.push(Message { id, body, sent: now, visible, receives: 0, sender });
        }
    }

    /// Notes whether a saved build has ended.
    pub fn saved(&mut self, build: &Build) {
        if build.phase.has_ended() {
            self.open.remove(&build.id);
        } else {
            self.open.insert(build.id.clone());
        }
    }

    pub fn builds(&self) -> Vec<Build> {
        self.records.values().map(|(text, _)| serde_json::from_str(text).expect("a record")).collect()
    }
}
