//! What the controller needs from the backend it runs on. Each method is one query or one action and is safe to repeat;
//! faults are sorted by how they are handled ([`FaultKind`](bakehouse_machine::FaultKind)).

use std::future::Future;

use bakehouse_machine::{Build, Fault, resources::Lease};
use bakehouse_protocol::{
    BuildId, DeviceName, HostId, Job, Region, Timestamp,
    spec::{Architecture, CopyRole},
};

/// The wall clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// A future of `T` or a fault.
pub trait FaultFuture<T>: Future<Output = Result<T, Fault>> + Send {}
impl<T, F: Future<Output = Result<T, Fault>> + Send> FaultFuture<T> for F {}

/// Parameter Store, as far as templates use it.
pub trait Parameters: Send + Sync {
    /// Returns the value of the parameter of this name; `None`: there is none.
    fn find_parameter(&self, region: &Region, name: &str) -> impl FaultFuture<Option<String>>;
    /// Writes an image's id into a parameter of the data type `aws:ec2:image`, whether it exists or not. Parameter
    /// Store checks the image only afterwards, and drops one that it can't see.
    fn put_image(&self, region: &Region, name: &str, image: &str) -> impl FaultFuture<()>;
    /// Deletes a parameter. NotFound: there is none.
    fn delete_parameter(&self, region: &Region, name: &str) -> impl FaultFuture<()>;
}

/// A key of KMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Whether it can be used now: it is enabled.
    pub enabled: bool,
    /// Whether it encrypts volumes: a symmetric key for encryption.
    pub encrypts: bool,
    /// Whether it is AWS's own (a default key), which no other account can use.
    pub managed_by_aws: bool,
}

/// KMS, as far as templates name its keys.
pub trait Keys: Send + Sync {
    /// Returns a key by its id, its ARN or an alias, asked by a role of another account or by the account's own
    /// credentials. NotFound: there is none in this region.
    fn key(&self, region: &Region, role: Option<&CopyRole>, key: &str) -> impl FaultFuture<Key>;
}

/// The agents on the hosts.
pub trait Agents: Send + Sync {
    /// Sends a job to a host; a second job of the same build is ignored.
    fn send_job(&self, host: &HostId, job: &Job) -> impl FaultFuture<()>;
    /// Tells a host to stop a build's job. NotFound: the host has none.
    fn stop_job(&self, host: &HostId, build: &BuildId) -> impl FaultFuture<()>;
}

/// A request for a slot and a device name.
#[derive(Clone, Debug)]
pub struct LeaseRequest<'a> {
    /// The build.
    pub build: &'a BuildId,
    /// The architecture of the host.
    pub architecture: Architecture,
    /// The device name; `None`: any free one.
    pub device: Option<&'a DeviceName>,
    /// Device names to avoid.
    pub avoid: &'a [DeviceName],
    /// When the lease ends unless renewed.
    pub until: Timestamp,
}

/// The version of a saved record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// Why a record could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process saved it in between: load it again.
    #[error("the record of {0} was changed meanwhile")]
    Conflict(BuildId),
    /// There is no such build.
    #[error("there is no build {0}")]
    NotFound(BuildId),
    /// It is larger than the store allows.
    #[error("{0}")]
    TooLarge(String),
    /// The store failed.
    #[error("{operation}")]
    Failed {
        /// The operation and the thing.
        operation: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Build records and leases. A record is saved only if its version is unchanged.
pub trait Store: Send + Sync {
    /// Returns a record and its version.
    fn load(&self, id: &BuildId) -> impl Future<Output = Result<(Build, Version), StoreError>> + Send;
    /// Saves a record in place of the version that was loaded.
    fn save(&self, build: &Build, version: Version) -> impl Future<Output = Result<Version, StoreError>> + Send;
    /// Leases a slot and a device name; the same build gets the same again, except a name to avoid. `None`: no slot is
    /// free.
    fn lease(&self, request: &LeaseRequest<'_>) -> impl FaultFuture<Option<Lease>>;
    /// Renews a lease. NotFound: it has been lost.
    fn renew(&self, build: &BuildId, lease: &Lease, until: Timestamp) -> impl FaultFuture<Lease>;
    /// Releases a lease.
    fn release(&self, build: &BuildId, lease: &Lease) -> impl FaultFuture<()>;
}

/// The messages to builds.
pub trait Inbox: Send + Sync {
    /// Makes sure that the build gets a tick at this time or earlier.
    fn wake(&self, id: &BuildId, at: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Returns an event that must be handled before all others: a cancellation, where it is known at once. Each is
    /// returned once.
    fn urgent(&self, id: &BuildId) -> Option<bakehouse_machine::Event> {
        let _ = id;
        None
    }
}
