//! The worker: the process that runs the pipeline. It is process 1 of the job's PID namespace; programs in the image
//! can't see it.

use std::{fs::File, io, os::fd::OwnedFd, process, sync::Mutex};

use bakehouse_protocol::{AgentPhase, ReportBody, mask::Mask};
use nix::{
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};

use crate::{
    context::Context,
    error::{Aborted, JobError},
    host::{Host, Linux, clock},
    job_dir::JobDir,
    job_input::JobInput,
    pipeline,
    report::Reporter,
};

/// The directory in the job's directory on which the worker mounts its private tmpfs.
const PRIVATE: &str = "private";

/// What the worker inherits from the supervisor.
pub(crate) struct Worker {
    pub(crate) job_input: JobInput,
    pub(crate) dir: JobDir,
    /// `cgroup.procs` of the job's cgroup, if there is one.
    pub(crate) cgroup_procs: Option<OwnedFd>,
    /// The pipe whose end cancels the job.
    pub(crate) cancel: OwnedFd,
    /// The pipe with the answers of a person, one a line.
    pub(crate) answers: OwnedFd,
    /// The pipe to write reports to.
    pub(crate) reports: OwnedFd,
}

impl Worker {
    /// Runs the job and ends the process.
    pub(crate) fn run(self) -> ! {
        let Self { job_input: JobInput { job, settings }, dir, cgroup_procs, cancel, answers, reports } = self;
        // If the supervisor is killed, the kernel kills this process, and with process 1 its whole PID namespace.
        let death_signal_set = set_pdeathsig(Signal::SIGKILL);
        let reports = File::from(reports);
        let reporter = |out| Reporter::new(job.build.clone(), settings.host.clone(), job.attempt, out);
        let private_dir = dir.path.join(PRIVATE);
        let host = death_signal_set.map_err(io::Error::from).and_then(|()| {
            report_panics(reporter(reports.try_clone()?));
            // Standard input, output and error are the supervisor's.
            let null = File::options().read(true).write(true).open("/dev/null")?;
            dup2_stdin(&null)?;
            dup2_stdout(&null)?;
            dup2_stderr(&null)?;
            std::fs::create_dir_all(&private_dir)?;
            Linux::new(cancel, answers, cgroup_procs, &private_dir)
        });
        let reporter = reporter(reports);
        let outcome = match host {
            Ok(host) => {
                let report = |body| reporter.report(host.now(), body);
                let (job, settings) = (&job, &settings);
                let (job_dir, private_dir) = (&dir.path, &private_dir);
                let mask = Mask::new(&job.sensitive);
                pipeline::run(&Context { host: &host, job, settings, job_dir, private_dir, mask, report: &report })
            }
            Err(source) => {
                let operation = "creating the job's namespaces".to_owned();
                Aborted::new(AgentPhase::Find, None, JobError::Io { operation, source }).into()
            }
        };
        reporter.report(clock(), ReportBody::Ended(outcome));
        // It does not return: what the supervisor has set up is cleaned up by the supervisor.
        process::exit(0)
    }
}

/// Reports a panic as a note, as this process has no standard error. The supervisor reports the exit status.
fn report_panics(reporter: Reporter<File>) {
    let reporter = Mutex::new(reporter);
    std::panic::set_hook(Box::new(move |panic| {
        if let Ok(reporter) = reporter.lock() {
            let text = panic.to_string().replace('\n', " ");
            reporter.report(clock(), ReportBody::Note(format!("the agent's worker {text}")));
        }
    }));
}
