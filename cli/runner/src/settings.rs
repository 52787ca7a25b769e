//! The settings of a runner.

use std::path::PathBuf;

use bakehouse_protocol::{Interaction, Region, access::PersistedAccess};

/// The settings of a runner.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The state directory.
    pub state: PathBuf,
    /// The region in which templates without one are built.
    pub region: Region,
    /// The program of the agent's jobs, with its arguments.
    pub agent: (PathBuf, Vec<String>),
    /// How many builds may run concurrently on this machine.
    pub slots: usize,
    /// The access to AWS, which is saved so that a later process can undo the build. The embedded cloud needs none.
    pub access: PersistedAccess,
    /// How a person takes part in the builds. `on_error` is only for the agent: whether a failed build is undone is the
    /// controller's part.
    pub interaction: Interaction,
}
