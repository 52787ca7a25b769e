//! Jobs as processes of this same program.

use std::{fs, path::Path, thread};

use bakehouse_agent::{Settings, VolumeCheck, check_volume, job_process, recover};
use bakehouse_protocol::{BuildId, Job, VolumeId, chain};
use tokio::{sync::mpsc, task};

use crate::ports::{Heard, Jobs, Later, Running};

/// What the program is called with to become one job.
pub const AGENT_JOB: &str = "agent-job";
/// The program that runs now, whatever stands at its path by then.
const PROGRAM: &str = "/proc/self/exe";
/// So many reports may wait. Then the job waits, too; whoever takes them does nothing that takes long.
const WAITING: usize = 1000;

/// Jobs as processes.
#[derive(Clone, Debug)]
pub struct Processes {
    settings: Settings,
}

impl Processes {
    /// Processes that are told these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Jobs for Processes {
    fn start<'a>(&'a self, job: &'a Job) -> Later<'a, Result<Running, String>> {
        let (job, settings) = (job.clone(), self.settings.clone());
        Box::pin(async move {
            let start = move || job_process::spawn(Path::new(PROGRAM), [AGENT_JOB], &job, &settings);
            let handle = match task::spawn_blocking(start).await {
                Ok(started) => started.map_err(|error| chain(&error))?,
                Err(error) => return Err(error.to_string()),
            };
            let canceller = handle.canceller();
            let (to, heard) = mpsc::channel(WAITING);
            thread::spawn(move || {
                for report in handle.reports() {
                    // Heard to the end even if nobody listens: the process must not wait.
                    let _ = to.blocking_send(Heard::Report(report));
                }
                if let Err(error) = handle.wait() {
                    let _ = to.blocking_send(Heard::Died(chain(&error)));
                }
            });
            Ok(Running { heard, stop: Box::new(move || canceller.cancel()) })
        })
    }

    fn check_volume<'a>(&'a self, build: &'a BuildId, volume: &'a VolumeId) -> Later<'a, VolumeCheck> {
        let (settings, build, volume) = (self.settings.clone(), build.clone(), volume.clone());
        Box::pin(async move {
            match task::spawn_blocking(move || check_volume(&settings, &build, &volume)).await {
                Ok(Ok(check_volume)) => check_volume,
                Ok(Err(error)) => VolumeCheck::InUse(chain(&error)),
                Err(error) => VolumeCheck::InUse(error.to_string()),
            }
        })
    }

    fn clear(&self) -> Later<'_, Vec<String>> {
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

/// The control group for the jobs: below the daemon's own, which systemd has delegated to it.
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
