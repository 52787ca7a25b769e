//! Slots of this host and device names, leased to builds: one file under a lock. A lease ends when its time is up, or
//! when the build that held it is in nobody's hands any more (its process died).

use std::{collections::BTreeMap, io, path::PathBuf};

use bakehouse_machine::{Fault, FaultKind, made::Lease};
use bakehouse_protocol::{BuildId, DeviceName, HostId, InstanceId, Timestamp, Zone, spec::Architecture};
use nix::fcntl::FlockArg;
use serde::{Deserialize, Serialize};

use super::records::{lock, replace};
use crate::ports::LeaseRequest;

/// This host, as the embedded cloud knows it.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub id: HostId,
    /// The instance that it is to EC2.
    pub instance: InstanceId,
    /// Where that is.
    pub zone: Zone,
    /// What it can run.
    pub architecture: Architecture,
    /// How many builds it takes at once.
    pub slots: usize,
}

/// The leases of one host.
#[derive(Debug)]
pub struct Leases {
    path: PathBuf,
    host: Host,
}

#[derive(Default, Serialize, Deserialize)]
struct Table {
    held: BTreeMap<BuildId, Lease>,
    /// The name given out last: the next search begins behind it, because EC2 keeps a name for some seconds after a
    /// detach.
    last: Option<DeviceName>,
}

fn failed(path: &std::path::Path) -> impl FnOnce(io::Error) -> Fault + '_ {
    move |error| Fault::new(FaultKind::Refused, format!("the table of leases {}: {error}", path.display()))
}

impl Leases {
    /// The leases kept in `path`.
    pub fn new(path: PathBuf, host: Host) -> Self {
        Self { path, host }
    }

    fn change<T>(&self, f: impl FnOnce(&mut Table) -> T) -> Result<T, Fault> {
        let guard = self.path.with_extension("lock");
        let _held = lock(&guard, FlockArg::LockExclusive).map_err(failed(&guard))?;
        let mut table = match std::fs::read(&self.path) {
            // A table that can't be read is begun anew: EC2 itself refuses a name that is taken, so nothing is lost.
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Table::default(),
            Err(error) => return Err(failed(&self.path)(error)),
        };
        let result = f(&mut table);
        let text = serde_json::to_vec(&table).map_err(|error| failed(&self.path)(error.into()))?;
        replace(&self.path, &text).map_err(failed(&self.path))?;
        Ok(result)
    }

    /// Leases a slot and a name. `is_dead` tells whether a holder is in nobody's hands.
    ///
    /// # Errors
    /// Refused if this host is of another architecture or the table can't be kept.
    pub fn lease(
        &self,
        request: &LeaseRequest<'_>,
        now: Timestamp,
        is_dead: impl Fn(&BuildId) -> bool,
    ) -> Result<Option<Lease>, Fault> {
        if request.architecture != self.host.architecture {
            let (wanted, is) = (request.architecture.as_str(), self.host.architecture.as_str());
            return Err(Fault::new(FaultKind::Refused, format!("the image is {wanted}, this host runs {is}"))
                .hint("bake it on a host of that architecture"));
        }
        self.change(|table| {
            if let Some(own) = table.held.get_mut(request.build)
                && !request.avoid.contains(&own.device)
            {
                own.until = request.until;
                return Some(own.clone());
            }
            table.held.remove(request.build);
            table.held.retain(|holder, lease| now < lease.until && !is_dead(holder));
            if table.held.len() >= self.host.slots {
                return None;
            }
            let taken: Vec<_> = table.held.values().map(|lease| &lease.device).chain(request.avoid).collect();
            let device = match request.device {
                Some(device) if taken.contains(&device) => return None,
                Some(device) => device.clone(),
                None => next(table.last.as_ref(), |name| taken.contains(&name))?,
            };
            let lease = Lease {
                host: self.host.id.clone(),
                instance: self.host.instance.clone(),
                zone: self.host.zone.clone(),
                device: device.clone(),
                until: request.until,
            };
            table.last = Some(device);
            table.held.insert(request.build.clone(), lease.clone());
            Some(lease)
        })
    }

    /// Gives a lease a new end.
    ///
    /// # Errors
    /// Gone if the build holds none.
    pub fn renew(&self, build: &BuildId, until: Timestamp) -> Result<Lease, Fault> {
        self.change(|table| {
            let lease = table.held.get_mut(build)?;
            lease.until = until;
            Some(lease.clone())
        })?
        .ok_or_else(|| Fault::new(FaultKind::Gone, format!("the lease of {build} has been lost")))
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// Refused if the table can't be kept.
    pub fn release(&self, build: &BuildId) -> Result<(), Fault> {
        self.change(|table| drop(table.held.remove(build)))
    }
}

/// The names that EC2's guide recommends for data volumes and that Ubuntu's images leave free: `/dev/sd[f-p]`, then
/// `/dev/xvdb[b-z]`.
fn names() -> impl Iterator<Item = DeviceName> + Clone {
    let short = ('f'..='p').map(|letter| format!("/dev/sd{letter}"));
    let long = ('b'..='z').map(|letter| format!("/dev/xvdb{letter}"));
    short.chain(long).filter_map(|name| DeviceName::new(name).ok())
}

fn next(last: Option<&DeviceName>, is_taken: impl Fn(&DeviceName) -> bool) -> Option<DeviceName> {
    let behind = last.and_then(|last| names().position(|name| &name == last)).map_or(0, |at| at + 1);
    names().cycle().skip(behind).take(names().count()).find(|name| !is_taken(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leases(dir: &std::path::Path, slots: usize) -> Leases {
        let host = Host {
            id: HostId::new("here").unwrap(),
            instance: InstanceId::new("i-0123456789abcdef0").unwrap(),
            zone: Zone::new("us-east-1a").unwrap(),
            architecture: Architecture::X86_64,
            slots,
        };
        Leases::new(dir.join("leases.json"), host)
    }

    fn ask(leases: &Leases, build: &BuildId, avoid: &[DeviceName], now: u64) -> Option<Lease> {
        let request = LeaseRequest {
            build,
            architecture: Architecture::X86_64,
            device: None,
            avoid,
            until: Timestamp(now + 100),
        };
        leases.lease(&request, Timestamp(now), |_| false).unwrap()
    }

    fn build(n: u32) -> BuildId {
        BuildId::from_parts(1, n)
    }

    #[test]
    fn no_two_builds_hold_one_name_and_slots_run_out() {
        let dir = tempfile::tempdir().unwrap();
        let leases = leases(dir.path(), 2);
        let one = ask(&leases, &build(1), &[], 0).unwrap();
        let two = ask(&leases, &build(2), &[], 0).unwrap();
        assert_ne!(one.device, two.device);
        assert_eq!(ask(&leases, &build(3), &[], 0), None);
        leases.release(&build(1)).unwrap();
        assert!(ask(&leases, &build(3), &[], 0).is_some());
    }

    #[test]
    fn asked_again_a_build_gets_the_same_name_unless_it_must_be_avoided() {
        let dir = tempfile::tempdir().unwrap();
        let leases = leases(dir.path(), 2);
        let first = ask(&leases, &build(1), &[], 0).unwrap().device;
        assert_eq!(ask(&leases, &build(1), &[], 5).unwrap().device, first);
        assert_ne!(ask(&leases, &build(1), std::slice::from_ref(&first), 5).unwrap().device, first);
    }

    #[test]
    fn a_lease_ends_with_its_time_or_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let leases = leases(dir.path(), 1);
        ask(&leases, &build(1), &[], 0).unwrap();
        assert_eq!(ask(&leases, &build(2), &[], 99), None);
        assert!(ask(&leases, &build(2), &[], 100).is_some());
        let request = LeaseRequest {
            build: &build(3),
            architecture: Architecture::X86_64,
            device: None,
            avoid: &[],
            until: Timestamp(300),
        };
        assert!(leases.lease(&request, Timestamp(101), |holder| holder == &build(2)).unwrap().is_some());
        assert_eq!(leases.renew(&build(2), Timestamp(400)).unwrap_err().kind, FaultKind::Gone);
    }

    #[test]
    fn names_go_round_so_that_one_just_freed_comes_last() {
        let dir = tempfile::tempdir().unwrap();
        let leases = leases(dir.path(), 1);
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..names().count() {
            let n = u32::try_from(n).unwrap();
            seen.insert(ask(&leases, &build(n), &[], 0).unwrap().device);
            leases.release(&build(n)).unwrap();
        }
        assert_eq!(seen.len(), 36);
    }
}
