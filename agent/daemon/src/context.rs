//! What the daemon's parts share.

use std::sync::Arc;

use crate::{
    host::Host,
    journal::Journal,
    ports::{Bundles, Clock, Inbox, Jobs, Logs, Queue},
    settings::Settings,
};

/// What the daemon's parts share.
pub struct Context {
    /// The settings.
    pub settings: Settings,
    /// The host.
    pub host: Host,
    /// The journal of jobs.
    pub journal: Journal,
    /// Queues.
    pub queue: Arc<dyn Queue>,
    /// The controller's inbox.
    pub inbox: Arc<dyn Inbox>,
    /// Bundles.
    pub bundles: Arc<dyn Bundles>,
    /// The builds' logs.
    pub logs: Arc<dyn Logs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The jobs' processes.
    pub jobs: Arc<dyn Jobs>,
}
