//! Starts the process of a job and reads its reports.

use std::{
    ffi::OsStr,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use bakehouse_protocol::{Answer, Job, Report, ReportBody};

use crate::{Settings, job_input::JobInput};

/// The process of a job failed.
#[derive(Debug, thiserror::Error)]
pub enum JobProcessError {
    /// It could not be started.
    #[error("starting the agent's process {program}")]
    Start {
        /// The program.
        program: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The job could not be written to it, or its reports could not be read.
    #[error("communicating with the agent's process")]
    Pipe(#[source] io::Error),
    /// It ended without reporting how the job ended, or with a status that makes that report void.
    #[error("the agent's process ended without reporting the end of its job ({0})")]
    NoOutcome(ExitStatus),
}

/// A running job. Dropping it cancels the job.
pub struct JobHandle {
    reports: Receiver<Report>,
    control: JobControl,
    pid: u32,
    thread: Option<JoinHandle<Result<(), JobProcessError>>>,
}

/// Cancels a job and answers it, from any thread.
#[derive(Clone)]
pub struct JobControl(Arc<Mutex<Option<ChildStdin>>>);

impl JobControl {
    /// Answers a job that reported [`ReportBody::Waiting`]. An answer to a job that does not wait has no effect.
    pub fn answer(&self, answer: Answer) {
        if let Some(input) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            // Fails only if the process has ended; then its last report says so.
            let _ = writeln!(input, "{answer}");
        }
    }

    /// Tells the job to stop and to clean up. It still reports how it ended.
    pub fn cancel(&self) {
        // The end of its input cancels the job, too, so a failed write makes no difference.
        if let Some(mut input) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = input.write_all(b"cancel\n");
        }
    }
}

/// Starts `program` with `arguments`, which must run [`crate::supervisor::main`], and writes the job to its input.
///
/// # Errors
/// [`JobProcessError::Start`], [`JobProcessError::Pipe`].
pub fn spawn<A: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
    job: &Job,
    settings: &Settings,
) -> Result<JobHandle, JobProcessError> {
    let input = JobInput { job: job.clone(), settings: settings.clone() };
    let mut line = serde_json::to_vec(&input).map_err(|error| JobProcessError::Pipe(error.into()))?;
    line.push(b'\n');
    let mut command = Command::new(program);
    // A process group of its own: Ctrl-C on a terminal then signals only the parent, which cancels the job. No
    // environment: the caller's may contain credentials, and the agent reads none of it.
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let name = program.display().to_string();
    let (report_sender, reports) = channel();
    let (started_sender, started) = channel();
    // The process has the kernel kill it when its parent dies, and the parent is the thread that started it, not the
    // process (prctl(2), PR_SET_PDEATHSIG): so that thread lives until the job has ended.
    let thread = thread::spawn(move || {
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(source) => {
                let _ = started_sender.send(Err(JobProcessError::Start { program: name, source }));
                return Ok(());
            }
        };
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(JobProcessError::Pipe(io::Error::other("no pipes")));
        };
        let written = input.write_all(&line).map_err(JobProcessError::Pipe);
        let control = JobControl(Arc::new(Mutex::new(Some(input))));
        let _ = started_sender.send(written.map(|()| (child.id(), control.clone())));
        let (ended, read_error) = read_reports(BufReader::new(output), &report_sender, &control);
        let status = child.wait().map_err(JobProcessError::Pipe)?;
        match ended.filter(|_| status.success()) {
            Some(ended) => drop(report_sender.send(ended)),
            None if read_error.is_none() => return Err(JobProcessError::NoOutcome(status)),
            None => {}
        }
        read_error.map_or(Ok(()), |error| Err(JobProcessError::Pipe(error)))
    });
    match started.recv() {
        Ok(Ok((pid, control))) => Ok(JobHandle { reports, control, pid, thread: Some(thread) }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(JobProcessError::Pipe(io::Error::other("the thread that reads its reports ended"))),
    }
}

/// Passes on all reports except for the last one of kind `Ended`, which is returned: it counts only once the process
/// has exited successfully. If a line is not a report, the job is cancelled and the first such error is returned;
/// reading goes on to the end of the output, so that the process does not block on a full pipe.
fn read_reports(
    output: impl BufRead,
    reports: &Sender<Report>,
    control: &JobControl,
) -> (Option<Report>, Option<io::Error>) {
    let mut ended = None;
    let mut read_error = None;
    for line in output.split(b'\n') {
        match line.and_then(|line| serde_json::from_slice::<Report>(&line).map_err(io::Error::from)) {
            Ok(report) if matches!(report.body, ReportBody::Ended(_)) => ended = Some(report),
            Ok(report) => drop(reports.send(report)),
            Err(error) => {
                control.cancel();
                read_error.get_or_insert(error);
            }
        }
    }
    (ended, read_error)
}

impl JobHandle {
    /// Returns the reports, in order. The channel closes when the process has ended.
    pub fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }

    /// Tells the job to stop and to clean up. It still reports how it ended.
    pub fn cancel(&self) {
        self.control.cancel();
    }

    /// Returns a handle that can cancel and answer the job from another thread.
    pub fn control(&self) -> JobControl {
        self.control.clone()
    }

    /// Returns the pid of the process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the end of the process. Reports that were not received before are lost.
    ///
    /// # Errors
    /// [`JobProcessError`] if the process failed. The job may have failed without such an error: see its last report.
    pub fn wait(mut self) -> Result<(), JobProcessError> {
        let ended = self.thread.take().map(JoinHandle::join);
        ended.unwrap_or(Ok(Ok(()))).unwrap_or_else(|_| Err(JobProcessError::Pipe(io::Error::other("a panic"))))
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        self.control.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakehouse_protocol::{BuildId, HostId, Outcome, Proof, Timestamp, VERSION};

    fn ended(outcome: Outcome) -> Report {
        let (build, host) = (BuildId::from_parts(1, 2), HostId::new("h").unwrap());
        Report { version: VERSION, build, host, attempt: 1, at: Timestamp(0), body: ReportBody::Ended(outcome) }
    }

    /// The reports that are received from a process that prints these and exits with this status.
    fn received(printed: &[Report], status: u8) -> (Vec<Report>, Result<(), JobProcessError>) {
        let lines: String = printed.iter().map(|r| format!("echo '{}'; ", serde_json::to_string(r).unwrap())).collect();
        let script = format!("read -r job; {lines} exit {status}");
        let job = crate::pipeline::tests::job();
        let settings = Settings::new(HostId::new("h").unwrap());
        let handle = spawn(Path::new("/bin/sh"), ["-c", &script], &job, &settings).unwrap();
        let reports = handle.reports().iter().collect();
        (reports, handle.wait())
    }

    #[test]
    fn an_end_counts_only_if_the_process_exits_successfully() {
        let done = ended(Outcome::Done(Proof::default()));
        let (reports, result) = received(std::slice::from_ref(&done), 1);
        assert!(reports.is_empty() && matches!(result, Err(JobProcessError::NoOutcome(_))), "{reports:?} {result:?}");
        let (reports, result) = received(&[], 0);
        assert!(reports.is_empty() && matches!(result, Err(JobProcessError::NoOutcome(_))), "{reports:?} {result:?}");
    }

    #[test]
    fn of_several_ends_the_last_one_counts() {
        let cancelled = ended(Outcome::Cancelled { proof: None });
        let (reports, result) = received(&[ended(Outcome::Done(Proof::default())), cancelled.clone()], 0);
        assert_eq!(reports, [cancelled]);
        result.unwrap();
    }
}
