//! Time-outs and intervals of a build. They are part of its record, so that tests, local builds and stacks differ in
//! numbers only.

use bakehouse_protocol::{Millis, spec::Polling};
use serde::{Deserialize, Serialize};

use crate::phase::PhaseName;

/// The time-outs and intervals of one build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The first interval between two describe commands for a resource that changes slowly; it doubles up to
    /// `poll_max`.
    #[serde(alias = "look_first")]
    pub poll_min: Millis,
    /// The longest interval between two describe commands.
    #[serde(alias = "look_most")]
    pub poll_max: Millis,
    /// How long after a command that changes a resource it is first described: earlier it can't have changed.
    #[serde(default, alias = "settle")]
    pub poll_delay: Millis,
    /// The same for snapshots and copied images, for which EC2 must copy data.
    #[serde(default, alias = "settle_data")]
    pub copy_poll_delay: Millis,
    /// The first wait before a command is retried after a fault; it doubles up to `retry_max`.
    #[serde(alias = "retry_first")]
    pub retry_min: Millis,
    /// The longest wait before a command is retried after a fault.
    #[serde(alias = "retry_most")]
    pub retry_max: Millis,
    /// After how long without a result a command that creates something is issued again. It is longer than any single
    /// call can take, and longer than `consistency`, so that the second command finds what the first may have created.
    #[serde(alias = "grace")]
    pub create_timeout: Millis,
    /// After how long without a result any other command is issued again. It is longer than the process that performs
    /// commands can live, such as one invocation of a Lambda function.
    #[serde(default = "three_minutes", alias = "again")]
    pub command_timeout: Millis,
    /// For how long a new resource may not be visible yet (EC2's eventual consistency).
    pub consistency: Millis,
    /// After how long without a report the agent counts as dead. It is longer than twice the time for which a message
    /// stays hidden when the function that received it dies, so that a finished job is not lost with that function.
    pub silence: Millis,
    /// How often the agent sends a heartbeat.
    pub heartbeat: Millis,
    /// How long the agent waits for its disk to appear.
    #[serde(alias = "disk")]
    pub disk_timeout: Millis,
    /// How long a provisioner that is stopped has between SIGTERM and SIGKILL.
    pub stop_grace: Millis,
    /// How long a lease lasts unless it is renewed, which happens at half of this time.
    #[serde(alias = "lease")]
    pub lease_duration: Millis,
    /// How often a build is attempted at most: it starts again each time its host is lost.
    #[serde(default = "once", alias = "attempts")]
    pub max_attempts: u32,
    /// The longest that Provisioning may take.
    #[serde(alias = "provisioning")]
    pub provisioning_timeout: Millis,
    /// The longest that each phase may take that waits for EC2 to copy data or for a host (Snapshotting, Copying,
    /// Queued).
    #[serde(alias = "copying")]
    pub copying_timeout: Millis,
    /// The longest that any other phase may take.
    #[serde(alias = "phase")]
    pub phase_timeout: Millis,
}

fn once() -> u32 {
    1
}

fn three_minutes() -> Millis {
    Millis::minutes(3)
}

impl Timing {
    /// For builds in AWS.
    pub const AWS: Self = Self {
        poll_min: Millis(2000),
        poll_max: Millis::seconds(30),
        poll_delay: Millis(1500),
        copy_poll_delay: Millis::seconds(10),
        retry_min: Millis(1000),
        retry_max: Millis::minutes(1),
        create_timeout: Millis::minutes(3),
        command_timeout: Millis::seconds(70),
        consistency: Millis::minutes(2),
        silence: Millis::minutes(4),
        heartbeat: Millis::seconds(20),
        disk_timeout: Millis::minutes(5),
        stop_grace: Millis::seconds(10),
        lease_duration: Millis::minutes(30),
        max_attempts: 3,
        provisioning_timeout: Millis::minutes(240),
        copying_timeout: Millis::minutes(720),
        phase_timeout: Millis::minutes(60),
    };

    /// For builds in the embedded cloud on this machine, which answers at once and is consistent.
    pub const LOCAL: Self = Self {
        poll_min: Millis(5),
        poll_max: Millis(500),
        poll_delay: Millis(0),
        copy_poll_delay: Millis(0),
        retry_min: Millis(50),
        retry_max: Millis::seconds(2),
        create_timeout: Millis::seconds(60),
        command_timeout: Millis::seconds(60),
        consistency: Millis(0),
        silence: Millis::seconds(60),
        heartbeat: Millis::seconds(5),
        disk_timeout: Millis::seconds(30),
        stop_grace: Millis::seconds(5),
        lease_duration: Millis::minutes(10),
        max_attempts: 1,
        provisioning_timeout: Millis::minutes(240),
        copying_timeout: Millis::minutes(60),
        phase_timeout: Millis::minutes(10),
    };

    /// Returns the timing with a template's `aws_polling`: the time between two describe commands, and how long a
    /// snapshot or an image is waited for. As with Packer, a number of attempts without a delay means 15 s each.
    #[must_use]
    pub fn with_polling(mut self, polling: &Polling) -> Self {
        const DELAY: u32 = 15;
        if let Some(seconds) = polling.delay_seconds {
            self.poll_min = Millis::seconds(seconds.into());
            self.poll_max = self.poll_min;
        }
        if let Some(attempts) = polling.max_attempts {
            let delay = u64::from(polling.delay_seconds.unwrap_or(DELAY));
            self.copying_timeout = Millis::seconds(delay * u64::from(attempts));
        }
        self
    }

    /// Returns the longest that a phase may take.
    pub fn timeout(&self, phase: PhaseName) -> Millis {
        match phase {
            PhaseName::Provisioning => self.provisioning_timeout,
            PhaseName::Snapshotting | PhaseName::Copying | PhaseName::Queued => self.copying_timeout,
            _ => self.phase_timeout,
        }
    }

    /// Returns how long to wait before the next describe command after this many that showed nothing new.
    pub fn poll_interval(&self, tries: u32) -> Millis {
        doubled(self.poll_min, self.poll_max, tries)
    }

    /// Returns how long to wait before the next retry after this many tries that failed.
    pub fn retry_interval(&self, tries: u32) -> Millis {
        doubled(self.retry_min, self.retry_max, tries)
    }
}

/// Returns `first` for the first try and twice as much for each further one, up to `most`.
fn doubled(first: Millis, most: Millis, tries: u32) -> Millis {
    let factor = 1u64.checked_shl(tries.saturating_sub(1).min(20)).unwrap_or(u64::MAX);
    Millis(first.0.saturating_mul(factor).min(most.0))
}

#[cfg(test)]
mod polling_tests {
    use super::*;

    #[test]
    fn a_templates_polling_sets_interval_and_deadline() {
        let timing = Timing::AWS.with_polling(&Polling { delay_seconds: Some(5), max_attempts: Some(60) });
        assert_eq!((timing.poll_interval(1), timing.poll_interval(9)), (Millis::seconds(5), Millis::seconds(5)));
        assert_eq!(timing.timeout(PhaseName::Copying), Millis::minutes(5));
        let attempts = Timing::AWS.with_polling(&Polling { delay_seconds: None, max_attempts: Some(40) });
        assert_eq!(attempts.timeout(PhaseName::Snapshotting), Millis::minutes(10));
        assert_eq!(Timing::AWS.with_polling(&Polling::default()), Timing::AWS);
    }
}
