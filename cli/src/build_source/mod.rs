//! The sources of builds: the records of this machine, or a stack. The commands that list, follow and cancel builds use
//! the trait [`BuildSource`].

mod local;

pub(crate) use local::{INSTANCE_STATE_DIR, LocalBuilds};

use std::{error::Error, time::Duration};

use bakehouse_machine::Build;
use bakehouse_protocol::{BuildId, Report, Timestamp};
use serde::Serialize;

use crate::report::CliError;

/// The builds of a source.
#[derive(Default)]
pub(crate) struct Found {
    /// The readable builds, oldest first.
    pub(crate) builds: Vec<Build>,
    /// Why other builds could not be read.
    pub(crate) unreadable: Vec<CliError>,
}

impl Found {
    /// Collects and sorts what was read.
    pub(crate) fn new<E: Error + 'static>(read: impl IntoIterator<Item = Result<Build, E>>) -> Self {
        let mut found = Self::default();
        for build in read {
            match build {
                Ok(build) => found.builds.push(build),
                Err(error) => found.unreadable.push(CliError::of(&error)),
            }
        }
        found.builds.sort_by(|a, b| (a.accepted_at, &a.id).cmp(&(b.accepted_at, &b.id)));
        found
    }
}

/// A host, for `hosts`.
#[derive(Debug, Serialize)]
pub(crate) struct HostLine {
    pub(crate) host: String,
    /// `ready`, `draining`, `silent`, or the power state of a host on demand.
    pub(crate) state: &'static str,
    pub(crate) zone: String,
    pub(crate) architecture: &'static str,
    pub(crate) slots: u32,
    /// The builds that hold a slot.
    pub(crate) builds: Vec<String>,
    pub(crate) kernel: String,
    pub(crate) agent: String,
    /// When it last reported.
    #[serde(skip)]
    pub(crate) seen: Timestamp,
}

/// How far a log has been read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    /// The offset in a file. The reader of a stack's log keeps its own position.
    pub(crate) offset: u64,
}

/// A source of builds.
pub(crate) trait BuildSource {
    /// Its name, for messages: "no builds in …".
    fn name(&self) -> String;
    /// Returns the ids of all builds (of a stack: of the newest), oldest first.
    fn ids(&self) -> Result<Vec<BuildId>, CliError>;
    /// Returns these builds.
    fn builds(&self) -> Result<Found, CliError>;
    /// Returns one build.
    fn load(&self, id: &BuildId) -> Result<Build, CliError>;
    /// Whether a build has not ended, but no process drives it any more.
    fn is_left(&self, build: &Build) -> bool;
    /// Returns the builds that killed runs have left.
    fn left(&self) -> Vec<BuildId>;
    /// Returns where a build's log is, for `show`.
    fn log(&self, id: &BuildId) -> Option<String>;
    /// Returns the agent's reports since `from`, and advances it.
    fn reports(&self, id: &BuildId, from: &mut Position) -> Result<Vec<Report>, CliError>;
    /// Returns the hosts.
    fn hosts(&self) -> Result<Vec<HostLine>, CliError>;
    /// Returns the interval at which a build is polled while it is followed.
    fn poll_interval(&self) -> Duration;
}
