//! Leases a slot on one of several hosts. A pure function decides what to write; each write succeeds only if the host's
//! version is unchanged, otherwise everything is read and decided again.

use std::cmp::Reverse;

use bakehouse_aws::CallError;
use bakehouse_controller::{
    leasing::Leases,
    ports::{LeaseRequest, StoreError},
    stack::HostRecord,
};
use bakehouse_machine::{Fault, FaultKind, resources::Lease};
use bakehouse_protocol::{BuildId, HostId, Millis, Timestamp};

use super::Table;

/// How often a conflicting write is retried. With each conflict another process has succeeded.
const MAX_ATTEMPTS: u32 = 10;

/// A write of one host's leases.
#[derive(Debug, PartialEq, Eq)]
struct LeaseWrite {
    host: HostId,
    version: u64,
    leases: Leases,
}

impl LeaseWrite {
    fn of(host: &HostRecord) -> Self {
        Self { host: host.report.host.clone(), version: host.version, leases: host.leases.clone() }
    }
}

/// The writes, in this order, and the lease that they make.
#[derive(Debug, Default, PartialEq, Eq)]
struct Choice {
    writes: Vec<LeaseWrite>,
    lease: Option<Lease>,
}

impl Table {
    pub(super) async fn lease_slot(&self, request: &LeaseRequest<'_>) -> Result<Option<Lease>, Fault> {
        let doing = || format!("leasing a slot for {}", request.build);
        'again: for _ in 0..MAX_ATTEMPTS {
            let hosts = self.all_hosts().await.map_err(|error| fault(&doing(), error))?;
            let choice = choose(hosts, request, self.clock.now(), self.silence)?;
            for write in choice.writes {
                let set = self.set_leases(&write.host, &write.leases, write.version).await;
                if !set.map_err(|error| fault(&doing(), error))? {
                    continue 'again;
                }
            }
            return Ok(choice.lease);
        }
        Err(contended(&doing()))
    }

    pub(super) async fn renew_lease(&self, build: &BuildId, lease: &Lease, until: Timestamp) -> Result<Lease, Fault> {
        let doing = format!("renewing the lease of {build}");
        let renewed = self.change(&doing, lease, |leases| match holds(leases, build) {
            Some(held) if held.device == lease.device => leases.renew(build, until).map(Some),
            _ => Ok(None),
        });
        let lost = || Fault::new(FaultKind::NotFound, format!("the lease of {build} on {} has been lost", lease.host));
        renewed.await?.ok_or_else(lost)
    }

    pub(super) async fn release_lease(&self, build: &BuildId, lease: &Lease) -> Result<(), Fault> {
        let doing = format!("releasing the lease of {build}");
        let released = self.change(&doing, lease, |leases| {
            let is_held = holds(leases, build).is_some_and(|held| held.device == lease.device);
            leases.release(build);
            Ok(is_held.then_some(()))
        });
        released.await.map(|_| ())
    }

    /// Changes the leases of a lease's host. `None`: there is nothing to write, or no such host.
    async fn change<T>(
        &self,
        doing: &str,
        lease: &Lease,
        change: impl Fn(&mut Leases) -> Result<Option<T>, Fault>,
    ) -> Result<Option<T>, Fault> {
        for _ in 0..MAX_ATTEMPTS {
            let host = self.get_host(&lease.host).await.map_err(|error| fault(doing, error))?;
            let Some(mut host) = host else { return Ok(None) };
            let Some(result) = change(&mut host.leases)? else { return Ok(None) };
            if self.set_leases(&lease.host, &host.leases, host.version).await.map_err(|error| fault(doing, error))? {
                return Ok(Some(result));
            }
        }
        Err(contended(doing))
    }
}

fn contended(doing: &str) -> Fault {
    Fault::new(FaultKind::Throttled, format!("{doing}: too many conflicting writes"))
}

/// Converts a store error to a fault of the same kind.
fn fault(doing: &str, error: StoreError) -> Fault {
    let StoreError::Failed { operation, source } = error else {
        return Fault::new(FaultKind::Ambiguous, format!("{doing}: {error}"));
    };
    let kind = source.downcast_ref::<CallError>().map_or(FaultKind::Permanent, |error| error.fault.kind);
    // The table itself is missing: that is permanent, and does not mean that the lease is lost.
    let kind = if kind == FaultKind::NotFound { FaultKind::Permanent } else { kind };
    Fault::new(kind, format!("{doing}: {operation}: {source}"))
}

fn holds<'a>(leases: &'a Leases, build: &BuildId) -> Option<&'a Lease> {
    // An expired lease still belongs to the build until another takes the slot.
    leases.held(Timestamp(0)).find_map(|(holder, lease)| (holder == build).then_some(lease))
}

/// Chooses the host of a build's lease: the host that it has a lease on, drained or not, unless that is lost; else the
/// ready host of its architecture with the most free slots, the first of those by name.
fn choose(
    mut hosts: Vec<HostRecord>,
    request: &LeaseRequest<'_>,
    now: Timestamp,
    silence: Millis,
) -> Result<Choice, Fault> {
    hosts.sort_by(|a, b| a.report.host.cmp(&b.report.host));
    let mut choice = Choice::default();
    for host in hosts.iter_mut().filter(|host| holds(&host.leases, request.build).is_some()) {
        let is_lost = host.seen + silence <= now;
        let is_other = host.report.architecture != request.architecture;
        if !is_lost && !is_other && choice.lease.is_none() {
            choice.lease = host.leases.lease(&host.host(), request, now, |_| false)?;
        } else {
            // Released before another is leased, so that a build whose host comes back holds only one lease.
            host.leases.release(request.build);
        }
        choice.writes.push(LeaseWrite::of(host));
        host.version += 1;
    }
    if choice.lease.is_some() {
        return Ok(choice);
    }
    let free = |host: &HostRecord| host.host().slots.saturating_sub(host.leases.held(now).count());
    hosts.retain(|host| host.report.architecture == request.architecture && host.is_ready(now, silence));
    hosts.sort_by_key(|host| Reverse(free(host)));
    for host in &mut hosts {
        if let Some(lease) = host.leases.lease(&host.host(), request, now, |_| false)? {
            choice.writes.push(LeaseWrite::of(host));
            choice.lease = Some(lease);
            break;
        }
    }
    Ok(choice)
}

#[cfg(test)]
#[path = "leases_tests.rs"]
mod tests;
