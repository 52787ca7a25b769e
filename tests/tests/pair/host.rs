//! A host of a stack.

use std::{
    path::PathBuf,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use bakehouse_localcloud::http::Imds;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::cgroup::remove_cgroup;

/// An instance, and the agent on it.
pub(crate) struct Host {
    pub(crate) id: String,
    pub(crate) home: PathBuf,
    pub(crate) imds: Imds,
    /// The control group of its builds, below the cgroup v2 mount.
    pub(crate) cgroup: String,
    pub(crate) agent: Child,
}

impl Host {
    /// Ends the agent as systemd does, and removes what an agent that was killed for good has left: its builds' group,
    /// which on a real host goes with the host.
    pub(crate) fn stop(&mut self) {
        let agent = &mut self.agent;
        let pid = Pid::from_raw(i32::try_from(agent.id()).unwrap());
        if matches!(agent.try_wait(), Ok(None)) {
            let _ = kill(pid, Signal::SIGTERM);
            let began = Instant::now();
            while matches!(agent.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(15) {
                thread::sleep(Duration::from_millis(20));
            }
            let _ = agent.kill();
            let _ = agent.wait();
        }
        remove_cgroup(&self.cgroup);
    }
}
