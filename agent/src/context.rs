//! What every phase of a job uses: the host, the job, its directories, and the way to report.

use std::{
    io,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{AgentPhase, Job, ReportBody, mask::Mask, spec::SourceFile};

use crate::{
    Settings,
    error::JobError,
    host::{Command, Host, ProcessEnd},
    lines::Tail,
};

/// What every phase of a job uses.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) job: &'a Job,
    pub(crate) settings: &'a Settings,
    /// The directory of this job on the host (`job_dir.rs`).
    pub(crate) job_dir: &'a Path,
    /// A tmpfs that only the worker's mount namespace has, so that it ends with the job.
    pub(crate) private_dir: &'a Path,
    /// Masks sensitive values in what titles and notes quote. (Output and errors are masked by who receives them.)
    pub(crate) mask: Mask,
    /// Sends a report.
    pub(crate) report: &'a dyn Fn(ReportBody),
}

impl Context<'_> {
    /// Runs a program to its end and reports its output line by line. Returns how it ended, and its last lines.
    pub(crate) fn run(&self, command: &Command) -> io::Result<(ProcessEnd, Tail)> {
        let mut tail = Tail::default();
        let end = self.host.run(command, &mut |stream, line| {
            tail.push(line);
            (self.report)(ReportBody::Output { stream, line: line.to_owned() });
        })?;
        Ok((end, tail))
    }

    /// Returns the path on the host of a file that the template names.
    pub(crate) fn source_path(&self, file: &SourceFile) -> PathBuf {
        Path::new(&self.job.files).join(&file.path)
    }

    /// Reports that a phase begins.
    pub(crate) fn report_phase(&self, phase: AgentPhase) {
        (self.report)(ReportBody::Phase(phase));
    }

    /// Reports something that a person should know.
    pub(crate) fn note(&self, text: impl Into<String>) {
        (self.report)(ReportBody::Note(text.into()));
    }

    /// Returns an error if the job was cancelled.
    pub(crate) fn check_cancelled(&self) -> Result<(), JobError> {
        if self.host.is_cancelled() { Err(JobError::Cancelled) } else { Ok(()) }
    }
}
