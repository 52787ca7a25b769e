//! Hosts: their reports, draining, and the loss of their instances.

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
    bounded_join::{MAX_CONCURRENT, Task, TaskOutcome, bounded_join},
    metrics::Metrics,
    run,
    stack::Stack,
};

/// Why a host's message could not be handled; it must be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The registry failed.
    #[error("can't read or write a host's record")]
    Store(#[from] StoreError),
    /// Its record was changed meanwhile.
    #[error("the record of the host {0} was changed meanwhile")]
    Changed(HostId),
    /// There was no time to tell a build that its host is lost.
    #[error("no time left to tell {0} that its host is lost")]
    NotNotified(BuildId),
    /// Its queue can't be created or removed.
    #[error("can't create or remove the queue of {host}")]
    Queue {
        /// The host.
        host: HostId,
        /// The cause.
        #[source]
        fault: Fault,
    },
}

/// How long a queue that was seen to exist is assumed to exist.
const QUEUE_CACHE_TIME: Millis = Millis::minutes(5);

/// The hosts whose queues this process has ensured, and when each last reported. A host that has not reported for a
/// while may have been removed by another invocation, with its queue.
#[derive(Debug, Default)]
pub struct HostCache(Mutex<BTreeMap<HostId, Timestamp>>);

impl HostCache {
    fn has_queue(&self, host: &HostId, now: Timestamp) -> bool {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).is_some_and(|reported| now < *reported + QUEUE_CACHE_TIME)
    }

    fn reported(&self, host: &HostId, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone(), now);
    }

    pub(crate) fn remove(&self, host: &HostId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }
}

/// Saves a host's report, and creates the host's queue before a build can be assigned to it. Returns true if queued
/// builds may now find a slot there.
///
/// # Errors
/// [`HostError`]
pub async fn report<S: Stack>(
    stack: &S,
    cache: &HostCache,
    report: &HostReport,
    sent: Timestamp,
) -> Result<bool, HostError> {
    let now = stack.clock().now();
    let silence = Millis::seconds(stack.config().host_silence_seconds);
    if sent + silence <= now {
        // The host may be gone since; if not, it reports again.
        tracing::info!(host = %report.host, age = %now.since(sent), "outdated host report dropped");
        return Ok(false);
    }
    let is_new = !report.listening || !cache.has_queue(&report.host, now);
    if is_new {
        let failed = |fault| HostError::Queue { host: report.host.clone(), fault };
        stack.queues().ensure(report).await.map_err(failed)?;
        tracing::info!(host = %report.host, zone = %report.zone, slots = report.slots, agent = report.agent, "host registered");
    }
    let mut record = stack.registry().host_seen(report, sent.min(now)).await?;
    cache.reported(&report.host, now);
    let latest = &record.report;
    let is_up = record.power.is_ended_by_report(latest.at) && latest.listening && !latest.draining;
    // If the record was changed at the same time, the next report does this.
    if is_up && stack.registry().set_power(&record, Power::On).await? {
        record.power = Power::On;
        tracing::info!(host = %report.host, "host is up");
    }
    Ok((is_new || is_up) && record.is_ready(now, silence))
}

/// Drains a host, or ends its draining. An unknown host is ignored.
///
/// # Errors
/// [`HostError`]
pub async fn drain<S: Stack>(stack: &S, host: &HostId, drained: bool, why: &str) -> Result<(), HostError> {
    let hosts = stack.registry().hosts().await?;
    match hosts.iter().find(|record| &record.report.host == host) {
        None => tracing::info!(%host, why, "unknown host, not drained"),
        Some(record) if record.drained == drained => {}
        Some(_) => {
            stack.registry().drain(host, drained).await?;
            tracing::info!(%host, drained, why, "draining changed");
        }
    }
    Ok(())
}

/// A notification that an instance stops or has stopped.
#[derive(Clone, Copy, Debug)]
pub struct InstanceChange<'a> {
    /// The instance.
    pub instance: &'a InstanceId,
    /// EC2's name of its state.
    pub state: &'a str,
    /// Since when, if the notification says so.
    pub at: Option<Timestamp>,
}

impl InstanceChange<'_> {
    /// Whether the host has reported so long after this that it must be up again: then the notification is outdated.
    fn is_outdated(&self, record: &HostRecord) -> bool {
        // An agent reports while its instance is stopping, but not once it has stopped. EC2's times are whole seconds.
        let grace = match self.state {
            "stopping" => Millis::seconds(60),
            "stopped" => Millis::seconds(5),
            _ => return false,
        };
        let Some(at) = self.at else { return false };
        at + grace < record.report.at || matches!(record.power, Power::Starting(since) if at < since)
    }

    /// The power state that a host on demand is in after this. `None`: the instance will not come back.
    fn power(&self, now: Timestamp) -> Option<Power> {
        match self.state {
            "stopping" => Some(Power::Stopping(now)),
            "stopped" => Some(Power::Stopped(self.at.unwrap_or(now))),
            _ => None,
        }
    }
}

/// Handles the loss of an instance. If it is a host, its builds are told at once, so that they restart on another. A
/// host that is stopping is only drained, because the last reports of its agent must not register it again. Once it has
/// stopped, its record is removed; its queue is removed only after termination, as a stopped instance may be started
/// again. A host on demand is neither drained nor removed.
///
/// # Errors
/// [`HostError`]; what was done is safe to repeat.
pub async fn lost<S: Stack>(
    stack: &S,
    cache: &HostCache,
    metrics: &Metrics,
    change: InstanceChange<'_>,
    until: Timestamp,
) -> Result<(), HostError> {
    let InstanceChange { instance, state, .. } = change;
    let hosts = stack.registry().hosts().await?;
    let Some(record) = hosts.iter().find(|record| &record.report.instance == instance) else {
        return Ok(());
    };
    let host = &record.report.host;
    if change.is_outdated(record) {
        tracing::info!(%host, state, "outdated notification: the host has reported since");
        return Ok(());
    }
    let power_after =
        stack.on_demand().instances.contains(instance).then(|| change.power(stack.clock().now())).flatten();
    if let Some(power) = power_after {
        // A host that is stopping or has stopped can't begin to stop.
        let is_outdated = matches!((record.power, power), (Power::Stopping(_) | Power::Stopped(_), Power::Stopping(_)));
        if !is_outdated {
            tracing::info!(%host, state, "host on demand stops");
            if !stack.registry().set_power(record, power).await? {
                return Err(HostError::Changed(host.clone()));
            }
        }
        return tell_builds(stack, metrics, record, state, until).await;
    }
    tracing::warn!(%host, %instance, state, "host lost");
    // The record is removed last: until then a message that is delivered again still finds the host.
    if !record.drained {
        stack.registry().drain(host, true).await?;
    }
    tell_builds(stack, metrics, record, state, until).await?;
    if matches!(state, "stopped" | "terminated") {
        stack.registry().forget_host(host).await?;
        cache.remove(host);
    }
    if state == "terminated" {
        remove_queue(stack, host).await?;
    }
    Ok(())
}

/// Tells all builds on a host that it is lost, concurrently: there is no time to do it in sequence.
async fn tell_builds<S: Stack>(
    stack: &S,
    metrics: &Metrics,
    record: &HostRecord,
    state: &str,
    until: Timestamp,
) -> Result<(), HostError> {
    let (host, why) = (&record.report.host, &format!("its instance is {state}"));
    let builds = builds_on(record, stack.clock().now());
    let tasks = builds
        .iter()
        .map(|id| Box::pin(tell_lost(stack, metrics, id, host, why, until)) as Task<'_, Result<(), StoreError>>);
    let done = bounded_join(tasks.collect(), MAX_CONCURRENT, stack.sleep_until(until)).await;
    for (build, done) in builds.iter().zip(done) {
        match done {
            TaskOutcome::Completed(handled) => handled?,
            TaskOutcome::Panicked(_) | TaskOutcome::TimedOut => return Err(HostError::NotNotified(build.clone())),
        }
    }
    Ok(())
}

/// Returns the builds that may be on a host: those that hold a lease there, and those that it reports as running.
fn builds_on(record: &HostRecord, now: Timestamp) -> Vec<BuildId> {
    let held = record.leases.held(now).map(|(build, _)| build.clone());
    let mut builds: Vec<BuildId> = held.chain(record.report.running.iter().cloned()).collect();
    builds.sort();
    builds.dedup();
    builds
}

async fn tell_lost<S: Stack>(
    stack: &S,
    metrics: &Metrics,
    id: &BuildId,
    host: &HostId,
    why: &str,
    until: Timestamp,
) -> Result<(), StoreError> {
    use bakehouse_controller::ports::Store;
    let build = match stack.store().load(id).await {
        Ok((build, _)) => build,
        Err(StoreError::NotFound(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let Some(event) = lost_event(&build, host, why, stack.clock().now()) else { return Ok(()) };
    run::run(stack, metrics, id, vec![event], run::WaitMode::Exact, until).await.map(drop)
}

/// Returns the event for a build whose host is lost: the report that its agent can no longer send. `None`: the build is
/// not on that host.
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

/// Removes a host's queue, if there is one.
///
/// # Errors
/// [`HostError`]
pub async fn remove_queue<S: Stack>(stack: &S, host: &HostId) -> Result<(), HostError> {
    match stack.queues().remove(host).await {
        Err(fault) if fault.kind != FaultKind::NotFound => Err(HostError::Queue { host: host.clone(), fault }),
        _ => Ok(()),
    }
}
