//! What the endpoint has for tests beside EC2: the journal of calls, faults, and the notifications of EventBridge.

use std::sync::{Mutex, PoisonError};

use bakehouse_protocol::{Region, Timestamp};
use tokio::sync::{Notify, broadcast};

use crate::EmbeddedCloud;
use crate::http::{Faults, Journal, Notification, call::Begun, events::Told};

/// How many notifications a receiver may be behind.
const BEHIND: usize = 1024;

pub(crate) struct Instruments {
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    pub(crate) notifications: broadcast::Sender<Notification>,
    told: Mutex<Told>,
    begun: Notify,
}

impl Instruments {
    pub(crate) fn new() -> Self {
        Self {
            journal: Journal::default(),
            faults: Faults::default(),
            notifications: broadcast::Sender::new(BEHIND),
            told: Mutex::default(),
            begun: Notify::new(),
        }
    }

    /// The notifications so far.
    pub(crate) fn told(&self) -> Vec<Notification> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).kept()
    }

    /// Looks from now on after what a call has begun.
    pub(crate) fn watch(&self, now: Timestamp, region: &Region, begun: Vec<Begun>) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).begun(now, region, begun);
        self.begun.notify_one();
    }

    /// Waits until there is something to look after.
    pub(crate) async fn begun(&self) {
        if !self.told.lock().unwrap_or_else(PoisonError::into_inner).is_waiting() {
            self.begun.notified().await;
        }
    }

    /// Looks once at all that is under way, and sends a notification for each thing that has come to its end.
    pub(crate) fn look(&self, cloud: &dyn EmbeddedCloud, account: &str, now: Timestamp) {
        for notification in Told::look(&self.told, cloud, account, now) {
            // There need not be a receiver.
            let _ = self.notifications.send(notification);
        }
    }
}
