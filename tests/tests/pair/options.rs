//! How a stack for a test differs from the usual one.

use std::path::PathBuf;

use bakehouse_localcloud::Delays;

/// What a stack is started with.
pub(crate) struct Options {
    /// How long EC2 takes.
    pub(crate) delays: Delays,
    /// Whether EventBridge sends EC2's notifications.
    pub(crate) notifications: bool,
    /// Whether templates may access the host.
    pub(crate) allow_host_access: bool,
    /// How many environments the function has.
    pub(crate) environments: usize,
    /// The visibility timeout of the inbox, in seconds: longer than an invocation takes, or a message is delivered a
    /// second time while it is being handled.
    pub(crate) visibility: u32,
    /// Whether patrol messages are sent.
    pub(crate) patrol: bool,
    /// How many builds a host runs at once.
    pub(crate) slots: u32,
    /// The first host is on demand: stopped after so many seconds without a build.
    pub(crate) on_demand: Option<u64>,
    /// A raw disk to build from; else a small one is made.
    pub(crate) base: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            delays: Delays::default(),
            notifications: true,
            allow_host_access: false,
            environments: 2,
            visibility: 20,
            patrol: true,
            slots: 2,
            on_demand: None,
            base: None,
        }
    }
}
