//! What the daemon needs from outside, as traits, so that tests can use fakes.

use std::{future::Future, pin::Pin};

use bakehouse_agent::VolumeCheck;
pub use bakehouse_aws::{Received as Message, logs::Line};
use bakehouse_protocol::{
    BuildId, BundleRef, Fault, InboxMessage, InstanceId, Job, Region, Report, Timestamp, VolumeId, Zone,
    spec::Architecture,
};
use tokio::sync::mpsc;

/// What is to come.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Queues.
pub trait Queue: Send + Sync {
    /// Returns the URL of the queue of this name. NotFound: there is none.
    fn find<'a>(&'a self, name: &'a str) -> Later<'a, Result<String, Fault>>;
    /// Waits for messages (20 s at most) and hides them from others for [`crate::queue_poller::HIDDEN`]. NotFound: there is
    /// no such queue.
    fn receive<'a>(&'a self, url: &'a str) -> Later<'a, Result<Vec<Message>, Fault>>;
    /// Deletes a message.
    fn delete<'a>(&'a self, url: &'a str, receipt: &'a str) -> Later<'a, Result<(), Fault>>;
    /// Hides a message for so many seconds from now; 0 gives it back.
    fn hide<'a>(&'a self, url: &'a str, receipt: &'a str, seconds: u32) -> Later<'a, Result<(), Fault>>;
}

/// The controller's inbox.
pub trait Inbox: Send + Sync {
    /// Puts a message in.
    fn send<'a>(&'a self, message: &'a InboxMessage) -> Later<'a, Result<(), Fault>>;
}

/// The bucket of the bundles.
pub trait Bundles: Send + Sync {
    /// Returns the object's bytes. NotFound or Permanent: there is none, it may not be read, or it is another one.
    fn fetch<'a>(&'a self, bundle: &'a BundleRef) -> Later<'a, Result<Vec<u8>, Fault>>;
}

/// The log group of the builds.
pub trait Logs: Send + Sync {
    /// Appends lines, oldest first, to a stream; makes the stream if it is not there.
    fn put<'a>(&'a self, stream: &'a str, lines: &'a [Line]) -> Later<'a, Result<(), Fault>>;
}

/// The wall clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Which instance this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub instance: InstanceId,
    /// Its region.
    pub region: Region,
    /// Its zone.
    pub zone: Zone,
    /// What it runs.
    pub architecture: Architecture,
}

/// What is heard of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A report.
    Report(Report),
    /// Its process has ended without a last report; how.
    Died(String),
}

/// A job's process.
pub struct Running {
    /// What it says; it ends when the process is gone.
    pub heard: mpsc::Receiver<Heard>,
    /// Tells it to stop and to clear up.
    pub stop: Box<dyn Fn() + Send + Sync>,
}

/// Jobs, each a process of its own.
pub trait Jobs: Send + Sync {
    /// Starts one.
    fn start<'a>(&'a self, job: &'a Job) -> Later<'a, Result<Running, String>>;
    /// Clears what a job left whose process was killed, and says whether its volume is free.
    fn check_volume<'a>(&'a self, build: &'a BuildId, volume: &'a VolumeId) -> Later<'a, VolumeCheck>;
    /// Clears whatever else killed jobs have left, and says what it was.
    fn clear(&self) -> Later<'_, Vec<String>>;
}
