//! What a runner is set up with.

use std::path::PathBuf;

use bakehouse_protocol::{Region, access::PersistedAccess};

/// What a runner is set up with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything is kept.
    pub state: PathBuf,
    /// The region in which templates without one are built.
    pub region: Region,
    /// The program, and its arguments, that becomes the agent's job.
    pub agent: (PathBuf, Vec<String>),
    /// How many builds may run at once on this machine.
    pub slots: usize,
    /// How AWS is reached, for whoever undoes a build that this process leaves behind. The embedded cloud needs nothing.
    pub access: PersistedAccess,
}
