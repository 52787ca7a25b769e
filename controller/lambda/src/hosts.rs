//! Hosts that come, say how they are, and go.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bakehouse_controller::{
    ports::{Clock, StoreError},
    power::Power,
    stack::{HostRecord, Queues, Registry},
};
use bakehouse_machine::{Build, Event, Fault, FaultKind, JobStage};
use bakehouse_protocol::{
    BuildId, HostId, HostReport, InstanceId, Millis, Outcome, Report, ReportBody, Timestamp, VERSION,
};

use crate::{
    bounded_join::{AT_ONCE, Done, Task, bounded_join},
    metrics::Metrics,
    run,
    stack::Stack,
};

/// Why a host's message could not be handled; it must come again.
#[derive(Debug, thiserror::Error)]
pub enum HostTrouble {
    /// The registry failed.
    #[error("the record of a host")]
    Store(#[from] StoreError),
    /// Its record was changed meanwhile.
    #[error("the record of the host {0} was changed meanwhile")]
    Changed(HostId),
    /// A build could not be told in time that its host is lost.
    #[error("telling {0} that its host is lost")]
    Untold(BuildId),
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

/// Takes down how a host was at the time that it said so. It has its queue before it can be given a build. True: builds
/// that wait may now find a slot there.
///
/// # Errors
/// [`HostTrouble`]
pub async fn report<P: Stack>(
    pair: &P,
    known: &Known,
    report: &HostReport,
    sent: Timestamp,
) -> Result<bool, HostTrouble> {
    let now = pair.clock().now();
    let silence = Millis::seconds(pair.config().host_silence_seconds);
    if sent + silence <= now {
        // It may be gone since; if it is not, it says so again.
        tracing::info!(host = %report.host, late = %now.since(sent), "an old word of a host");
        return Ok(false);
    }
    let is_new = !report.listening || !known.is(&report.host, now);
    if is_new {
        let failed = |fault| HostTrouble::Queue { host: report.host.clone(), fault };
        pair.queues().ensure(report).await.map_err(failed)?;
        tracing::info!(host = %report.host, zone = %report.zone, slots = report.slots, agent = report.agent, "host");
    }
    let mut record = pair.registry().host_seen(report, sent.min(now)).await?;
    known.heard(&report.host, now);
    let said = &record.report;
    let is_up = record.power.ended_by(said.at) && said.listening && !said.draining;
    // Where somebody else has changed the record just now, its next word does it.
    if is_up && pair.registry().set_power(&record, Power::On).await? {
        record.power = Power::On;
        tracing::info!(host = %report.host, "up");
    }
    Ok((is_new || is_up) && record.is_ready(now, silence))
}

/// Gives a host no more builds, or gives it builds again. One that is not known is nobody's concern.
///
/// # Errors
/// [`HostTrouble`]
pub async fn drain<P: Stack>(pair: &P, host: &HostId, drained: bool, why: &str) -> Result<(), HostTrouble> {
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

/// That an instance is going or has gone.
#[derive(Clone, Copy, Debug)]
pub struct Going<'a> {
    /// Which.
    pub instance: &'a InstanceId,
    /// EC2's word for its state.
    pub state: &'a str,
    /// Since when, if that was said.
    pub at: Option<Timestamp>,
}

impl Going<'_> {
    /// Whether the host has been heard of so long after this that it must be up again: then the news is old.
    fn is_old(&self, record: &HostRecord) -> bool {
        // An agent speaks while its instance is stopping, and not once it has stopped. EC2 tells whole seconds.
        let may_speak = match self.state {
            "stopping" => Millis::seconds(60),
            "stopped" => Millis::seconds(5),
            _ => return false,
        };
        let Some(at) = self.at else { return false };
        at + may_speak < record.report.at || matches!(record.power, Power::Starting(since) if at < since)
    }

    /// What follows for a host on demand: it is not lost, it sleeps. `None`: it will not come back.
    fn power(&self, now: Timestamp) -> Option<Power> {
        match self.state {
            "stopping" => Some(Power::Stopping(now)),
            "stopped" => Some(Power::Stopped(self.at.unwrap_or(now))),
            _ => None,
        }
    }
}

/// An instance is going or has gone. If it is a host, its builds are told so at once, so that they begin anew elsewhere.
/// While it is going it is only drained: its agent's last words must not make it known anew. Once it has gone it is
/// forgotten; its queue goes only with the instance, as one that was stopped may come back. One that is on demand is
/// neither drained nor forgotten.
///
/// # Errors
/// [`HostTrouble`]; what was done is safe to repeat.
pub async fn lost<P: Stack>(
    pair: &P,
    known: &Known,
    metrics: &Metrics,
    going: Going<'_>,
    until: Timestamp,
) -> Result<(), HostTrouble> {
    let Going { instance, state, .. } = going;
    let hosts = pair.registry().hosts().await?;
    let Some(record) = hosts.iter().find(|record| &record.report.instance == instance) else {
        return Ok(());
    };
    let host = &record.report.host;
    if going.is_old(record) {
        tracing::info!(%host, state, "old news: the host has been heard of since");
        return Ok(());
    }
    let sleeps = pair.on_demand().instances.contains(instance).then(|| going.power(pair.clock().now())).flatten();
    if let Some(power) = sleeps {
        // News of the way there says nothing to who has arrived.
        let is_known = matches!((record.power, power), (Power::Stopping(_) | Power::Stopped(_), Power::Stopping(_)));
        if !is_known {
            tracing::info!(%host, state, "a host on demand");
            if !pair.registry().set_power(record, power).await? {
                return Err(HostTrouble::Changed(host.clone()));
            }
        }
        return tell_builds(pair, metrics, record, state, until).await;
    }
    tracing::warn!(%host, %instance, state, "the host is lost");
    // No new builds first, and forgotten last: until then a message that comes again finds whose host it was.
    if !record.drained {
        pair.registry().drain(host, true).await?;
    }
    tell_builds(pair, metrics, record, state, until).await?;
    if matches!(state, "stopped" | "terminated") {
        pair.registry().forget_host(host).await?;
        known.forget(host);
    }
    if state == "terminated" {
        remove_queue(pair, host).await?;
    }
    Ok(())
}

/// Tells all builds on a host that it is lost, beside each other: there is not time for one after the other.
async fn tell_builds<P: Stack>(
    pair: &P,
    metrics: &Metrics,
    record: &HostRecord,
    state: &str,
    until: Timestamp,
) -> Result<(), HostTrouble> {
    let (host, why) = (&record.report.host, &format!("its instance is {state}"));
    let builds = builds_on(record, pair.clock().now());
    let tasks = builds
        .iter()
        .map(|id| Box::pin(tell_lost(pair, metrics, id, host, why, until)) as Task<'_, Result<(), StoreError>>);
    let done = bounded_join(tasks.collect(), AT_ONCE, pair.rest(until)).await;
    for (build, done) in builds.iter().zip(done) {
        match done {
            Done::Finished(told) => told?,
            Done::Panicked(_) | Done::OutOfTime => return Err(HostTrouble::Untold(build.clone())),
        }
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

async fn tell_lost<P: Stack>(
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
    run::run(pair, metrics, id, vec![event], run::Wait::Alone, until).await.map(drop)
}

/// What a build is told whose host is lost: what its agent would say if it still could. `None`: it is not on it.
fn lost_event(build: &Build, host: &HostId, why: &str, at: Timestamp) -> Option<Event> {
    build.resources.lease.as_ref().filter(|lease| &lease.host == host)?;
    if matches!(build.resources.job, JobStage::Ended { .. }) {
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
pub async fn remove_queue<P: Stack>(pair: &P, host: &HostId) -> Result<(), HostTrouble> {
    match pair.queues().remove(host).await {
        Err(fault) if fault.kind != FaultKind::NotFound => Err(HostTrouble::Queue { host: host.clone(), fault }),
        _ => Ok(()),
    }
}
