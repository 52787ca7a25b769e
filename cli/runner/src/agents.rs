//! The agent on this machine: one child process for each job, which ends with this process.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bakehouse_agent::job_process::{self, JobControl};
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{
    AgentPhase, Answer, BuildId, Failure, HostId, Job, Outcome, Report, ReportBody, VERSION, chain,
};

use crate::{mailboxes::Mailboxes, message::Message, settings::Settings};
use bakehouse_controller::{
    clock::WallClock,
    ports::{Agents, Clock},
};

/// How long a stopped job may take to clean up.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Clone)]
struct Running {
    control: JobControl,
    exited: Arc<AtomicBool>,
}

/// Answers the jobs of this process. Cloneable, and usable from a thread that reads the terminal.
#[derive(Clone)]
pub struct AnswerHandle(Arc<Mutex<BTreeMap<BuildId, Running>>>);

impl AnswerHandle {
    /// Answers the job of a build that reported [`ReportBody::Waiting`]. An answer to a job that does not wait has no
    /// effect.
    pub fn answer(&self, build: &BuildId, answer: Answer) {
        if let Some(job) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(build) {
            job.control.answer(answer);
        }
    }
}

/// Jobs as child processes.
pub struct LocalAgents {
    program: PathBuf,
    arguments: Vec<String>,
    settings: bakehouse_agent::Settings,
    jobs: Arc<Mutex<BTreeMap<BuildId, Running>>>,
    messages: Mailboxes,
}

impl LocalAgents {
    pub(crate) fn new(settings: &Settings, host: HostId, by_id: Option<PathBuf>, messages: Mailboxes) -> Self {
        let (program, arguments) = settings.agent.clone();
        Self { program, arguments, settings: agent_settings(settings, host, by_id), jobs: Arc::default(), messages }
    }

    pub(crate) fn settings(&self) -> &bakehouse_agent::Settings {
        &self.settings
    }

    pub(crate) fn answer_handle(&self) -> AnswerHandle {
        AnswerHandle(Arc::clone(&self.jobs))
    }

    /// Stops a job and waits until its process has cleaned up and exited, at most [`STOP_TIMEOUT`].
    pub(crate) fn stop_and_wait(&self, build: &BuildId) {
        let is_running = || self.jobs.lock().unwrap_or_else(PoisonError::into_inner).get(build).cloned();
        let mut left = STOP_TIMEOUT;
        if let Some(job) = is_running() {
            job.control.cancel();
            while !job.exited.load(Ordering::SeqCst) && left > Duration::ZERO {
                thread::sleep(STOP_POLL_INTERVAL);
                left = left.saturating_sub(STOP_POLL_INTERVAL);
            }
        }
    }

    /// Removes a job that has ended.
    pub(crate) fn remove(&self, build: &BuildId) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(build);
    }
}

fn agent_settings(runner: &Settings, host: HostId, by_id: Option<PathBuf>) -> bakehouse_agent::Settings {
    let mut settings = bakehouse_agent::Settings::new(host);
    settings.by_id.splice(0..0, by_id);
    settings.run_dir = runner.state.join("run");
    settings.interaction = runner.interaction;
    settings
}

impl Agents for LocalAgents {
    async fn send_job(&self, host: &HostId, job: &Job) -> Result<(), Fault> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.contains_key(&job.build) {
            return Ok(());
        }
        let handle = job_process::spawn(&self.program, &self.arguments, job, &self.settings)
            .map_err(|error| Fault::new(FaultKind::Permanent, chain(&error)))?;
        let exited = Arc::new(AtomicBool::new(false));
        jobs.insert(job.build.clone(), Running { control: handle.control(), exited: exited.clone() });
        let (messages, build, host) = (self.messages.clone(), job.build.clone(), host.clone());
        thread::spawn(move || {
            for report in handle.reports() {
                messages.send(&build, Message::Report(Box::new(report)));
            }
            let ended = handle.wait();
            exited.store(true, Ordering::SeqCst);
            if let Err(error) = ended {
                let report = failed_report(build.clone(), host, chain(&error));
                messages.send(&build, Message::Report(Box::new(report)));
            }
        });
        Ok(())
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        match jobs.get(build) {
            Some(job) => {
                job.control.cancel();
                Ok(())
            }
            None => Err(Fault::new(FaultKind::NotFound, format!("{host} has no job of {build}"))),
        }
    }
}

/// Returns the final report for a process that ended without sending one. A second final report has no effect.
fn failed_report(build: BuildId, host: HostId, message: String) -> Report {
    let failure = Failure {
        phase: AgentPhase::Provision,
        provisioner: None,
        message,
        tail: vec![],
        hint: Some("SIGKILL is most often \"out of memory\": see the kernel's log".into()),
    };
    let body = ReportBody::Ended(Outcome::Failed { failure, proof: None });
    Report { version: VERSION, build, host, attempt: 1, at: WallClock.now(), body }
}
