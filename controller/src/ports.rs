//! What the controller needs from the place it runs in. Each method is one question or one act, safe to repeat; faults
//! come sorted by what follows from them ([`FaultKind`](bakehouse_machine::FaultKind)), chosen so that any place could
//! meet each.

use std::future::Future;

use bakehouse_machine::{
    Build, Fault,
    command::{CopyImage, CreateSnapshot, CreateVolume, PublishImage, RegisterImage},
    event::{ImageFacts, SnapshotFacts, VolumeFacts},
    resources::{Lease, Resource},
};
use bakehouse_protocol::{
    BuildId, DeviceName, HostId, ImageId, InstanceId, Job, Region, SnapshotId, Timestamp, VolumeId,
    spec::{Architecture, ImageQuery},
};

use crate::resolve::SourceImage;

/// A place in which builds run: one set of adapters.
pub trait Place: Send + Sync {
    /// See [`Cloud`].
    type Cloud: Cloud;
    /// See [`Agents`].
    type Agents: Agents;
    /// See [`Store`].
    type Store: Store;
    /// See [`Inbox`].
    type Inbox: Inbox;
    /// See [`Clock`].
    type Clock: Clock;

    /// EC2, or what behaves like it.
    fn cloud(&self) -> &Self::Cloud;
    /// The hosts' agents.
    fn agents(&self) -> &Self::Agents;
    /// Records and leases.
    fn store(&self) -> &Self::Store;
    /// Where messages to builds arrive.
    fn inbox(&self) -> &Self::Inbox;
    /// The time.
    fn clock(&self) -> &Self::Clock;
}

/// The one home of the wall clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// A future that gives a fault if it does not give `T`.
pub trait Answer<T>: Future<Output = Result<T, Fault>> + Send {}
impl<T, F: Future<Output = Result<T, Fault>> + Send> Answer<T> for F {}

/// EC2.
pub trait Cloud: Send + Sync {
    /// The regions that this account may use.
    fn regions(&self) -> impl Answer<Vec<Region>>;
    /// Returns the images that a query finds, in no order, by one call however many they are.
    fn find_images(&self, region: &Region, query: &ImageQuery) -> impl Answer<Vec<SourceImage>>;
    /// Returns the size of a snapshot in GiB. Gone: there is none, or this account may not read it.
    fn snapshot_size(&self, region: &Region, snapshot: &SnapshotId) -> impl Answer<u32>;
    /// What the parameter of this name (Parameter Store) holds.
    fn parameter(&self, region: &Region, name: &str) -> impl Answer<String>;
    /// The account's own image of this name.
    fn image_named(&self, region: &Region, name: &str) -> impl Answer<Option<ImageId>>;
    /// Makes the work volume, once for a token.
    fn create_volume(&self, create: &CreateVolume) -> impl Answer<VolumeId>;
    /// How a volume is.
    fn see_volume(&self, region: &Region, volume: &VolumeId) -> impl Answer<VolumeFacts>;
    /// Attaches a volume; that it is attached there already is success.
    fn attach_volume(
        &self,
        region: &Region,
        volume: &VolumeId,
        instance: &InstanceId,
        device: &DeviceName,
    ) -> impl Answer<()>;
    /// Asks for the detaching; that it is detached already is success.
    fn detach_volume(&self, region: &Region, volume: &VolumeId) -> impl Answer<()>;
    /// Deletes a volume.
    fn delete_volume(&self, region: &Region, volume: &VolumeId) -> impl Answer<()>;
    /// Takes a snapshot; with `again` set, looks first for one that carries the build's tag.
    fn create_snapshot(&self, create: &CreateSnapshot) -> impl Answer<SnapshotId>;
    /// How a snapshot is.
    fn see_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> impl Answer<SnapshotFacts>;
    /// Deletes a snapshot.
    fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> impl Answer<()>;
    /// Registers the image; one of that name that carries the build's tag is adopted.
    fn register_image(&self, register: &RegisterImage) -> impl Answer<ImageId>;
    /// Copies the image, once for a token.
    fn copy_image(&self, copy: &CopyImage) -> impl Answer<ImageId>;
    /// How an image is.
    fn see_image(&self, region: &Region, image: &ImageId) -> impl Answer<ImageFacts>;
    /// Launch permissions, product codes and tags.
    fn publish_image(&self, publish: &PublishImage) -> impl Answer<()>;
    /// Deregisters an image and deletes those of its snapshots that carry the build's tag.
    fn remove_image(&self, region: &Region, image: &ImageId, build: &BuildId) -> impl Answer<()>;
    /// What carries a build's tag in a region and is not on its way out.
    fn tagged(&self, region: &Region, build: &BuildId) -> impl Answer<Vec<Resource>>;
}

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
