//! The process that runs the pipeline: process 1 of the build's PID namespace. What runs in the image does not see it.

use std::{fs::File, io, os::fd::OwnedFd, process, sync::Mutex};

use bakehouse_protocol::{AgentPhase, ReportBody};
use nix::{
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};

use crate::{
    context::Context,
    error::{EarlyEnd, JobError},
    host::{Host, Linux, clock},
    job_input::JobInput,
    pipeline,
    report::Reporter,
    rundir::RunDir,
};

/// In the job's directory: where the worker mounts a tmpfs that only its mount namespace has.
const PRIVATE: &str = "private";

/// What the worker is given.
pub(crate) struct Worker {
    pub(crate) order: JobInput,
    pub(crate) dir: RunDir,
    pub(crate) procs: Option<OwnedFd>,
    pub(crate) cancel: OwnedFd,
    pub(crate) reports: OwnedFd,
}

impl Worker {
    /// Runs the job and ends the process.
    pub(crate) fn run(self) -> ! {
        let Self { order: JobInput { job, settings }, dir, procs, cancel, reports } = self;
        // Should the keeper be killed, this process goes, and as process 1 it takes its whole namespace along.
        let tied = set_pdeathsig(Signal::SIGKILL);
        let reports = File::from(reports);
        let reporter = |out| Reporter::new(job.build.clone(), settings.host.clone(), job.attempt, out);
        let private = dir.path.join(PRIVATE);
        let started = tied.map_err(io::Error::from).and_then(|()| {
            report_panics(reporter(reports.try_clone()?));
            // The keeper's input and output are the keeper's, and its errors go to whoever started the build.
            let null = File::options().read(true).write(true).open("/dev/null")?;
            dup2_stdin(&null)?;
            dup2_stdout(&null)?;
            dup2_stderr(&null)?;
            std::fs::create_dir_all(&private)?;
            Linux::new(cancel, procs, &private)
        });
        let reporter = reporter(reports);
        let outcome = match started {
            Ok(host) => {
                let say = |body| reporter.say(host.now(), body);
                let (job, settings) = (&job, &settings);
                pipeline::run(&Context { host: &host, job, settings, dir: &dir.path, private: &private, say: &say })
            }
            Err(source) => {
                let doing = "making the build's namespaces".to_owned();
                EarlyEnd::new(AgentPhase::Find, None, JobError::Io { doing, source }).into()
            }
        };
        reporter.say(clock(), ReportBody::Ended(outcome));
        // Not a return: what the keeper has set up is cleared by the keeper.
        process::exit(0)
    }
}

/// Reports a panic as a note: this process has no standard error to print it to. The keeper reports the exit status.
fn report_panics(reporter: Reporter<File>) {
    let reporter = Mutex::new(reporter);
    std::panic::set_hook(Box::new(move |panic| {
        if let Ok(reporter) = reporter.lock() {
            let text = panic.to_string().replace('\n', " ");
            reporter.say(clock(), ReportBody::Note(format!("the agent's worker {text}")));
        }
    }));
}
