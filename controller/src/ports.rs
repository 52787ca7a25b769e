//! What the controller needs from the place it runs in. Each method is one question or one act, safe to repeat; faults
//! come sorted by what follows from them ([`FaultKind`](bakehouse_machine::FaultKind)), chosen so that any place could
//! meet each.

use std::future::Future;

use bakehouse_machine::{Build, Fault, resources::Lease};
use bakehouse_protocol::{BuildId, DeviceName, HostId, Job, Region, Timestamp, spec::Architecture};

/// The one home of the wall clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// A future that gives a fault if it does not give `T`.
pub trait Answer<T>: Future<Output = Result<T, Fault>> + Send {}
impl<T, F: Future<Output = Result<T, Fault>> + Send> Answer<T> for F {}

/// Parameter Store, as far as templates use it.
pub trait Parameters: Send + Sync {
    /// What the parameter of this name holds. Refused: there is none.
    fn parameter(&self, region: &Region, name: &str) -> impl Answer<String>;
}

/// The agents on the hosts.
pub trait Agents: Send + Sync {
    /// Gives a job; one of the same build is not given twice.
    fn send_job(&self, host: &HostId, job: &Job) -> impl Answer<()>;
    /// Tells a host to stop a build's job. Gone: it knows of none.
    fn stop_job(&self, host: &HostId, build: &BuildId) -> impl Answer<()>;
}

/// A slot and a device name that are asked for.
#[derive(Clone, Debug)]
pub struct LeaseRequest<'a> {
    /// For which build.
    pub build: &'a BuildId,
    /// What the host must run.
    pub architecture: Architecture,
    /// This name and no other.
    pub device: Option<&'a DeviceName>,
    /// None of these.
    pub avoid: &'a [DeviceName],
    /// When it ends unless renewed.
    pub until: Timestamp,
}

/// What a saved record was saved as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// Why a record could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody saved it in between: load it again.
    #[error("the record of {0} was changed meanwhile")]
    Conflict(BuildId),
    /// There is none.
    #[error("there is no build {0}")]
    NotFound(BuildId),
    /// It is larger than the store can keep.
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
    /// A record and its version.
    fn load(&self, id: &BuildId) -> impl Future<Output = Result<(Build, Version), StoreError>> + Send;
    /// Saves a record over the version that it was loaded as.
    fn save(&self, build: &Build, version: Version) -> impl Future<Output = Result<Version, StoreError>> + Send;
    /// Leases a slot and a name; the same build gets the same again, except a name to avoid. `None`: no room now.
    fn lease(&self, request: &LeaseRequest<'_>) -> impl Answer<Option<Lease>>;
    /// Gives a lease a new end. Gone: it has been lost.
    fn renew(&self, build: &BuildId, lease: &Lease, until: Timestamp) -> impl Answer<Lease>;
    /// Gives a lease back.
    fn release(&self, build: &BuildId, lease: &Lease) -> impl Answer<()>;
}

/// Where messages to builds arrive.
pub trait Inbox: Send + Sync {
    /// Makes sure that the build gets a tick at this time or earlier.
    fn wake(&self, id: &BuildId, at: Timestamp) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Something that must be handled before what follows from the last event: a wish to cancel, where it can be seen at
    /// once. Each is given once.
    fn urgent(&self, id: &BuildId) -> Option<bakehouse_machine::Event> {
        let _ = id;
        None
    }
}
