//! Starts hosts on demand for queued builds and stops idle ones. [`bakehouse_controller::fleet`] decides; this module
//! saves the decision, then calls EC2. If the function dies in between, a later invocation repeats the call.

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

/// Returns the architecture of the host that a queued build waits for.
pub fn waits_for(build: &Build) -> Option<Architecture> {
    let plan = build.plan.as_ref()?;
    (build.phase == Phase::Queued && build.resources.lease.is_none()).then_some(plan.register.architecture).flatten()
}

/// Starts a host for queued builds, one for each wanted architecture.
///
/// # Errors
/// [`StoreError`] if the hosts' records can't be read or written. A failed call to EC2 is logged; the builds' next
/// ticks repeat it.
pub async fn start_for<S: Stack>(stack: &S, wanted: BTreeSet<Architecture>) -> Result<(), StoreError> {
    let on_demand = &stack.on_demand().instances;
    if on_demand.is_empty() || wanted.is_empty() {
        return Ok(());
    }
    let hosts = stack.registry().hosts().await?;
    for architecture in wanted {
        let now = stack.clock().now();
        let instance = match to_start(&hosts, on_demand, architecture, now) {
            None => continue,
            Some(Start::Unknown(instance)) => instance,
            Some(Start::Host(host)) => {
                if !stack.registry().set_power(host, Power::Starting(now)).await? {
                    // Another invocation starts it.
                    continue;
                }
                &host.report.instance
            }
        };
        match stack.instance_power().start(instance).await {
            Ok(()) => tracing::info!(%instance, "host started for a queued build"),
            Err(fault) => log_fault("start", instance, &fault),
        }
    }
    Ok(())
}

/// Stops idle hosts.
///
/// # Errors
/// [`StoreError`] if a host's record can't be written.
pub async fn stop_idle<S: Stack>(stack: &S, hosts: &[HostRecord]) -> Result<(), StoreError> {
    let idle = Millis::seconds(stack.on_demand().idle_seconds);
    let now = stack.clock().now();
    for host in to_stop(hosts, &stack.on_demand().instances, idle, now) {
        // From here on no build is assigned to it. If one was assigned just now, the record has changed and the host
        // stays up.
        if !stack.registry().set_power(host, Power::Stopping(now)).await? {
            continue;
        }
        let instance = &host.report.instance;
        let power = match stack.instance_power().stop(instance).await {
            Ok(true) => Power::Stopped(now),
            Ok(false) => {
                tracing::info!(%instance, "stopping an idle host");
                continue;
            }
            // It stays up, so it may be used.
            Err(fault) if fault.kind == FaultKind::Permanent => {
                log_fault("stop", instance, &fault);
                Power::On
            }
            Err(fault) => {
                log_fault("stop", instance, &fault);
                continue;
            }
        };
        let written = HostRecord { version: host.version + 1, power: Power::Stopping(now), ..host.clone() };
        stack.registry().set_power(&written, power).await?;
    }
    Ok(())
}

fn log_fault(call: &str, instance: &InstanceId, fault: &Fault) {
    let hint = fault.hint.as_deref();
    if fault.kind == FaultKind::Permanent {
        tracing::error!(%instance, call, %fault, hint, "can't start or stop a host on demand");
    } else {
        tracing::warn!(%instance, call, %fault, hint, "can't start or stop a host on demand now");
    }
}
