//! Where builds are looked at: the records of this machine, or a stack. The commands that look, follow and cancel are
//! written once, over [`BuildSource`].

mod local;

pub(crate) use local::{HERE, LocalBuilds};

use std::time::Duration;

use bakehouse_machine::Build;
use bakehouse_protocol::{BuildId, Report, Timestamp};
use serde::Serialize;

use crate::report::CliError;

/// Builds, as they were found.
#[derive(Default)]
pub(crate) struct Found {
    /// Those that could be read, the oldest first.
    pub(crate) builds: Vec<Build>,
    /// Why others could not be read.
    pub(crate) unreadable: Vec<CliError>,
}

/// A host, for `hosts`.
#[derive(Debug, Serialize)]
pub(crate) struct HostLine {
    pub(crate) host: String,
    /// `ready`, `draining`, `silent`.
    pub(crate) state: &'static str,
    pub(crate) zone: String,
    pub(crate) architecture: &'static str,
    pub(crate) slots: u32,
    /// The builds that hold one of them.
    pub(crate) builds: Vec<String>,
    pub(crate) kernel: String,
    pub(crate) agent: String,
    /// When it was last heard of.
    #[serde(skip)]
    pub(crate) seen: Timestamp,
}

/// How far a log has been read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    /// Bytes of a file. A stack's log keeps its own mark.
    pub(crate) offset: u64,
}

/// Where builds are looked at.
pub(crate) trait BuildSource {
    /// What it is called: "no builds in …".
    fn name(&self) -> String;
    /// The ids of all builds (of a stack: of the newest), the oldest first.
    fn ids(&self) -> Result<Vec<BuildId>, CliError>;
    /// The builds behind them.
    fn builds(&self) -> Result<Found, CliError>;
    /// One build.
    fn load(&self, id: &BuildId) -> Result<Build, CliError>;
    /// Whether nobody drives it any more though it has not ended.
    fn is_left(&self, build: &Build) -> bool;
    /// Builds that killed runs have left.
    fn left(&self) -> Vec<BuildId>;
    /// Where its log is, for `show`.
    fn log(&self, id: &BuildId) -> Option<String>;
    /// What the agent has said since `from`, which moves on.
    fn said(&self, id: &BuildId, from: &mut Position) -> Result<Vec<Report>, CliError>;
    /// The hosts.
    fn hosts(&self) -> Result<Vec<HostLine>, CliError>;
    /// How long to wait between two looks at something that is followed.
    fn pause(&self) -> Duration;
}
