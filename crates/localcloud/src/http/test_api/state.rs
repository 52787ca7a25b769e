//! What the endpoint keeps for tests.

use std::sync::{Mutex, PoisonError};

use crate::EmbeddedCloud;
use bakehouse_protocol::{Region, Timestamp};
use tokio::sync::{Notify, broadcast};

use super::{
    faults::{Effect, Faults},
    journal::{Journal, JournalEntry},
    notification::Notification,
    outbox::Outbox,
};
use crate::http::call::Transition;

/// How many notifications a receiver may be behind.
const RECEIVER_CAPACITY: usize = 1024;

/// The journal, the faults and the notifications of a server. Disabled, all of them stay empty.
pub(crate) struct TestApi {
    enabled: bool,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) sender: broadcast::Sender<Notification>,
    outbox: Mutex<Outbox>,
    /// There is something to watch.
    watching: Notify,
}

impl TestApi {
    pub(crate) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            journal: Journal::default(),
            faults: Faults::default(),
            sender: broadcast::Sender::new(RECEIVER_CAPACITY),
            outbox: Mutex::default(),
            watching: Notify::new(),
        }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The notifications so far.
    pub(crate) fn notifications(&self) -> Vec<Notification> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).notifications()
    }

    /// Returns what is to happen to a call.
    pub(crate) fn fault(&self, action: &str, region: &Region) -> Option<Effect> {
        if self.enabled { self.faults.effect_on(action, region.as_str()) } else { None }
    }

    /// Adds a call to the journal.
    pub(crate) fn record(&self, entry: JournalEntry) {
        if self.enabled {
            self.journal.add(entry);
        }
    }

    /// Watches from now on what a call has begun.
    pub(crate) fn watch(&self, now: Timestamp, region: &Region, transitions: Vec<Transition>) {
        if self.enabled && !transitions.is_empty() {
            self.outbox.lock().unwrap_or_else(PoisonError::into_inner).watch(now, region, transitions);
            self.watching.notify_one();
        }
    }

    /// Waits until there is something to watch.
    pub(crate) async fn watching(&self) {
        if !self.outbox.lock().unwrap_or_else(PoisonError::into_inner).is_watching() {
            self.watching.notified().await;
        }
    }

    /// Polls all that is watched once, and sends a notification of each transition that has ended.
    pub(crate) fn poll(&self, cloud: &dyn EmbeddedCloud, account: &str, now: Timestamp) {
        for notification in Outbox::poll(&self.outbox, cloud, account, now) {
            // There need not be a receiver.
            let _ = self.sender.send(notification);
        }
    }
}
