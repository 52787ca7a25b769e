//! Leasing a slot on one of several hosts. What to write where is decided by a pure function on what was read; each write
//! holds only if the host's leases are unchanged, else everything is read and decided again.

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

/// How often a refused write is tried again. Each refusal means that somebody else got what they wanted.
const TRIES: u32 = 10;

/// New leases for one host.
#[derive(Debug, PartialEq, Eq)]
struct Write {
    host: HostId,
    version: u64,
    leases: Leases,
}

impl Write {
    fn of(host: &HostRecord) -> Self {
        Self { host: host.report.host.clone(), version: host.version, leases: host.leases.clone() }
    }
}

/// What to write, in this order, for which lease.
#[derive(Debug, Default, PartialEq, Eq)]
struct Choice {
    writes: Vec<Write>,
    lease: Option<Lease>,
}

impl Table {
    pub(super) async fn lease_slot(&self, request: &LeaseRequest<'_>) -> Result<Option<Lease>, Fault> {
        let doing = || format!("leasing a slot for {}", request.build);
        'again: for _ in 0..TRIES {
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
        Err(crowded(&doing()))
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

    /// Changes the leases of a lease's host. `None`, from the closure or because there is no such host: nothing to write.
    async fn change<T>(
        &self,
        doing: &str,
        lease: &Lease,
        change: impl Fn(&mut Leases) -> Result<Option<T>, Fault>,
    ) -> Result<Option<T>, Fault> {
        for _ in 0..TRIES {
            let host = self.one_host(&lease.host).await.map_err(|error| fault(doing, error))?;
            let Some(mut host) = host else { return Ok(None) };
            let Some(result) = change(&mut host.leases)? else { return Ok(None) };
            if self.set_leases(&lease.host, &host.leases, host.version).await.map_err(|error| fault(doing, error))? {
                return Ok(Some(result));
            }
        }
        Err(crowded(doing))
    }
}

fn crowded(doing: &str) -> Fault {
    Fault::new(FaultKind::Throttled, format!("{doing}: others lease there at the same moment"))
}

/// A store's error, as a fault of the same kind.
fn fault(doing: &str, error: StoreError) -> Fault {
    let StoreError::Failed { operation, source } = error else {
        return Fault::new(FaultKind::Ambiguous, format!("{doing}: {error}"));
    };
    let kind = source.downcast_ref::<CallError>().map_or(FaultKind::Permanent, |error| error.fault.kind);
    // The table itself is missing: that will not pass, and is no word on the lease.
    let kind = if kind == FaultKind::NotFound { FaultKind::Permanent } else { kind };
    Fault::new(kind, format!("{doing}: {operation}: {source}"))
}

fn holds<'a>(leases: &'a Leases, build: &BuildId) -> Option<&'a Lease> {
    // One whose time is up is the build's all the same until somebody takes the slot.
    leases.held(Timestamp(0)).find_map(|(holder, lease)| (holder == build).then_some(lease))
}

/// Where a build gets its slot: where it has one already, drained or not, unless that host is lost; else on the ready host
/// of its architecture with the most free slots, the first by name of those.
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
            // Given up before another is taken, so that a build whose host comes back holds one lease, not two.
            host.leases.release(request.build);
        }
        choice.writes.push(Write::of(host));
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
            choice.writes.push(Write::of(host));
            choice.lease = Some(lease);
            break;
        }
    }
    Ok(choice)
}

#[cfg(test)]
#[path = "leases_tests.rs"]
mod tests;
