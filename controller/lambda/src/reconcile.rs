//! Reconciliation, once a minute: finds lost ticks, removes hosts that are silent for good, stops idle ones, and
//! measures the whole stack.

use bakehouse_controller::{
    fleet::could_start,
    ports::{Clock, StoreError},
    power::Power,
    stack::{BuildSummary, HostRecord, Registry},
};
use bakehouse_machine::build::PhaseName;
use bakehouse_protocol::{BuildId, Millis, Timestamp};

use crate::{
    fleet,
    hosts::{self, HostCache, HostError},
    metrics::{Metric, Metrics},
    stack::Stack,
};

/// How late a tick may be before it counts as lost.
pub const TICK_GRACE: Millis = Millis::seconds(60);
/// How long a host may be silent before it is removed.
pub const HOST_EXPIRY: Millis = Millis::minutes(60);

/// Reconciles the stack. Returns the builds whose tick is overdue.
///
/// # Errors
/// [`StoreError`]: the next run is a minute later.
pub async fn reconcile<S: Stack>(stack: &S, cache: &HostCache, metrics: &Metrics) -> Result<Vec<BuildId>, StoreError> {
    let now = stack.clock().now();
    let running = stack.registry().running().await?;
    let queued = running.iter().filter(|build| build.phase == PhaseName::Queued).count();
    count(metrics, Metric::BuildsQueued, queued);
    count(metrics, Metric::BuildsRunning, running.len() - queued);
    let silence = Millis::seconds(stack.config().host_silence_seconds);
    let hosts = stack.registry().hosts().await?;
    let on_demand = &stack.on_demand().instances;
    // A host that can be started counts: a queued build starts it.
    let ready = |host: &&HostRecord| host.is_ready(now, silence) || could_start(host, on_demand, now);
    count(metrics, Metric::HostsReady, hosts.iter().filter(ready).count());
    fleet::stop_idle(stack, &hosts).await?;
    let is_stopped_on_demand = |host: &HostRecord| host.power != Power::On && on_demand.contains(&host.report.instance);
    for host in hosts.iter().filter(|host| host.seen + HOST_EXPIRY <= now && !is_stopped_on_demand(host)) {
        let id = &host.report.host;
        tracing::warn!(host = %id, silent_for = %now.since(host.seen), "removing a silent host");
        stack.registry().forget_host(id).await?;
        cache.remove(id);
        if let Err(HostError::Queue { host, fault }) = hosts::remove_queue(stack, id).await {
            // An idle queue costs nothing, and holds no secret.
            tracing::error!(%host, %fault, "can't remove the queue of a removed host");
        }
    }
    let overdue: Vec<BuildId> =
        running.into_iter().filter(|build| is_overdue(build, now)).map(|build| build.id).collect();
    for build in &overdue {
        tracing::warn!(%build, "tick overdue");
    }
    Ok(overdue)
}

/// Whether a build's next tick was lost: none is scheduled, or the scheduled one has not arrived.
fn is_overdue(build: &BuildSummary, now: Timestamp) -> bool {
    match build.tick_at {
        Some(at) => at + TICK_GRACE < now,
        // A build that was just accepted has no tick scheduled yet.
        None => build.accepted_at + TICK_GRACE < now,
    }
}

fn count(metrics: &Metrics, metric: Metric, n: usize) {
    metrics.add(metric, u32::try_from(n).map_or(f64::from(u32::MAX), f64::from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_lost_when_it_is_a_minute_late() {
        let listed = |tick_at| BuildSummary {
            id: BuildId::from_parts(1, 1),
            recipe: "web".into(),
            phase: PhaseName::Queued,
            accepted_at: Timestamp(0),
            tick_at,
            resources: vec![],
        };
        assert!(!is_overdue(&listed(Some(Timestamp(10_000))), Timestamp(70_000)));
        assert!(is_overdue(&listed(Some(Timestamp(10_000))), Timestamp(70_001)));
        assert!(is_overdue(&listed(None), Timestamp(60_001)));
        assert!(!is_overdue(&listed(None), Timestamp(60_000)));
    }
}
