//! Slots of a host and device names of its instance, leased to builds. Pure: the adapters store the table (a file under
//! a lock, an item of a DynamoDB table).

use std::collections::BTreeMap;

use bakehouse_machine::{Fault, FaultKind, resources::Lease};
use bakehouse_protocol::{BuildId, DeviceName, HostId, InstanceId, Timestamp, Zone, spec::Architecture};
use serde::{Deserialize, Serialize};

use crate::ports::LeaseRequest;

/// A host, as EC2 knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub id: HostId,
    /// Its instance.
    pub instance: InstanceId,
    /// Its availability zone.
    pub zone: Zone,
    /// Its architecture.
    pub architecture: Architecture,
    /// How many builds it can run concurrently.
    pub slots: usize,
}

/// The leases of one host. A lease ends when its time is up, or when its holder is known to be dead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    held: BTreeMap<BuildId, Lease>,
    /// The device name that was leased last: the next search starts behind it, because EC2 keeps a name in use for some
    /// seconds after a detach.
    last: Option<DeviceName>,
}

impl Leases {
    /// Leases a slot and a device name; the same build gets the same again, except a name to avoid. `None`: no slot is
    /// free. `is_dead` returns whether no process drives the holder any more.
    ///
    /// # Errors
    /// Permanent if the host is of another architecture.
    pub fn lease(
        &mut self,
        host: &Host,
        request: &LeaseRequest<'_>,
        now: Timestamp,
        is_dead: impl Fn(&BuildId) -> bool,
    ) -> Result<Option<Lease>, Fault> {
        if request.architecture != host.architecture {
            let (wanted, is) = (request.architecture.as_str(), host.architecture.as_str());
            return Err(Fault::new(FaultKind::Permanent, format!("the image is {wanted}, this host runs {is}"))
                .hint("build it on a host of that architecture"));
        }
        if let Some(own) = self.held.get_mut(request.build)
            && !request.avoid.contains(&own.device)
        {
            own.until = request.until;
            return Ok(Some(own.clone()));
        }
        self.held.remove(request.build);
        self.held.retain(|holder, lease| now < lease.until && !is_dead(holder));
        if self.held.len() >= host.slots {
            return Ok(None);
        }
        let taken: Vec<_> = self.held.values().map(|lease| &lease.device).chain(request.avoid).collect();
        let device = match request.device {
            Some(device) if taken.contains(&device) => None,
            Some(device) => Some(device.clone()),
            None => next_free(self.last.as_ref(), |name| taken.contains(&name)),
        };
        let Some(device) = device else { return Ok(None) };
        let lease = Lease {
            host: host.id.clone(),
            instance: host.instance.clone(),
            zone: host.zone.clone(),
            device: device.clone(),
            until: request.until,
        };
        self.last = Some(device);
        self.held.insert(request.build.clone(), lease.clone());
        Ok(Some(lease))
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// NotFound if the build holds none.
    pub fn renew(&mut self, build: &BuildId, until: Timestamp) -> Result<Lease, Fault> {
        match self.held.get_mut(build) {
            Some(lease) => {
                lease.until = until;
                Ok(lease.clone())
            }
            None => Err(Fault::new(FaultKind::NotFound, format!("the lease of {build} has been lost"))),
        }
    }

    /// Releases a lease.
    pub fn release(&mut self, build: &BuildId) {
        self.held.remove(build);
    }

    /// Returns the leases that have not ended.
    pub fn held(&self, now: Timestamp) -> impl Iterator<Item = (&BuildId, &Lease)> {
        self.held.iter().filter(move |(_, lease)| now < lease.until)
    }
}

/// Returns the device names that EC2's guide recommends for data volumes and that Ubuntu's images leave free:
/// `/dev/sd[f-p]`, then `/dev/xvdb[b-z]`.
fn device_names() -> impl Iterator<Item = DeviceName> + Clone {
    let short = ('f'..='p').map(|letter| format!("/dev/sd{letter}"));
    let long = ('b'..='z').map(|letter| format!("/dev/xvdb{letter}"));
    short.chain(long).filter_map(|name| DeviceName::new(name).ok())
}

fn next_free(last: Option<&DeviceName>, is_taken: impl Fn(&DeviceName) -> bool) -> Option<DeviceName> {
    let start = last.and_then(|last| device_names().position(|name| &name == last)).map_or(0, |at| at + 1);
    device_names().cycle().skip(start).take(device_names().count()).find(|name| !is_taken(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(slots: usize) -> Host {
        Host {
            id: HostId::new("here").unwrap(),
            instance: InstanceId::new("i-0123456789abcdef0").unwrap(),
            zone: Zone::new("us-east-1a").unwrap(),
            architecture: Architecture::X86_64,
            slots,
        }
    }

    fn ask(leases: &mut Leases, slots: usize, build: &BuildId, avoid: &[DeviceName], now: u64) -> Option<Lease> {
        let request = LeaseRequest {
            build,
            architecture: Architecture::X86_64,
            device: None,
            avoid,
            until: Timestamp(now + 100),
        };
        leases.lease(&host(slots), &request, Timestamp(now), |_| false).unwrap()
    }

    fn build(n: u32) -> BuildId {
        BuildId::from_parts(1, n)
    }

    #[test]
    fn no_two_builds_hold_one_name_and_slots_run_out() {
        let mut leases = Leases::default();
        let one = ask(&mut leases, 2, &build(1), &[], 0).unwrap();
        let two = ask(&mut leases, 2, &build(2), &[], 0).unwrap();
        assert_ne!(one.device, two.device);
        assert_eq!(ask(&mut leases, 2, &build(3), &[], 0), None);
        leases.release(&build(1));
        assert!(ask(&mut leases, 2, &build(3), &[], 0).is_some());
    }

    #[test]
    fn asked_again_a_build_gets_the_same_name_unless_it_must_be_avoided() {
        let mut leases = Leases::default();
        let first = ask(&mut leases, 2, &build(1), &[], 0).unwrap().device;
        assert_eq!(ask(&mut leases, 2, &build(1), &[], 5).unwrap().device, first);
        assert_ne!(ask(&mut leases, 2, &build(1), std::slice::from_ref(&first), 5).unwrap().device, first);
    }

    #[test]
    fn a_lease_ends_with_its_time_or_with_its_holder() {
        let mut leases = Leases::default();
        ask(&mut leases, 1, &build(1), &[], 0).unwrap();
        assert_eq!(ask(&mut leases, 1, &build(2), &[], 99), None);
        assert!(ask(&mut leases, 1, &build(2), &[], 100).is_some());
        let request = LeaseRequest {
            build: &build(3),
            architecture: Architecture::X86_64,
            device: None,
            avoid: &[],
            until: Timestamp(300),
        };
        assert!(leases.lease(&host(1), &request, Timestamp(101), |holder| holder == &build(2)).unwrap().is_some());
        assert_eq!(leases.renew(&build(2), Timestamp(400)).unwrap_err().kind, FaultKind::NotFound);
    }

    #[test]
    fn names_go_round_so_that_one_just_freed_comes_last() {
        let mut leases = Leases::default();
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..device_names().count() {
            let n = u32::try_from(n).unwrap();
            seen.insert(ask(&mut leases, 1, &build(n), &[], 0).unwrap().device);
            leases.release(&build(n));
        }
        assert_eq!(seen.len(), 36);
    }
}
