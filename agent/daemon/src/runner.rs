//! Jobs as processes of this same program.

use std::{fs, path::Path, thread};

use bakehouse_agent::{Settings, VolumeCheck, check_volume, job_process, recover};
use bakehouse_protocol::{BuildId, Job, VolumeId, chain};
use tokio::{sync::mpsc, task};

use crate::ports::{BoxFuture, JobEvent, Jobs, Running};

/// The argument that makes this program run one job.
pub const AGENT_JOB: &str = "agent-job";
/// The running program, even if the file at its path was replaced.
const PROGRAM: &str = "/proc/self/exe";
/// The limit of queued reports. When it is reached, the job waits.
const QUEUE_CAPACITY: usize = 1000;

/// Jobs as processes.
#[derive(Clone, Debug)]
pub struct Processes {
    settings: Settings,
}

impl Processes {
    /// Returns jobs with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Jobs for Processes {
    fn start<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Running, String>> {
        let (job, settings) = (job.clone(), self.settings.clone());
        Box::pin(async move {
            let start = move || job_process::spawn(Path::new(PROGRAM), [AGENT_JOB], &job, &settings);
            let handle = match task::spawn_blocking(start).await {
                Ok(started) => started.map_err(|error| chain(&error))?,
                Err(error) => return Err(error.to_string()),
            };
            let control = handle.control();
            let (to, events) = mpsc::channel(QUEUE_CAPACITY);
            thread::spawn(move || {
                for report in handle.reports() {
                    // Read to the end even if the receiver is dropped: the process must not block.
                    let _ = to.blocking_send(JobEvent::Report(report));
                }
                if let Err(error) = handle.wait() {
                    let _ = to.blocking_send(JobEvent::Died(chain(&error)));
                }
            });
            Ok(Running { events, stop: Box::new(move || control.cancel()) })
        })
    }

    fn check_volume<'a>(&'a self, build: &'a BuildId, volume: &'a VolumeId) -> BoxFuture<'a, VolumeCheck> {
        let (settings, build, volume) = (self.settings.clone(), build.clone(), volume.clone());
        Box::pin(async move {
            match task::spawn_blocking(move || check_volume(&settings, &build, &volume)).await {
                Ok(Ok(check_volume)) => check_volume,
                Ok(Err(error)) => VolumeCheck::InUse(chain(&error)),
                Err(error) => VolumeCheck::InUse(error.to_string()),
            }
        })
    }

    fn clear(&self) -> BoxFuture<'_, Vec<String>> {
        let run_dir = self.settings.run_dir.clone();
        Box::pin(async move {
            match task::spawn_blocking(move || recover(&run_dir)).await {
                Ok(Ok(cleared)) => cleared.iter().map(|thing| format!("{thing} (removed)")).collect(),
                Ok(Err(error)) => vec![chain(&error)],
                Err(error) => vec![error.to_string()],
            }
        })
    }
}

/// Returns the control group of the jobs: below the daemon's own, which systemd has delegated to it.
pub fn cgroup() -> String {
    below(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
}

fn below(own: &str) -> String {
    match own.lines().find_map(|line| line.strip_prefix("0::/")) {
        Some(path) if !path.is_empty() => format!("{path}/jobs"),
        _ => "bakehouse".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_grouped_below_the_daemon() {
        assert_eq!(below("0::/system.slice/bakehouse-agent.service\n"), "system.slice/bakehouse-agent.service/jobs");
        assert_eq!(below("12:pids:/x\n0::/\n"), "bakehouse");
        assert_eq!(below(""), "bakehouse");
    }
}
