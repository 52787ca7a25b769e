//! What was asked and what came of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use bakehouse_protocol::{Region, Timestamp};
use serde::Serialize;

/// One call that was answered, or that a fault kept from being answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Served {
    /// When it came.
    pub at: Timestamp,
    /// As `CreateVolume`.
    pub action: String,
    /// The region that it was signed for; absent if it was not signed.
    pub region: Option<Region>,
    /// The id of the access key that signed it.
    pub access_key_id: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
    /// All parameters as they came, but those of the signature.
    pub parameters: BTreeMap<String, String>,
    /// The error's code, if it was refused.
    pub code: Option<String>,
    /// The status that was answered; absent if the connection was dropped.
    pub status: Option<u16>,
    /// Whether the action was performed: not if it was refused before that, and also if its answer was lost.
    pub performed: bool,
    /// Whether a fault was put in its way.
    pub fault: bool,
}

/// How many calls are kept; of more, the last ones.
const KEPT: usize = 10_000;

/// The calls so far, shared by all who ask.
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<VecDeque<Served>>>);

impl Journal {
    fn kept<T>(&self, f: impl FnOnce(&mut VecDeque<Served>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&self, call: Served) {
        self.kept(|calls| {
            if calls.len() == KEPT {
                calls.pop_front();
            }
            calls.push_back(call);
        });
    }

    /// The calls so far, in the order in which they ended.
    pub fn calls(&self) -> Vec<Served> {
        self.kept(|calls| calls.iter().cloned().collect())
    }

    /// Forgets them, and tells them a last time.
    pub fn take(&self) -> Vec<Served> {
        self.kept(|calls| calls.drain(..).collect())
    }
}
