//! The record of one build: everything that is known of it. It is saved as a whole after every decision.

use alloc::{string::String, vec::Vec};
use bakehouse_protocol::{BuildId, BuildSpec, BundleRef, Failure, Region, Timestamp};
use serde::{Deserialize, Serialize};

pub use crate::phase::{FailureReason, Phase, PhaseName, UndoReason};
use crate::{Command, CommandKey, FailingCommand, Plan, Resources, Timing};

/// The record of one build. `record.json` is a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// The version of this format: [`bakehouse_protocol::VERSION`].
    pub format: u16,
    /// The unique id of the build.
    pub id: BuildId,
    /// What the user requested.
    pub spec: BuildSpec,
    /// The region in which it is built.
    pub region: Region,
    /// The recipe's name, for the tags: the template's file name.
    pub recipe: String,
    /// The directory on the job's host that relative file paths of the spec start from.
    pub files: String,
    /// The object that those files are unpacked from, if they are not on the host already.
    #[serde(default)]
    pub bundle: Option<BundleRef>,
    /// The number of the current attempt, counted from 1. A lost host starts the next one.
    #[serde(default = "first")]
    pub attempt: u32,
    /// Time-outs and intervals.
    #[serde(alias = "pace")]
    pub timing: Timing,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Its current phase.
    pub phase: Phase,
    /// When each phase began, in order; the current one is last.
    pub history: Vec<(PhaseName, Timestamp)>,
    /// The plan, fixed once Resolving is done.
    pub plan: Option<Plan>,
    /// What it holds and has created.
    #[serde(alias = "made")]
    pub resources: Resources,
    /// The commands that were issued and have no result yet.
    #[serde(alias = "open")]
    pub in_flight: Vec<InFlight>,
    /// The commands that must wait before they are issued again.
    #[serde(alias = "pauses")]
    pub backoffs: Vec<Backoff>,
    /// The commands that fail and are retried.
    #[serde(default)]
    pub failing: Vec<FailingCommand>,
    /// Whether what it has made stays if it fails: `-on-error=abort`. Cancelled, it is undone all the same.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub keep_failed: bool,
    /// Descriptions of what could not be removed, or was to stay; empty unless undoing ran into its deadline, or
    /// [`Self::keep_failed`] is set.
    #[serde(alias = "left")]
    pub leftovers: Vec<String>,
    /// What a successful build could not do after its images stood, and what a failed one has changed for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

fn first() -> u32 {
    1
}

/// A command that was issued and has no result yet. If none arrives within [`Timing::create_timeout`] or
/// [`Timing::command_timeout`], whoever performed the command counts as dead and it is issued again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InFlight {
    /// The command.
    pub command: Command,
    /// When it was last issued.
    pub since: Timestamp,
}

/// A command that must wait before it is issued again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// Which command.
    #[serde(alias = "step")]
    pub key: CommandKey,
    /// How many times in a row it has had to wait.
    pub tries: u32,
    /// When it may be issued again.
    pub until: Timestamp,
}

/// The arguments of [`Build::new`].
#[derive(Clone, Debug)]
pub struct NewBuild {
    /// The unique id of the build.
    pub id: BuildId,
    /// What the user requested.
    pub spec: BuildSpec,
    /// The region to build in, unless the spec names one.
    pub region: Region,
    /// The recipe's name, for the tags.
    pub recipe: String,
    /// See [`Build::files`].
    pub files: String,
    /// See [`Build::bundle`].
    pub bundle: Option<BundleRef>,
    /// Time-outs and intervals.
    pub timing: Timing,
}

impl Build {
    /// Creates the record of a build that has not started.
    pub fn new(new: NewBuild, now: Timestamp) -> Self {
        let polling = new.spec.polling;
        Self {
            format: bakehouse_protocol::VERSION,
            id: new.id,
            region: new.spec.region.clone().unwrap_or(new.region),
            spec: new.spec,
            recipe: new.recipe,
            files: new.files,
            bundle: new.bundle,
            attempt: first(),
            timing: new.timing.with_polling(&polling),
            accepted_at: now,
            phase: Phase::Accepted,
            history: alloc::vec![(PhaseName::Accepted, now)],
            plan: None,
            resources: Resources::default(),
            in_flight: Vec::new(),
            backoffs: Vec::new(),
            failing: Vec::new(),
            keep_failed: false,
            leftovers: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Returns when the current phase began.
    pub fn phase_began(&self) -> Timestamp {
        self.history.last().map_or(self.accepted_at, |(_, at)| *at)
    }

    /// Returns the commands that have failed often enough to be reported.
    pub fn reportable_failures(&self) -> impl Iterator<Item = &FailingCommand> {
        self.failing.iter().filter(|failing| failing.is_reportable())
    }

    /// Returns those of them that an earlier record did not have, or had with another fault.
    pub fn newly_reportable_failures<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a FailingCommand> {
        let was_reported = |now: &FailingCommand| {
            let same = |it: &FailingCommand| it.key == now.key && it.summary() == now.summary();
            before.reportable_failures().any(same)
        };
        self.reportable_failures().filter(move |failing| !was_reported(failing))
    }

    /// Adds the current phase to the history if it is new.
    pub(crate) fn record_phase(&mut self, now: Timestamp) {
        let name = self.phase.name();
        if self.history.last().is_none_or(|(last, _)| *last != name) {
            self.history.push((name, now));
            self.backoffs.clear();
        }
    }

    /// Undoes the build because its host was lost; then it starts again, or has failed after the last attempt.
    pub(crate) fn lose_host(&mut self, message: String, hint: Option<String>, failure: Option<Failure>) {
        if self.attempt >= self.timing.max_attempts {
            return self.fail_with(message, hint, failure);
        }
        if !matches!(self.phase, Phase::Undoing(_)) {
            self.phase = Phase::Undoing(UndoReason::Restart { message });
        }
    }

    /// Undoes the build; then it has failed.
    pub(crate) fn fail(&mut self, message: String, hint: Option<String>) {
        self.fail_with(message, hint, None);
    }

    /// Like [`Build::fail`], with what the agent reported.
    pub(crate) fn fail_with(&mut self, message: String, hint: Option<String>, failure: Option<Failure>) {
        // Once the images stand for good, their build does not fail any more.
        if self.phase == Phase::Retiring {
            return self.warnings.push(message);
        }
        if !matches!(self.phase, Phase::Undoing(_)) {
            let reason = FailureReason { phase: self.phase.name(), message, hint, failure };
            self.phase = Phase::Undoing(UndoReason::Failed(reason));
        }
    }
}
