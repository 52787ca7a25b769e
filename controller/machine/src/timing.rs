//! How long things may take and how often to look. Part of the build's record, so that a test, a local build and the
//! deployed pair differ in numbers only.

use bakehouse_protocol::Millis;
use serde::{Deserialize, Serialize};

use crate::phase::PhaseName;

/// The times of one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The first wait between two looks at something that takes its time; it doubles up to `look_most`.
    pub look_first: Millis,
    /// The longest wait between two looks.
    pub look_most: Millis,
    /// How long nothing can be expected of what was just asked for: the first look comes after it. A look at once would
    /// be a call for nothing.
    #[serde(default)]
    pub settle: Millis,
    /// The same for what EC2 must copy data for: a snapshot, a copied image.
    #[serde(default)]
    pub settle_data: Millis,
    /// The first wait after a throttle; it doubles up to `retry_most`.
    pub retry_first: Millis,
    /// The longest wait after a throttle.
    pub retry_most: Millis,
    /// After how long without an answer a command that makes something is given out again. Longer than any one call may
    /// last, and longer than `consistency`, so that a repeated create finds what the first may have made.
    pub grace: Millis,
    /// The same for a command that makes nothing: longer than whoever performs commands lives, as a Lambda's invocation.
    #[serde(default = "three_minutes")]
    pub again: Millis,
    /// For how long after it was made a thing may not be seen yet (EC2's eventual consistency).
    pub consistency: Millis,
    /// After how long without a heartbeat the agent is taken for dead. Longer than a message takes that was in the hands
    /// of a function when it died, twice: a finished job must not be lost with the function that was told of it.
    pub silence: Millis,
    /// How often the agent sends a heartbeat.
    pub heartbeat: Millis,
    /// How long the agent waits for its disk.
    pub disk: Millis,
    /// How long a step that is told to stop has between SIGTERM and SIGKILL.
    pub stop_grace: Millis,
    /// How long a lease lasts unless renewed; it is renewed at half of it.
    pub lease: Millis,
    /// How often a build is begun, at most: anew each time its host is lost.
    #[serde(default = "once")]
    pub attempts: u32,
    /// The longest that Provisioning may take.
    pub provisioning: Millis,
    /// The longest that any phase that waits for EC2's copying of data may take (Snapshotting, Copying).
    pub copying: Millis,
    /// The longest that any other phase may take.
    pub phase: Millis,
}

fn once() -> u32 {
    1
}

fn three_minutes() -> Millis {
    Millis::minutes(3)
}

impl Timing {
    /// Against AWS.
    pub const AWS: Self = Self {
        look_first: Millis(2000),
        look_most: Millis::seconds(30),
        settle: Millis(1500),
        settle_data: Millis::seconds(10),
        retry_first: Millis(1000),
        retry_most: Millis::minutes(1),
        grace: Millis::minutes(3),
        again: Millis::seconds(70),
        consistency: Millis::minutes(2),
        silence: Millis::minutes(4),
        heartbeat: Millis::seconds(20),
        disk: Millis::minutes(5),
        stop_grace: Millis::seconds(10),
        lease: Millis::minutes(30),
        attempts: 3,
        provisioning: Millis::minutes(240),
        copying: Millis::minutes(720),
        phase: Millis::minutes(60),
    };

    /// Against the embedded cloud on this machine, which answers at once and forgets nothing.
    pub const LOCAL: Self = Self {
        look_first: Millis(5),
        look_most: Millis(500),
        settle: Millis(0),
        settle_data: Millis(0),
        retry_first: Millis(50),
        retry_most: Millis::seconds(2),
        grace: Millis::seconds(60),
        again: Millis::seconds(60),
        consistency: Millis(0),
        silence: Millis::seconds(60),
        heartbeat: Millis::seconds(5),
        disk: Millis::seconds(30),
        stop_grace: Millis::seconds(5),
        lease: Millis::minutes(10),
        attempts: 1,
        provisioning: Millis::minutes(240),
        copying: Millis::minutes(60),
        phase: Millis::minutes(10),
    };

    /// The longest that a phase may take.
    pub fn deadline(&self, phase: PhaseName) -> Millis {
        match phase {
            PhaseName::Provisioning => self.provisioning,
            PhaseName::Snapshotting | PhaseName::Copying | PhaseName::Queued => self.copying,
            _ => self.phase,
        }
    }

    /// How long to wait before look number `tries` (counted from 1).
    pub fn look(&self, tries: u32) -> Millis {
        doubled(self.look_first, self.look_most, tries)
    }

    /// How long to wait after throttle number `tries` (counted from 1).
    pub fn retry(&self, tries: u32) -> Millis {
        doubled(self.retry_first, self.retry_most, tries)
    }
}

fn doubled(first: Millis, most: Millis, tries: u32) -> Millis {
    let factor = 1u64.checked_shl(tries.saturating_sub(1).min(20)).unwrap_or(u64::MAX);
    Millis(first.0.saturating_mul(factor).min(most.0))
}
