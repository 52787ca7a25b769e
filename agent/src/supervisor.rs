//! The supervisor: the process of a job that starts the worker, watches it, and cleans up after it.
//!
//! It reads one line of JSON (a `JobInput`) from its standard input and writes [`bakehouse_protocol::Report`]s to its
//! standard output, as JSON, one a line. A line `cancel`, the end of the input, SIGTERM, SIGINT or SIGHUP cancel the
//! job; a line that is a [`bakehouse_protocol::Answer`] is passed to the worker. The kernel kills it when its parent
//! dies.

use std::{
    fs::File,
    io::{self, Write},
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
    error::{Aborted, ErrorContext, JobError},
    host::{
        Forked, ProcessEnd, WaitResult, clock, close_from, fork, open_proc, prove_free, reap_own_children, try_wait,
    },
    job_dir::JobDir,
    job_input::JobInput,
    outcome::{self, Position},
    report::Reporter,
    supervisor_io::{Input, WorkerReports},
    volume_check::{self, VolumeCheck},
    worker::Worker,
};

/// The main function of a job's process. It must be called before the process starts a second thread. The exit code
/// says only whether the job could be run; how it ended is in the last report.
pub fn main() -> ExitCode {
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bakehouse agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise() -> io::Result<()> {
    // Files that the caller had open without close-on-exec must not be reachable from the job.
    close_from(3);
    set_pdeathsig(Signal::SIGKILL)?;
    reap_own_children()?;
    let mut mask = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| mask.add(signal));
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)?;

    let mut input = Input::default();
    let line = input.first_line()?;
    let job_input: JobInput = serde_json::from_str(&line).map_err(io::Error::other)?;
    let reporter = Reporter::new(
        job_input.job.build.clone(),
        job_input.settings.host.clone(),
        job_input.job.attempt,
        io::stdout(),
    );
    let outcome = match start(job_input) {
        Ok(running) => running.wait(&reporter, &mut input, &signals)?,
        Err(error) => Aborted::new(AgentPhase::Find, None, error).into(),
    };
    reporter.report(clock(), ReportBody::Ended(outcome));
    Ok(())
}

/// A running worker, and what must be cleaned up after it.
struct RunningWorker {
    worker: Pid,
    dir: JobDir,
    cgroup: Option<Cgroup>,
    /// The pipe from which the worker's reports are read.
    reports: OwnedFd,
    /// The pipe whose end tells the worker to cancel. `None` once the job is cancelled.
    cancel: Option<OwnedFd>,
    /// The pipe with the answers of a person for the worker.
    answers: File,
    heartbeat: Duration,
    cancel_timeout: Millis,
    /// A note to report first.
    note: Option<String>,
}

/// How the worker ended.
struct WorkerEnd {
    reports: WorkerReports,
    end: Option<ProcessEnd>,
    /// Whether the supervisor killed it because it did not end in time after the cancellation.
    killed_after_timeout: bool,
}

/// Creates the job's directory and cgroup and starts the worker.
fn start(job_input: JobInput) -> Result<RunningWorker, JobError> {
    let JobInput { job, settings } = &job_input;
    if job.version != VERSION {
        return Err(JobError::new(format!("the job is of version {}, and this agent knows {VERSION}", job.version)));
    }
    let dir = JobDir::create(&settings.run_dir, &job.build)
        .context(|| format!("creating the job's directory in {}", settings.run_dir.display()))?;
    let mut note = None;
    let path = cgroup::mount_point().map(|mounted| Cgroup::path_of(&mounted, &settings.cgroup, &job.build));
    if let Some(path) = &path {
        // Before it is created: whoever cleans up after a killed agent knows of the groups that are recorded.
        dir.record_cgroup(path).context(|| format!("recording the cgroup in {}", dir.path.display()))?;
    }
    let cgroup = match path.map(Cgroup::create) {
        Some(Ok(cgroup)) => Some(cgroup),
        Some(Err(error)) => {
            note = Some(format!("no cgroup for the build: {error}"));
            None
        }
        None => {
            note = Some("no cgroup for the build: cgroup v2 is not mounted on this host".to_owned());
            None
        }
    };
    match launch(job_input, dir, cgroup, note) {
        Ok(running) => Ok(running),
        Err(source) => Err(JobError::Io { operation: "starting the job's worker".to_owned(), source }),
    }
}

/// Forks the worker in a new PID namespace.
fn launch(job_input: JobInput, dir: JobDir, cgroup: Option<Cgroup>, note: Option<String>) -> io::Result<RunningWorker> {
    let cgroup_procs = cgroup.as_ref().map(Cgroup::open_procs).transpose()?;
    let (cancel_read, cancel_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (answers_read, answers_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (reports_read, reports_write) = pipe2(OFlag::O_CLOEXEC)?;
    let heartbeat = Duration::from(job_input.job.heartbeat).max(Duration::from_millis(10));
    let cancel_timeout = job_input.settings.cancel_timeout;
    unshare(CloneFlags::CLONE_NEWPID)?;
    match fork()? {
        Forked::Child => {
            drop((cancel_write, answers_write, reports_read));
            let (cancel, answers, reports) = (cancel_read, answers_read, reports_write);
            Worker { job_input, dir, cgroup_procs, cancel, answers, reports }.run()
        }
        Forked::Parent(worker) => {
            drop((cancel_read, answers_read, reports_write, cgroup_procs));
            let (cancel, answers, reports) = (Some(cancel_write), File::from(answers_write), reports_read);
            Ok(RunningWorker { worker, dir, cgroup, reports, cancel, answers, heartbeat, cancel_timeout, note })
        }
    }
}

impl RunningWorker {
    /// Passes on the worker's reports, sends heartbeats and handles cancellation until the worker has ended; then
    /// cleans up and returns how the job ended.
    fn wait(mut self, out: &Reporter<io::Stdout>, input: &mut Input, signals: &SignalFd) -> io::Result<Outcome> {
        if let Some(note) = self.note.take() {
            out.report(clock(), ReportBody::Note(note));
        }
        // What came with the job answers nothing.
        drop(input.take_answers());
        let mut kill_at = None;
        let mut killed_after_timeout = false;
        let mut worker_reports = WorkerReports::default();
        let mut next_heartbeat = Instant::now() + self.heartbeat;
        let mut pipe = File::from(self.reports.try_clone()?);
        loop {
            let mut fds = vec![PollFd::new(self.reports.as_fd(), PollFlags::POLLIN)];
            let stdin = io::stdin();
            if self.cancel.is_some() {
                fds.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
                fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            }
            let rest = next_heartbeat.saturating_duration_since(Instant::now());
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
                for answer in input.take_answers() {
                    // Fails only if the worker has ended, which is noticed below.
                    let _ = writeln!(self.answers, "{answer}");
                }
            }
            if input.is_cancelled() {
                self.cancel = None;
            }
            if self.cancel.is_none()
                && Instant::now()
                    >= *kill_at.get_or_insert_with(|| Instant::now() + Duration::from(self.cancel_timeout))
            {
                // Whatever it is waiting for: the kernel ends its processes and drops its mounts with it.
                killed_after_timeout = true;
                let _ = kill(self.worker, Signal::SIGKILL);
            }
            if ready.first() == Some(&true) && !worker_reports.pass_on(&mut pipe)? {
                break;
            }
            if Instant::now() >= next_heartbeat {
                out.report(clock(), ReportBody::Heartbeat);
                next_heartbeat = Instant::now() + self.heartbeat;
            }
        }
        let end = self.await_worker(out)?;
        let (outcome, notes) = self.clean_up(WorkerEnd { reports: worker_reports, end, killed_after_timeout });
        for note in notes {
            out.report(clock(), ReportBody::Note(note));
        }
        Ok(outcome)
    }

    /// Waits until the worker's process has ended. That is later than the end of its pipe: the kernel drops its mounts
    /// last and first writes out their data, which may take long on a slow disk.
    fn await_worker(&self, out: &Reporter<io::Stdout>) -> io::Result<Option<ProcessEnd>> {
        let mut next_heartbeat = Instant::now() + self.heartbeat;
        let mut pause = Duration::from_millis(1);
        loop {
            match try_wait(Some(self.worker))? {
                WaitResult::Running => {}
                WaitResult::Ended(_, end) => return Ok(Some(end)),
                WaitResult::NoChild => return Ok(None),
            }
            if Instant::now() >= next_heartbeat {
                out.report(clock(), ReportBody::Heartbeat);
                next_heartbeat = Instant::now() + self.heartbeat;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50)).min(self.heartbeat);
        }
    }

    /// Cleans up after the worker's end and decides how the job ended. Returns that with notes: what could not be
    /// cleaned up, and what else a person should know.
    fn clean_up(self, WorkerEnd { reports, end, killed_after_timeout }: WorkerEnd) -> (Outcome, Vec<String>) {
        let mut notes = Vec::new();
        let position = Position { phase: reports.phase.unwrap_or(AgentPhase::Find), provisioner: reports.provisioner };
        let killed_by_us = killed_after_timeout && reports.ended.is_none();
        if killed_by_us {
            let (phase, timeout) = (position.phase, self.cancel_timeout);
            notes.push(format!("cancelled in phase {phase}, the worker did not end within {timeout} and was killed"));
        }
        if let Some(cgroup) = &self.cgroup
            && let Err(error) = cgroup.remove()
        {
            notes.push(format!("removing the cgroup {}: {error}", cgroup.path().display()));
        }
        let volume = self.check_volume();
        if let Some(VolumeCheck::InUse(reason)) = &volume {
            notes.push(format!("the disk is not free: {reason}"));
        }
        if let Err(error) = self.dir.remove() {
            notes.push(format!("removing the job's directory: {error}"));
        }
        (outcome::decide(reports.ended, end, killed_by_us, position, volume), notes)
    }

    /// Checks whether the volume is free; `None` if the job has opened no disk. By now the worker's namespaces are
    /// gone, and with them everything that the job mounted or ran.
    fn check_volume(&self) -> Option<VolumeCheck> {
        let device = self.dir.device()?;
        Some(match open_proc().and_then(|proc| prove_free(proc.as_fd(), &device)) {
            Ok(()) => VolumeCheck::Free(volume_check::proof(Some(device))),
            Err(error) => VolumeCheck::InUse(error.to_string()),
        })
    }
}
