//! The agent on this machine: one child process for each job, which ends with this process.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
    time::Duration,
};

use bakehouse_agent::job_process::{self, Canceller};
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{AgentPhase, BuildId, Failure, HostId, Job, Outcome, Report, ReportBody, VERSION, chain};

use crate::{message::Message, settings::Settings};
use bakehouse_controller::{
    clock::WallClock,
    ports::{Agents, Clock},
};

/// How long a stopped job may take to clean up.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Clone)]
struct Running {
    canceller: Canceller,
    exited: Arc<AtomicBool>,
}

/// Jobs as child processes.
pub struct LocalAgents {
    program: PathBuf,
    arguments: Vec<String>,
    settings: bakehouse_agent::Settings,
    jobs: Mutex<BTreeMap<BuildId, Running>>,
    messages: Sender<Message>,
}

impl LocalAgents {
    pub(crate) fn new(settings: &Settings, host: HostId, by_id: Option<PathBuf>, messages: Sender<Message>) -> Self {
        let (program, arguments) = settings.agent.clone();
        Self {
            program,
            arguments,
            settings: agent_settings(&settings.state, host, by_id),
            jobs: Mutex::default(),
            messages,
        }
    }

    pub(crate) fn settings(&self) -> &bakehouse_agent::Settings {
        &self.settings
    }

    /// Stops a job and waits until its process has cleaned up and exited, at most [`STOP_TIMEOUT`].
    pub(crate) fn stop_and_wait(&self, build: &BuildId) {
        let is_running = || self.jobs.lock().unwrap_or_else(PoisonError::into_inner).get(build).cloned();
        let mut left = STOP_TIMEOUT;
        if let Some(job) = is_running() {
            job.canceller.cancel();
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

fn agent_settings(state: &std::path::Path, host: HostId, by_id: Option<PathBuf>) -> bakehouse_agent::Settings {
    let mut settings = bakehouse_agent::Settings::new(host);
    settings.by_id.splice(0..0, by_id);
    settings.run_dir = state.join("run");
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
        jobs.insert(job.build.clone(), Running { canceller: handle.canceller(), exited: exited.clone() });
        let (messages, build, host) = (self.messages.clone(), job.build.clone(), host.clone());
        thread::spawn(move || {
            for report in handle.reports() {
                // Fails only when the runner is dropped, at the end of the process.
                let _ = messages.send(Message::Report(Box::new(report)));
            }
            let ended = handle.wait();
            exited.store(true, Ordering::SeqCst);
            if let Err(error) = ended {
                let _ = messages.send(Message::Report(Box::new(failed_report(build, host, chain(&error)))));
            }
        });
        Ok(())
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        match jobs.get(build) {
            Some(job) => {
                job.canceller.cancel();
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
