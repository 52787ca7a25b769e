//! Every minute: what may have been forgotten. The ticks that were lost, the hosts that have fallen silent for good or
//! idle, and the figures that describe the whole stack.

use bakehouse_controller::{
    fleet::could_start,
    ports::{Clock, StoreError},
    power::Power,
    stack::{HostRecord, Listed, Registry},
};
use bakehouse_machine::build::PhaseName;
use bakehouse_protocol::{BuildId, Millis, Timestamp};

use crate::{
    fleet,
    hosts::{self, HostTrouble, Known},
    metrics::{Metric, Metrics},
    stack::Stack,
};

/// How late a tick may come before it counts as lost.
pub const LATE: Millis = Millis::seconds(60);
/// After how long without a word a host is forgotten.
pub const FORGOTTEN: Millis = Millis::minutes(60);

/// Looks around. Gives the builds that need a look.
///
/// # Errors
/// [`StoreError`]: the next patrol comes in a minute.
pub async fn patrol<P: Stack>(pair: &P, known: &Known, metrics: &Metrics) -> Result<Vec<BuildId>, StoreError> {
    let now = pair.clock().now();
    let running = pair.registry().running().await?;
    let queued = running.iter().filter(|build| build.phase == PhaseName::Queued).count();
    count(metrics, Metric::BuildsQueued, queued);
    count(metrics, Metric::BuildsRunning, running.len() - queued);
    let silence = Millis::seconds(pair.config().host_silence_seconds);
    let hosts = pair.registry().hosts().await?;
    let on_demand = &pair.on_demand().instances;
    // One that only needs to be started is as good: a build that waits starts it.
    let ready = |host: &&HostRecord| host.is_ready(now, silence) || could_start(host, on_demand, now);
    count(metrics, Metric::HostsReady, hosts.iter().filter(ready).count());
    fleet::stop_idle(pair, &hosts).await?;
    let sleeps = |host: &HostRecord| host.power != Power::On && on_demand.contains(&host.report.instance);
    for host in hosts.iter().filter(|host| host.seen + FORGOTTEN <= now && !sleeps(host)) {
        let id = &host.report.host;
        tracing::warn!(host = %id, silent = %now.since(host.seen), "a host is forgotten");
        pair.registry().forget_host(id).await?;
        known.forget(id);
        if let Err(HostTrouble::Queue { host, fault }) = hosts::remove_queue(pair, id).await {
            // It costs nothing while it is idle, and holds no secret.
            tracing::error!(%host, %fault, "the queue of a forgotten host can't be removed");
        }
    }
    let overdue: Vec<BuildId> =
        running.into_iter().filter(|build| is_overdue(build, now)).map(|build| build.id).collect();
    for build in &overdue {
        tracing::warn!(%build, "its tick is overdue");
    }
    Ok(overdue)
}

/// Whether a build's next look was lost: none is arranged, or the one that was has not come.
fn is_overdue(build: &Listed, now: Timestamp) -> bool {
    match build.tick_at {
        Some(at) => at + LATE < now,
        // One that has just been accepted has its first look before it.
        None => build.accepted_at + LATE < now,
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
        let listed = |tick_at| Listed {
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
