//! The run of one job, on one page.
//!
//! Each phase takes the value of the phase before and gives the next one, so that "provision before mount" does not
//! compile. A phase that fails undoes itself and everything before it, newest first, and says in its [`Stop`] whether
//! the volume is free. Should one be dropped on the way (a panic), its guards undo it all the same.

use std::{io, path::Path};

use bakehouse_protocol::{AgentPhase, Job, Outcome, Proof, ReportBody};

use crate::{
    Settings,
    find::find,
    host::{Command, End, Host},
    lines::Tail,
    stop::{Fault, Stop},
};

/// What every phase works with.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) job: &'a Job,
    pub(crate) settings: &'a Settings,
    /// A directory of the host for this job alone.
    pub(crate) dir: &'a Path,
    /// A directory that only the job's own mount namespace has: it ends with the job.
    pub(crate) private: &'a Path,
    pub(crate) say: &'a dyn Fn(ReportBody),
}

/// Runs the job to its end, whatever that is.
pub(crate) fn run(cx: &Context<'_>) -> Outcome {
    match tell(cx) {
        Ok(proof) => Outcome::Done(proof),
        Err(stop) => stop.into(),
    }
}

fn tell(cx: &Context<'_>) -> Result<Proof, Stop> {
    find(cx)?.mount()?.enter()?.provision()?.leave()?.unmount()
}

impl Context<'_> {
    /// Runs a program to its end, its output reported line by line; how it ended, and its last lines.
    pub(crate) fn run(&self, command: &Command) -> io::Result<(End, Tail)> {
        let mut tail = Tail::default();
        let end = self.host.run(command, &mut |stream, line| {
            tail.push(line);
            (self.say)(ReportBody::Output { stream, line: line.to_owned() });
        })?;
        Ok((end, tail))
    }

    pub(crate) fn phase(&self, phase: AgentPhase) {
        (self.say)(ReportBody::Phase(phase));
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        (self.say)(ReportBody::Note(text.into()));
    }

    /// Stops here if the job was cancelled.
    pub(crate) fn go_on(&self) -> Result<(), Fault> {
        if self.host.cancelled() { Err(Fault::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "story_tests.rs"]
pub(crate) mod tests;
