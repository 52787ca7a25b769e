//! Starting a job's process and listening to it.

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

use bakehouse_protocol::{Job, Report, ReportBody};

use crate::{Settings, job_input::JobInput};

/// A job's process that could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It did not start.
    #[error("starting the agent's process {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It could not be told the job, or not be read.
    #[error("talking to the agent's process")]
    Talk(#[source] io::Error),
    /// It ended without the last report.
    #[error("the agent's process ended without a last word ({0})")]
    Died(ExitStatus),
}

/// A running job. When it is dropped, the job is cancelled.
pub struct JobHandle {
    reports: Receiver<Report>,
    canceller: Canceller,
    pid: u32,
    thread: Option<JoinHandle<Result<(), ClientError>>>,
}

/// Cancels a job; works from any thread.
#[derive(Clone)]
pub struct Canceller(Arc<Mutex<Option<ChildStdin>>>);

impl Canceller {
    /// Tells the job to stop and to clear up. Its end comes as a report.
    pub fn cancel(&self) {
        // The end of its input says the same, so that a failed write makes no difference.
        if let Some(mut input) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = input.write_all(b"cancel\n");
        }
    }
}

/// Starts `program` with `arguments`, which must end up in [`crate::job::main`], and gives it the job.
///
/// # Errors
/// [`ClientError::Start`], [`ClientError::Talk`].
pub fn spawn<A: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
    job: &Job,
    settings: &Settings,
) -> Result<JobHandle, ClientError> {
    let order = JobInput { job: job.clone(), settings: settings.clone() };
    let mut line = serde_json::to_vec(&order).map_err(|error| ClientError::Talk(error.into()))?;
    line.push(b'\n');
    let mut command = Command::new(program);
    // A group of its own: Ctrl-C on a terminal is for the parent to hear, which then cancels in order. No environment:
    // the caller's may hold keys, and the agent reads none of it.
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let name = program.display().to_string();
    let (reports_in, reports) = channel();
    let (started_in, started) = channel();
    // The process wants to be killed when its parent dies, and for the kernel the parent is the thread that started it
    // (prctl(2), PR_SET_PDEATHSIG): so that thread stays until the end.
    let thread = thread::spawn(move || {
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(source) => {
                let _ = started_in.send(Err(ClientError::Start { program: name, source }));
                return Ok(());
            }
        };
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ClientError::Talk(io::Error::other("no pipes")));
        };
        let told = input.write_all(&line).map_err(ClientError::Talk);
        let canceller = Canceller(Arc::new(Mutex::new(Some(input))));
        let _ = started_in.send(told.map(|()| (child.id(), canceller.clone())));
        let (ended, wrong) = listen(BufReader::new(output), &reports_in, &canceller);
        let status = child.wait().map_err(ClientError::Talk)?;
        match ended.filter(|_| status.success()) {
            Some(ended) => drop(reports_in.send(ended)),
            None if wrong.is_none() => return Err(ClientError::Died(status)),
            None => {}
        }
        wrong.map_or(Ok(()), |error| Err(ClientError::Talk(error)))
    });
    match started.recv() {
        Ok(Ok((pid, canceller))) => Ok(JobHandle { reports, canceller, pid, thread: Some(thread) }),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ClientError::Talk(io::Error::other("the listening thread ended"))),
    }
}

/// Passes on the reports but the end, and returns that: it counts only once the process has ended well. The last one
/// counts. After something that is no report, which is returned as well, the job is cancelled, and read on to its end: a
/// job that nobody hears would run on, and whoever waits for its end would wait as long.
fn listen(
    output: impl BufRead,
    reports: &Sender<Report>,
    canceller: &Canceller,
) -> (Option<Report>, Option<io::Error>) {
    let mut ended = None;
    let mut wrong = None;
    for line in output.split(b'\n') {
        match line.and_then(|line| serde_json::from_slice::<Report>(&line).map_err(io::Error::from)) {
            Ok(report) if matches!(report.body, ReportBody::Ended(_)) => ended = Some(report),
            Ok(report) => drop(reports.send(report)),
            Err(error) => {
                canceller.cancel();
                wrong.get_or_insert(error);
            }
        }
    }
    (ended, wrong)
}

impl JobHandle {
    /// The reports, in order; it ends with the process.
    pub fn reports(&self) -> &Receiver<Report> {
        &self.reports
    }

    /// Tells the job to stop and to clear up. Its end comes as a report.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// Something that can cancel from another thread.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the end of the process. Reports that were not taken before are lost.
    ///
    /// # Errors
    /// [`ClientError`] if it ended without its last report.
    pub fn wait(mut self) -> Result<(), ClientError> {
        let ended = self.thread.take().map(JoinHandle::join);
        ended.unwrap_or(Ok(Ok(()))).unwrap_or_else(|_| Err(ClientError::Talk(io::Error::other("a panic"))))
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        self.canceller.cancel();
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

    /// The reports that arrive from a process that prints these and ends with this status.
    fn heard(printed: &[Report], status: u8) -> (Vec<Report>, Result<(), ClientError>) {
        let lines: String = printed.iter().map(|r| format!("echo '{}'; ", serde_json::to_string(r).unwrap())).collect();
        let script = format!("read -r job; {lines} exit {status}");
        let job = crate::pipeline::tests::job();
        let settings = Settings::new(HostId::new("h").unwrap());
        let handle = spawn(Path::new("/bin/sh"), ["-c", &script], &job, &settings).unwrap();
        let reports = handle.reports().iter().collect();
        (reports, handle.wait())
    }

    #[test]
    fn an_end_counts_only_from_a_process_that_ends_well() {
        let done = ended(Outcome::Done(Proof::default()));
        let (reports, result) = heard(std::slice::from_ref(&done), 1);
        assert!(reports.is_empty() && matches!(result, Err(ClientError::Died(_))), "{reports:?} {result:?}");
        let (reports, result) = heard(&[], 0);
        assert!(reports.is_empty() && matches!(result, Err(ClientError::Died(_))), "{reports:?} {result:?}");
    }

    #[test]
    fn of_several_ends_the_last_one_counts() {
        let cancelled = ended(Outcome::Cancelled { proof: None });
        let (reports, result) = heard(&[ended(Outcome::Done(Proof::default())), cancelled.clone()], 0);
        assert_eq!(reports, [cancelled]);
        result.unwrap();
    }
}
