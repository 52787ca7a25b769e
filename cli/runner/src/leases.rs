//! The leases of this host: one file under a lock.

use std::{io, path::PathBuf};

use bakehouse_controller::{
    leasing::{Host, Leases},
    ports::LeaseRequest,
};
use bakehouse_disk::file;
use bakehouse_machine::{Fault, FaultKind, resources::Lease};
use bakehouse_protocol::{BuildId, Timestamp};
use nix::fcntl::FlockArg;

use crate::records::lock;

/// The leases of one host, in a file.
#[derive(Debug)]
pub struct LeaseFile {
    path: PathBuf,
    host: Host,
}

fn failed(path: &std::path::Path) -> impl FnOnce(io::Error) -> Fault + '_ {
    move |error| {
        Fault::new(FaultKind::Permanent, format!("can't read or write the leases in {}: {error}", path.display()))
    }
}

impl LeaseFile {
    /// Returns the leases in the file `path`.
    pub fn new(path: PathBuf, host: Host) -> Self {
        Self { path, host }
    }

    fn change<T>(&self, f: impl FnOnce(&mut Leases) -> Result<T, Fault>) -> Result<T, Fault> {
        let guard = self.path.with_extension("lock");
        let _held = lock(&guard, FlockArg::LockExclusive).map_err(failed(&guard))?;
        let mut table = match std::fs::read(&self.path) {
            // An unreadable table is replaced: EC2 itself refuses a device name that is in use, so nothing is lost.
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Leases::default(),
            Err(error) => return Err(failed(&self.path)(error)),
        };
        let result = f(&mut table)?;
        let text = serde_json::to_vec(&table).map_err(|error| failed(&self.path)(error.into()))?;
        file::replace(&self.path, &text).map_err(failed(&self.path))?;
        Ok(result)
    }

    /// Leases a slot and a device name. `is_dead` returns whether no process drives the holder any more.
    ///
    /// # Errors
    /// Permanent if this host is of another architecture or the file can't be written.
    pub fn lease(
        &self,
        request: &LeaseRequest<'_>,
        now: Timestamp,
        is_dead: impl Fn(&BuildId) -> bool,
    ) -> Result<Option<Lease>, Fault> {
        self.change(|leases| leases.lease(&self.host, request, now, is_dead))
    }

    /// Renews a lease.
    ///
    /// # Errors
    /// NotFound if the build holds none.
    pub fn renew(&self, build: &BuildId, until: Timestamp) -> Result<Lease, Fault> {
        self.change(|leases| leases.renew(build, until))
    }

    /// Releases a lease.
    ///
    /// # Errors
    /// Permanent if the file can't be written.
    pub fn release(&self, build: &BuildId) -> Result<(), Fault> {
        self.change(|leases| {
            leases.release(build);
            Ok(())
        })
    }
}
