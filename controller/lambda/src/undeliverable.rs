//! A host whose queue is gone hears nothing: it is given no more builds until it says that it listens again. Its own word
//! for that may be a long poll away, and by then builds would have been begun on it in vain.

use bakehouse_controller::{ports::Agents, stack::Registry};
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{BuildId, HostId, Job, Timestamp};

/// The agents, and the registry that is told of one that can't be reached.
pub struct Undeliverable<A, R> {
    /// The agents.
    pub agents: A,
    /// The hosts' records.
    pub registry: R,
}

impl<A: Agents, R: Registry> Undeliverable<A, R> {
    async fn note(&self, host: &HostId) {
        let Ok(hosts) = self.registry.hosts().await else { return };
        let Some(record) = hosts.into_iter().find(|record| &record.report.host == host) else { return };
        let (mut report, seen) = (record.report, record.seen);
        report.listening = false;
        // Newer than its last word, and older than its next.
        report.at = Timestamp(report.at.0 + 1);
        if let Err(error) = self.registry.host_seen(&report, seen).await {
            // Only costs the build an attempt.
            tracing::warn!(%host, error = &error as &dyn std::error::Error, "its queue is gone, and that could not be noted");
        }
    }
}

impl<A: Agents, R: Registry> Agents for Undeliverable<A, R> {
    async fn send_job(&self, host: &HostId, job: &Job) -> Result<(), Fault> {
        let sent = self.agents.send_job(host, job).await;
        if sent.as_ref().is_err_and(|fault| fault.kind == FaultKind::NotFound) {
            self.note(host).await;
        }
        sent
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        self.agents.stop_job(host, build).await
    }
}
