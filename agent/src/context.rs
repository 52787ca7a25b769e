//! What every phase of a job works with: the host, the job, and the way to report.

use std::{io, path::Path};

use bakehouse_protocol::{AgentPhase, Job, ReportBody};

use crate::{
    Settings,
    error::JobError,
    host::{Command, End, Host},
    lines::Tail,
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

impl Context<'_> {
    /// Runs a program to its end and reports its output line by line. Returns how it ended, and its last lines.
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
    pub(crate) fn check_cancelled(&self) -> Result<(), JobError> {
        if self.host.cancelled() { Err(JobError::Cancelled) } else { Ok(()) }
    }
}
