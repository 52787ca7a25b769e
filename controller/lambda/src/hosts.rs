//! Hosts that come, say how they are, and go.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bakehouse_controller::{
    ports::{Clock, StoreError},
    stack::{HostRecord, Queues, Registry},
};
use bakehouse_machine::{Build, Event, Fault, FaultKind, JobStage};
use bakehouse_protocol::{
    BuildId, HostId, HostReport, InstanceId, Millis, Outcome, Report, ReportBody, Timestamp, VERSION,
};

use crate::{metrics::Metrics, pair::Pair, run};

/// Why a host's message could not be handled; it must come again.
#[derive(Debug, thiserror::Error)]
pub enum HostTrouble {
    /// The registry failed.
    #[error("the record of a host")]
    Store(#[from] StoreError),
    /// Its queue can't be made or removed.
    #[error("the queue of {host}")]
    Queue {
        /// Whose.
        host: HostId,
        /// Why.
        #[source]
        fault: Fault,
    },
}

/// How long a queue that was there counts as being there still.
const TRUST: Millis = Millis::minutes(5);

/// The hosts whose queues this process has seen to, and when they were last heard of. A host that has not been heard of
/// for a while may have been forgotten by another invocation, and its queue removed.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeMap<HostId, Timestamp>>);

impl Known {
    fn is(&self, host: &HostId, now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(host).is_some_and(|heard| now < *heard + TRUST)
    }

    fn heard(&self, host: &HostId, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone(), now);
    }

    pub(crate) fn forget(&self, host: &HostId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }
}

/// Takes down how a host is. It has its queue before it can be given a build.
///
/// # Errors
/// [`HostTrouble`]
pub async fn report<P: Pair>(pair: &P, known: &Known, report: &HostReport) -> Result<HostRecord, HostTrouble> {
    let now = pair.clock().now();
    let is_new = !report.listening || !known.is(&report.host, now);
    if is_new {
        let failed = |fault| HostTrouble::Queue { host: report.host.clone(), fault };
        pair.queues().ensure(report).await.map_err(failed)?;
        tracing::info!(host = %report.host, zone = %report.zone, slots = report.slots, agent = report.agent, "host");
    }
    let record = pair.registry().host_seen(report, now).await?;
    known.heard(&report.host, now);
    Ok(record)
}

/// Gives a host no more builds, or gives it builds again. One that is not known is nobody's concern.
///
/// # Errors
/// [`HostTrouble`]
pub async fn drain<P: Pair>(pair: &P, host: &HostId, drained: bool, why: &str) -> Result<(), HostTrouble> {
    let hosts = pair.registry().hosts().await?;
    match hosts.iter().find(|record| &record.report.host == host) {
        None => tracing::info!(%host, why, "no host of ours"),
        Some(record) if record.drained == drained => {}
        Some(_) => {
            pair.registry().drain(host, drained).await?;
            tracing::info!(%host, drained, why, "drained");
        }
    }
    Ok(())
}

/// An instance is going or has gone. If it is a host, its builds are told so at once, so that they begin anew elsewhere.
/// While it is going it is only drained: its agent's last words must not make it known anew. Once it has gone it is
/// forgotten; its queue goes only with the instance, as one that was stopped may come back.
///
/// # Errors
/// [`HostTrouble`]; what was done is safe to repeat.
pub async fn lost<P: Pair>(
    pair: &P,
    known: &Known,
    metrics: &Metrics,
    instance: &InstanceId,
    state: &str,
    until: Timestamp,
) -> Result<(), HostTrouble> {
    let hosts = pair.registry().hosts().await?;
    let Some(record) = hosts.iter().find(|record| &record.report.instance == instance) else {
        return Ok(());
    };
    let host = &record.report.host;
    tracing::warn!(%host, %instance, state, "the host is lost");
    // No new builds first, and forgotten last: until then a message that comes again finds whose host it was.
    if !record.drained {
        pair.registry().drain(host, true).await?;
    }
    let why = format!("its instance is {state}");
    for id in builds_on(record, pair.clock().now()) {
        tell_lost(pair, metrics, &id, host, &why, until).await?;
    }
    if matches!(state, "stopped" | "terminated") {
        pair.registry().forget_host(host).await?;
        known.forget(host);
    }
    if state == "terminated" {
        remove_queue(pair, host).await?;
    }
    Ok(())
}

/// The builds that may be on a host: those that hold a lease there, and those that it says it works on.
fn builds_on(record: &HostRecord, now: Timestamp) -> Vec<BuildId> {
    let held = record.leases.held(now).map(|(build, _)| build.clone());
    let mut builds: Vec<BuildId> = held.chain(record.report.running.iter().cloned()).collect();
    builds.sort();
    builds.dedup();
    builds
}

async fn tell_lost<P: Pair>(
    pair: &P,
    metrics: &Metrics,
    id: &BuildId,
    host: &HostId,
    why: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    use bakehouse_controller::ports::Store;
    let build = match pair.store().load(id).await {
        Ok((build, _)) => build,
        Err(StoreError::NotFound(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(event) = lost_event(&build, host, why, pair.clock().now()) else { return Ok(()) };
    run::run(pair, metrics, id, vec![event], until).await
}

/// What a build is told whose host is lost: what its agent would say if it still could. `None`: it is not on it.
fn lost_event(build: &Build, host: &HostId, why: &str, at: Timestamp) -> Option<Event> {
    build.made.lease.as_ref().filter(|lease| &lease.host == host)?;
    if matches!(build.made.job, JobStage::Ended { .. }) {
        return None;
    }
    let body = ReportBody::Ended(Outcome::Lost { why: why.to_owned(), proof: None });
    let report =
        Report { version: VERSION, build: build.id.clone(), host: host.clone(), attempt: build.attempt, at, body };
    Some(Event::Agent(report))
}

/// Removes a host's queue; that there is none is as good.
///
/// # Errors
/// [`HostTrouble`]
pub async fn remove_queue<P: Pair>(pair: &P, host: &HostId) -> Result<(), HostTrouble> {
    match pair.queues().remove(host).await {
        Err(fault) if fault.kind != FaultKind::Gone => Err(HostTrouble::Queue { host: host.clone(), fault }),
        _ => Ok(()),
    }
}
