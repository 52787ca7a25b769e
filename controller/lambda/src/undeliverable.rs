//! Marks a host whose queue is gone as not listening, so that no build is assigned to it until it reports that it
//! listens again. Its own report may take as long as a long poll, and builds would be sent to it in vain until then.

use bakehouse_controller::{ports::Agents, stack::Registry};
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{BuildId, HostId, Job, Timestamp};

/// The agents, with the registry in which an unreachable host is marked.
pub struct Undeliverable<A, R> {
    /// The agents.
    pub agents: A,
    /// The hosts' records.
    pub registry: R,
}

impl<A: Agents, R: Registry> Undeliverable<A, R> {
    async fn mark_not_listening(&self, host: &HostId) {
        let Ok(hosts) = self.registry.hosts().await else { return };
        let Some(record) = hosts.into_iter().find(|record| &record.report.host == host) else { return };
        let (mut report, seen) = (record.report, record.seen);
        report.listening = false;
        // Newer than its last report, and older than its next.
        report.at = Timestamp(report.at.0 + 1);
        if let Err(error) = self.registry.host_seen(&report, seen).await {
            // Costs only an attempt of a build.
            tracing::warn!(%host, error = &error as &dyn std::error::Error, "can't mark a host without a queue as not listening");
        }
    }
}

impl<A: Agents, R: Registry> Agents for Undeliverable<A, R> {
    async fn send_job(&self, host: &HostId, job: &Job) -> Result<(), Fault> {
        let sent = self.agents.send_job(host, job).await;
        if sent.as_ref().is_err_and(|fault| fault.kind == FaultKind::NotFound) {
            self.mark_not_listening(host).await;
        }
        sent
    }

    async fn stop_job(&self, host: &HostId, build: &BuildId) -> Result<(), Fault> {
        self.agents.stop_job(host, build).await
    }
}
