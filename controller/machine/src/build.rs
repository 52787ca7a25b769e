//! All that is remembered of one build. Saved as one record, whole, after every decision.

use alloc::{string::String, vec::Vec};
use bakehouse_protocol::{BuildId, BuildSpec, BundleRef, Failure, Region, Timestamp};
use serde::{Deserialize, Serialize};

pub use crate::phase::{Phase, PhaseName, Reason, UndoReason};
use crate::{Command, Failing, Plan, Resources, Step, Timing};

/// One build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// The format of this record: [`bakehouse_protocol::VERSION`].
    pub format: u16,
    /// Its name.
    pub id: BuildId,
    /// What the user asked for.
    pub spec: BuildSpec,
    /// The region it is built in.
    pub region: Region,
    /// The recipe's name, for the tags: the template's file name.
    pub recipe: String,
    /// The directory that the spec's relative file paths are taken from, on the host that runs the job.
    pub files: String,
    /// Where those files come from, if they are not on the host already.
    #[serde(default)]
    pub bundle: Option<BundleRef>,
    /// How often it has been begun, counted from 1: more than once if a host was lost under it.
    #[serde(default = "first")]
    pub attempt: u32,
    /// How long things may take.
    #[serde(alias = "pace")]
    pub timing: Timing,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Where it is.
    pub phase: Phase,
    /// When each phase began, in order; the present one last.
    pub history: Vec<(PhaseName, Timestamp)>,
    /// The full plan; fixed once Resolving is done.
    pub plan: Option<Plan>,
    /// What exists because of this build.
    #[serde(alias = "made")]
    pub resources: Resources,
    /// Commands given out whose result has not come in.
    #[serde(alias = "open")]
    pub in_flight: Vec<InFlight>,
    /// Steps that must wait a while before they are tried again.
    #[serde(alias = "pauses")]
    pub backoffs: Vec<Backoff>,
    /// What the steps that are tried again have met last.
    #[serde(default)]
    pub failing: Vec<Failing>,
    /// What could not be removed, for the operator; empty unless undoing itself failed.
    pub left: Vec<String>,
}

fn first() -> u32 {
    1
}

/// A command given out whose result has not come in. If none comes for [`Timing::grace`] ([`Timing::again`] if it makes
/// nothing), it is given out again: whoever performed it is taken for dead by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InFlight {
    /// What was asked.
    pub command: Command,
    /// When it was given out last.
    pub since: Timestamp,
}

/// A step that waits before its next try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backoff {
    /// Which.
    pub step: Step,
    /// How many tries have been made in a row.
    pub tries: u32,
    /// When the next may be made.
    pub until: Timestamp,
}

/// What a new build is made from.
#[derive(Clone, Debug)]
pub struct NewBuild {
    /// Its name, unique.
    pub id: BuildId,
    /// What the user asked for.
    pub spec: BuildSpec,
    /// The region of the place it runs in; the spec's own wins.
    pub region: Region,
    /// The recipe's name, for the tags.
    pub recipe: String,
    /// See [`Build::files`].
    pub files: String,
    /// See [`Build::bundle`].
    pub bundle: Option<BundleRef>,
    /// How long things may take.
    pub timing: Timing,
}

impl Build {
    /// A build at its beginning.
    pub fn new(new: NewBuild, now: Timestamp) -> Self {
        Self {
            format: bakehouse_protocol::VERSION,
            id: new.id,
            region: new.spec.region.clone().unwrap_or(new.region),
            spec: new.spec,
            recipe: new.recipe,
            files: new.files,
            bundle: new.bundle,
            attempt: first(),
            timing: new.timing,
            accepted_at: now,
            phase: Phase::Accepted,
            history: alloc::vec![(PhaseName::Accepted, now)],
            plan: None,
            resources: Resources::default(),
            in_flight: Vec::new(),
            backoffs: Vec::new(),
            failing: Vec::new(),
            left: Vec::new(),
        }
    }

    /// When the present phase began.
    pub fn phase_began(&self) -> Timestamp {
        self.history.last().map_or(self.accepted_at, |(_, at)| *at)
    }

    /// Notes that a new phase has begun, if one has.
    pub(crate) fn note_phase(&mut self, now: Timestamp) {
        let name = self.phase.name();
        if self.history.last().is_none_or(|(last, _)| *last != name) {
            self.history.push((name, now));
            self.backoffs.clear();
        }
    }

    /// Turns back because the host was lost: everything made is removed, then the build begins anew, if it may.
    pub(crate) fn lose(&mut self, why: String, hint: Option<String>) {
        self.lose_with(why, hint, None);
    }

    /// The same, with what the agent said.
    pub(crate) fn lose_with(&mut self, why: String, hint: Option<String>, failure: Option<Failure>) {
        if self.attempt >= self.timing.attempts {
            return self.fail_with(why, hint, failure);
        }
        if !matches!(self.phase, Phase::Undoing(_)) {
            self.phase = Phase::Undoing(UndoReason::Again { why });
        }
    }

    /// Turns back: everything made is removed, then the build has failed.
    pub(crate) fn fail(&mut self, message: String, hint: Option<String>) {
        self.fail_with(message, hint, None);
    }

    /// The same, with what the agent said.
    pub(crate) fn fail_with(&mut self, message: String, hint: Option<String>, failure: Option<Failure>) {
        if !matches!(self.phase, Phase::Undoing(_)) {
            let reason = Reason { phase: self.phase.name(), message, hint, failure };
            self.phase = Phase::Undoing(UndoReason::Failed(reason));
        }
    }

    /// The steps that go on failing, as far as they are worth telling.
    pub fn worth_telling(&self) -> impl Iterator<Item = &Failing> {
        self.failing.iter().filter(|failing| failing.is_worth_telling())
    }

    /// Those of them that were not in an earlier record, or for another reason.
    pub fn newly_worth_telling<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a Failing> {
        let was_told = |now: &Failing| {
            let same = |it: &Failing| it.step == now.step && it.reason() == now.reason();
            before.worth_telling().any(same)
        };
        self.worth_telling().filter(move |failing| !was_told(failing))
    }
}
