//! Hosts on demand, started for builds that wait and stopped when they idle. What is to be done is decided in
//! [`bakehouse_controller::fleet`]; here it is written down, then asked of EC2. A death in between costs a minute: both
//! calls may be made again.

use std::collections::BTreeSet;

use bakehouse_controller::{
    fleet::{Start, to_start, to_stop},
    ports::{Clock, StoreError},
    power::Power,
    stack::{HostRecord, InstancePower, Registry},
};
use bakehouse_machine::{Build, Fault, FaultKind, Phase};
use bakehouse_protocol::{InstanceId, Millis, spec::Architecture};

use crate::stack::Stack;

/// What a build waits for: a slot on a host of this architecture.
pub fn waits_for(build: &Build) -> Option<Architecture> {
    let plan = build.plan.as_ref()?;
    (build.phase == Phase::Queued && build.resources.lease.is_none()).then(|| plan.register.architecture).flatten()
}

/// Starts a host for builds that wait, one for each architecture that is wanted.
///
/// # Errors
/// [`StoreError`] if the hosts' records can't be read or written. What EC2 refuses is logged: the builds' next looks ask
/// again.
pub async fn start_for<P: Stack>(pair: &P, wanted: BTreeSet<Architecture>) -> Result<(), StoreError> {
    let on_demand = &pair.on_demand().instances;
    if on_demand.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    let hosts = pair.registry().hosts().await?;
    for architecture in wanted {
        let now = pair.clock().now();
        let instance = match to_start(&hosts, on_demand, architecture, now) {
            None => continue,
            Some(Start::Unknown(instance)) => instance,
            Some(Start::Host(host)) => {
                if !pair.registry().set_power(host, Power::Starting(now)).await? {
                    // Somebody else is at it.
                    continue;
                }
                &host.report.instance
            }
        };
        match pair.switch().start(instance).await {
            Ok(()) => tracing::info!(%instance, "started: a build waits for a slot"),
            Err(fault) => tell("can't be started now", instance, &fault),
        }
    }
    Ok(())
}

/// Stops the hosts that idle.
///
/// # Errors
/// [`StoreError`] if a host's record can't be written.
pub async fn stop_idle<P: Stack>(pair: &P, hosts: &[HostRecord]) -> Result<(), StoreError> {
    let idle = Millis::seconds(pair.on_demand().idle_seconds);
    let now = pair.clock().now();
    for host in to_stop(hosts, &pair.on_demand().instances, idle, now) {
        // From here on it gets no build. One that got it just now has changed the record, and the host goes on.
        if !pair.registry().set_power(host, Power::Stopping(now)).await? {
            continue;
        }
        let instance = &host.report.instance;
        let power = match pair.switch().stop(instance).await {
            Ok(true) => Power::Stopped(now),
            Ok(false) => {
                tracing::info!(%instance, "stopping: it idles");
                continue;
            }
            // It runs on, so it may be used.
            Err(fault) if fault.kind == FaultKind::Permanent => {
                tell("can't be stopped", instance, &fault);
                Power::On
            }
            Err(fault) => {
                tell("can't be stopped now", instance, &fault);
                continue;
            }
        };
        let written = HostRecord { version: host.version + 1, power: Power::Stopping(now), ..host.clone() };
        pair.registry().set_power(&written, power).await?;
    }
    Ok(())
}

fn tell(what: &str, instance: &InstanceId, fault: &Fault) {
    let hint = fault.hint.as_deref();
    if fault.kind == FaultKind::Permanent {
        tracing::error!(%instance, %fault, hint, "a host on demand {what}");
    } else {
        tracing::warn!(%instance, %fault, hint, "a host on demand {what}");
    }
}
