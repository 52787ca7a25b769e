//! What the daemon needs from outside, as traits, so that tests can use fakes.

use std::{future::Future, pin::Pin};

use bakehouse_agent::VolumeCheck;
pub use bakehouse_aws::{Received as Message, logs::Line};
use bakehouse_protocol::{
    BuildId, BundleRef, Fault, InboxMessage, InstanceId, Job, Region, Report, Timestamp, VolumeId, Zone,
    spec::Architecture,
};
use tokio::sync::mpsc;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Queues.
pub trait Queue: Send + Sync {
    /// Returns the URL of the queue of this name. NotFound: there is none.
    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, Fault>>;
    /// Receives messages (waits 20 s at most) and hides them for [`crate::queue_poller::VISIBILITY_SECONDS`]. NotFound:
    /// there is no such queue.
    fn receive<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<Message>, Fault>>;
    /// Deletes a message.
    fn delete<'a>(&'a self, url: &'a str, receipt: &'a str) -> BoxFuture<'a, Result<(), Fault>>;
    /// Sets a message's visibility time-out to this many seconds from now; 0 returns it to the queue.
    fn change_visibility<'a>(
        &'a self,
        url: &'a str,
        receipt: &'a str,
        seconds: u32,
    ) -> BoxFuture<'a, Result<(), Fault>>;
}

/// The controller's inbox.
pub trait Inbox: Send + Sync {
    /// Sends a message.
    fn send<'a>(&'a self, message: &'a InboxMessage) -> BoxFuture<'a, Result<(), Fault>>;
}

/// The bucket of the bundles.
pub trait Bundles: Send + Sync {
    /// Returns the object's bytes. NotFound or Permanent: there is none, it may not be read, or its digest differs.
    fn fetch<'a>(&'a self, bundle: &'a BundleRef) -> BoxFuture<'a, Result<Vec<u8>, Fault>>;
}

/// The log group of the builds.
pub trait Logs: Send + Sync {
    /// Appends lines, oldest first, to a stream, which is created if missing.
    fn put<'a>(&'a self, stream: &'a str, lines: &'a [Line]) -> BoxFuture<'a, Result<(), Fault>>;
}

/// The wall clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// This instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub instance: InstanceId,
    /// Its region.
    pub region: Region,
    /// Its zone.
    pub zone: Zone,
    /// Its architecture.
    pub architecture: Architecture,
}

/// An event of a job's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEvent {
    /// A report.
    Report(Report),
    /// The process has ended without a final report, for this reason.
    Died(String),
}

/// A job's process.
pub struct Running {
    /// Its events; the channel closes when the process has exited.
    pub events: mpsc::Receiver<JobEvent>,
    /// Tells it to stop and to clean up.
    pub stop: Box<dyn Fn() + Send + Sync>,
}

/// Jobs, each a process of its own.
pub trait Jobs: Send + Sync {
    /// Starts one.
    fn start<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Running, String>>;
    /// Cleans up after a killed job, and returns whether its volume is free.
    fn check_volume<'a>(&'a self, build: &'a BuildId, volume: &'a VolumeId) -> BoxFuture<'a, VolumeCheck>;
    /// Cleans up after all other killed jobs, and returns what was removed.
    fn clear(&self) -> BoxFuture<'_, Vec<String>>;
}
