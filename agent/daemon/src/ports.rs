//! What the daemon needs from the world, so that tests can give it another one.

use std::{future::Future, pin::Pin};

use bakehouse_agent::VolumeState;
use bakehouse_protocol::{
    BuildId, BundleRef, InboxMessage, InstanceId, Job, Region, Report, Timestamp, VolumeId, Zone, spec::Architecture,
};
use tokio::sync::mpsc;

/// What is to come.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that could not be done; the text names the operation and the thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// What it was to be done with is not there.
    #[error("{0}")]
    Gone(String),
    /// It never will.
    #[error("{0}")]
    Refused(String),
    /// It may go the next time.
    #[error("{0}")]
    Failed(String),
}

/// A message of the host's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message's own id; the same each time it comes.
    pub id: String,
    /// What this coming of it is deleted by.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// When it was sent, by the queue's clock.
    pub sent: Timestamp,
}

/// Queues.
pub trait Queue: Send + Sync {
    /// The URL of the queue of this name. Gone: there is none.
    fn find<'a>(&'a self, name: &'a str) -> Later<'a, Result<String, Trouble>>;
    /// Waits for messages (20 s at most) and hides them from others for [`crate::queue_poller::HIDDEN`]. Gone: the queue is.
    fn receive<'a>(&'a self, url: &'a str) -> Later<'a, Result<Vec<Message>, Trouble>>;
    /// Deletes a message.
    fn delete<'a>(&'a self, url: &'a str, receipt: &'a str) -> Later<'a, Result<(), Trouble>>;
    /// Hides a message for so many seconds from now; 0 gives it back.
    fn hide<'a>(&'a self, url: &'a str, receipt: &'a str, seconds: u32) -> Later<'a, Result<(), Trouble>>;
}

/// The controller's inbox.
pub trait Inbox: Send + Sync {
    /// Puts a message in.
    fn send<'a>(&'a self, message: &'a InboxMessage) -> Later<'a, Result<(), Trouble>>;
}

/// The bucket of the bundles.
pub trait Bundles: Send + Sync {
    /// The object, at most as many bytes as the reference says and one more. Refused: there is none, or it may not be
    /// read.
    fn fetch<'a>(&'a self, bundle: &'a BundleRef) -> Later<'a, Result<Vec<u8>, Trouble>>;
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// The log group of the builds.
pub trait Logs: Send + Sync {
    /// Appends lines, oldest first, to a stream; makes the stream if it is not there.
    fn put<'a>(&'a self, stream: &'a str, lines: &'a [Line]) -> Later<'a, Result<(), Trouble>>;
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
    fn check_volume<'a>(&'a self, build: &'a BuildId, volume: &'a VolumeId) -> Later<'a, VolumeState>;
    /// Clears whatever else killed jobs have left, and says what it was.
    fn clear(&self) -> Later<'_, Vec<String>>;
}
