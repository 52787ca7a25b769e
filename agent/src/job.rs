//! The process of one job, seen from outside: the keeper.
//!
//! It reads one line of JSON (an [`JobInput`]) from its input and writes one JSON [`bakehouse_protocol::Report`] a line. A line `cancel`, the
//! end of the input (the parent is gone), SIGTERM, SIGINT or SIGHUP cancel the job. If its parent dies it dies, too.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
    time::{Duration, Instant},
};

use bakehouse_protocol::{AgentPhase, Millis, Outcome, ReportBody, VERSION};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl::set_pdeathsig,
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::{Pid, pipe2},
};

use crate::{
    cgroup::{self, Cgroup},
    error::{Doing, EarlyEnd, JobError},
    host::{End, Forked, Waited, clock, close_from, fork, host_proc, prove_free, reap_own_children, wait_for},
    job_input::JobInput,
    keeper_io::{Input, WorkerReports},
    outcome::{self, Position, Volume},
    report::Reporter,
    rundir::RunDir,
    volume_check,
    worker::Worker,
};

/// What the process of a job executes, first thing, while it has one thread. The exit code says only whether the job
/// could be run at all; how it ended is in the last report.
pub fn main() -> ExitCode {
    match keep() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bakehouse agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn keep() -> io::Result<()> {
    // What the caller had open and did not close on exec is no business of a job's.
    close_from(3);
    set_pdeathsig(Signal::SIGKILL)?;
    reap_own_children()?;
    let mut mask = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| mask.add(signal));
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)?;

    let mut input = Input::default();
    let line = input.first_line()?;
    let order: JobInput = serde_json::from_str(&line).map_err(io::Error::other)?;
    let reporter = Reporter::new(order.job.build.clone(), order.settings.host.clone(), order.job.attempt, io::stdout());
    let outcome = match start(order) {
        Ok(running) => running.follow(&reporter, &mut input, &signals)?,
        Err(fault) => EarlyEnd::new(AgentPhase::Find, None, fault).into(),
    };
    reporter.say(clock(), ReportBody::Ended(outcome));
    Ok(())
}

/// A worker that runs, and what is to be cleared after it.
struct RunningWorker {
    worker: Pid,
    dir: RunDir,
    cgroup: Option<Cgroup>,
    reports: OwnedFd,
    /// Dropped to cancel.
    cancel: Option<OwnedFd>,
    heartbeat: Duration,
    patience: Millis,
    note: Option<String>,
}

/// What the keeper has of its worker's end.
struct WorkerEnd {
    heard: WorkerReports,
    end: Option<End>,
    /// The worker did not heed the cancel, so the keeper killed it.
    killed_after_patience: bool,
}

fn start(order: JobInput) -> Result<RunningWorker, JobError> {
    let JobInput { job, settings } = &order;
    if job.version != VERSION {
        return Err(JobError::wrong(format!("the job is of version {}, and this agent knows {VERSION}", job.version)));
    }
    let dir = RunDir::make(&settings.run_dir, &job.build)
        .doing(|| format!("making the job's directory in {}", settings.run_dir.display()))?;
    let mut note = None;
    let group = cgroup::root().map(|root| Cgroup::make(&root, &settings.cgroup, &job.build));
    let cgroup = match group {
        Some(Ok(cgroup)) => Some(cgroup),
        Some(Err(error)) => {
            note = Some(format!("no cgroup for the build, so no limits: {error}"));
            None
        }
        None => {
            note = Some("no cgroup for the build, so no limits: cgroup v2 is not mounted on this host".to_owned());
            None
        }
    };
    match launch(order, dir, cgroup, note) {
        Ok(running) => Ok(running),
        Err(source) => Err(JobError::Io { doing: "starting the job's worker".to_owned(), source }),
    }
}

fn launch(order: JobInput, dir: RunDir, cgroup: Option<Cgroup>, note: Option<String>) -> io::Result<RunningWorker> {
    let procs = match &cgroup {
        Some(cgroup) => {
            dir.remember_cgroup(cgroup.path())?;
            Some(cgroup.procs()?)
        }
        None => None,
    };
    let (cancel_read, cancel_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (reports_read, reports_write) = pipe2(OFlag::O_CLOEXEC)?;
    let heartbeat = Duration::from(order.job.heartbeat).max(Duration::from_millis(10));
    let patience = order.settings.patience;
    unshare(CloneFlags::CLONE_NEWPID)?;
    match fork()? {
        Forked::Child => {
            drop((cancel_write, reports_read));
            Worker { order, dir, procs, cancel: cancel_read, reports: reports_write }.run()
        }
        Forked::Parent(worker) => {
            drop((cancel_read, reports_write, procs));
            let cancel = Some(cancel_write);
            Ok(RunningWorker { worker, dir, cgroup, reports: reports_read, cancel, heartbeat, patience, note })
        }
    }
}

impl RunningWorker {
    fn follow(mut self, out: &Reporter<io::Stdout>, input: &mut Input, signals: &SignalFd) -> io::Result<Outcome> {
        if let Some(note) = self.note.take() {
            out.say(clock(), ReportBody::Note(note));
        }
        let mut patience_ends = None;
        let mut killed_after_patience = false;
        let mut heard = WorkerReports::default();
        let mut beat = Instant::now() + self.heartbeat;
        let mut reports = File::from(self.reports.try_clone()?);
        loop {
            let mut fds = vec![PollFd::new(self.reports.as_fd(), PollFlags::POLLIN)];
            let stdin = io::stdin();
            if self.cancel.is_some() {
                fds.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
                fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
            let rest = beat.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(rest.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
            drop(fds);
            if ready.get(1) == Some(&true) {
                self.cancel = None;
            }
            if ready.get(2) == Some(&true) {
                input.read()?;
            }
            if input.says_cancel() {
                self.cancel = None;
            }
            if self.cancel.is_none()
                && Instant::now()
                    >= *patience_ends.get_or_insert_with(|| Instant::now() + Duration::from(self.patience))
            {
                // Whatever it waits for: with it go its processes and its mounts.
                killed_after_patience = true;
                let _ = kill(self.worker, Signal::SIGKILL);
            }
            if ready.first() == Some(&true) && !heard.read(&mut reports)? {
                break;
            }
            if Instant::now() >= beat {
                out.say(clock(), ReportBody::Heartbeat);
                beat = Instant::now() + self.heartbeat;
            }
        }
        let end = self.await_worker(out)?;
        let (outcome, trouble) = self.clear(WorkerEnd { heard, end, killed_after_patience });
        for what in trouble {
            out.say(clock(), ReportBody::Note(what));
        }
        Ok(outcome)
    }

    /// Waits for the worker's very end. Its pipe closes before that: its mounts go last, and with them what they still
    /// have to write, which may take long on a slow disk.
    fn await_worker(&self, out: &Reporter<io::Stdout>) -> io::Result<Option<End>> {
        let mut beat = Instant::now() + self.heartbeat;
        let mut pause = Duration::from_millis(1);
        loop {
            match wait_for(Some(self.worker))? {
                Waited::Running => {}
                Waited::Ended(_, end) => return Ok(Some(end)),
                Waited::NoChild => return Ok(None),
            }
            if Instant::now() >= beat {
                out.say(clock(), ReportBody::Heartbeat);
                beat = Instant::now() + self.heartbeat;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50)).min(self.heartbeat);
        }
    }

    /// After the worker: removes the rest, and decides how the job ended. Also what could not be removed, and what else a
    /// person should know.
    fn clear(self, WorkerEnd { heard, end, killed_after_patience }: WorkerEnd) -> (Outcome, Vec<String>) {
        let mut trouble = Vec::new();
        let at = Position { phase: heard.phase.unwrap_or(AgentPhase::Find), provisioner: heard.provisioner };
        let killed_by_us = killed_after_patience && heard.ended.is_none();
        if killed_by_us {
            let (phase, patience) = (at.phase, self.patience);
            trouble
                .push(format!("cancelled in phase {phase}, the worker did not end within {patience} and was killed"));
        }
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.remove()
        {
            trouble.push(format!("removing the cgroup {}: {error}", cgroup.path().display()));
        }
        let volume = self.volume();
        if let Volume::Held(why) = &volume {
            trouble.push(format!("the disk is not free: {why}"));
        }
        if let Err(error) = self.dir.remove() {
            trouble.push(format!("removing the job's directory: {error}"));
        }
        (outcome::decide(heard.ended, end, killed_by_us, at, volume), trouble)
    }

    /// Whether the volume is free. The worker's namespaces, and so all that the job mounted or ran, are gone by now.
    fn volume(&self) -> Volume {
        let Some(device) = self.dir.device() else {
            return Volume::NotTaken;
        };
        match host_proc().and_then(|proc| prove_free(proc.as_fd(), &device)) {
            Ok(()) => Volume::Free(volume_check::proof(Some(device))),
            Err(error) => Volume::Held(error.to_string()),
        }
    }
}
