//! The process that tells the story: process 1 of the build's PID namespace.

use std::{fs::File, os::fd::OwnedFd, process};

use bakehouse_protocol::{AgentPhase, ReportBody};
use nix::{
    sys::{prctl::set_pdeathsig, signal::Signal},
    unistd::dup2_stdin,
};

use crate::{
    host::{Host, Linux, clock},
    job::Order,
    report::Reporter,
    rundir::RunDir,
    stop::{Fault, Stop},
    story::{self, Context},
};

/// What the worker is given.
pub(crate) struct Worker {
    pub(crate) order: Order,
    pub(crate) dir: RunDir,
    pub(crate) procs: Option<OwnedFd>,
    pub(crate) cancel: OwnedFd,
    pub(crate) reports: OwnedFd,
}

impl Worker {
    /// Runs the job and ends the process.
    pub(crate) fn run(self) -> ! {
        let Self { order: Order { job, settings }, dir, procs, cancel, reports } = self;
        // Should the keeper be killed, this process goes, and as process 1 it takes its whole namespace along.
        let tied = set_pdeathsig(Signal::SIGKILL);
        let reporter = Reporter::new(job.build.clone(), settings.host.clone(), job.attempt, File::from(reports));
        let started = tied.map_err(std::io::Error::from).and_then(|()| {
            // The keeper's input is the keeper's.
            dup2_stdin(File::open("/dev/null")?)?;
            Linux::new(cancel, procs)
        });
        let outcome = match started {
            Ok(host) => {
                let say = |body| reporter.say(host.now(), body);
                let cx = Context { host: &host, job: &job, settings: &settings, dir: &dir.path, say: &say };
                story::run(&cx)
            }
            Err(source) => {
                let doing = "making the build's namespaces".to_owned();
                Stop::new(AgentPhase::Find, None, Fault::Io { doing, source }).into()
            }
        };
        reporter.say(clock(), ReportBody::Ended(outcome));
        // Not a return: what the keeper has set up is cleared by the keeper.
        process::exit(0)
    }
}
