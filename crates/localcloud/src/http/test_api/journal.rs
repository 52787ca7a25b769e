//! The calls to a server and how they ended.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use bakehouse_protocol::{Region, Timestamp};
use serde::Serialize;

/// One call that was answered, or whose answer a fault suppressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JournalEntry {
    /// When it was received.
    pub at: Timestamp,
    /// As `CreateVolume`.
    pub action: String,
    /// The region that it was signed for; absent if it was not signed.
    pub region: Option<Region>,
    /// The id of the access key that signed it.
    pub access_key_id: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// All parameters except those of the signature.
    pub parameters: BTreeMap<String, String>,
    /// The error's code, if it was refused.
    pub code: Option<String>,
    /// The HTTP status of the answer; absent if the connection was dropped.
    pub status: Option<u16>,
    /// Whether the action was performed: not if it was refused before that; yes if only its answer was lost.
    pub performed: bool,
    /// Whether a fault affected it.
    pub fault: bool,
}

/// How many calls are kept: the last ones.
const KEPT: usize = 10_000;

/// The calls so far.
#[derive(Debug, Default)]
pub struct Journal(Mutex<VecDeque<JournalEntry>>);

impl Journal {
    fn with<T>(&self, f: impl FnOnce(&mut VecDeque<JournalEntry>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&self, entry: JournalEntry) {
        self.with(|entries| {
            if entries.len() == KEPT {
                entries.pop_front();
            }
            entries.push_back(entry);
        });
    }

    /// The calls so far, in the order in which they ended.
    pub fn calls(&self) -> Vec<JournalEntry> {
        self.with(|entries| entries.iter().cloned().collect())
    }

    /// Empties the journal and returns what was in it.
    pub fn take(&self) -> Vec<JournalEntry> {
        self.with(|entries| entries.drain(..).collect())
    }
}
