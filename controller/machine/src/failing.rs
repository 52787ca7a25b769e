//! Commands that fail and are retried: the last fault of each is kept, to explain why a build takes long, and for its
//! message if it runs into a deadline.

use alloc::{format, string::String, vec::Vec};
use bakehouse_protocol::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{CommandKey, Fault, FaultKind};

/// After how many faults in a row a failing command is reported: one or two are common.
pub const REPORT_AFTER: u32 = 3;

/// The longest message or hint that is kept, in bytes: a record has little room.
pub(crate) const MAX_TEXT: usize = 600;

/// A command whose last try has failed and which is retried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingCommand {
    /// Which command.
    #[serde(alias = "step")]
    pub key: CommandKey,
    /// The fault of the last try, its texts cut to a maximal length.
    pub fault: Fault,
    /// How many tries in a row have failed.
    pub times: u32,
    /// When the first of them failed.
    pub since: Timestamp,
    /// When the last of them failed.
    pub last: Timestamp,
}

impl FailingCommand {
    /// Whether it is a real fault, and not only the usual wait for a resource that is not ready.
    pub fn is_fault(&self) -> bool {
        self.fault.kind != FaultKind::NotReady
    }

    /// Whether it has failed often enough to be reported.
    pub fn is_reportable(&self) -> bool {
        self.is_fault() && self.times >= REPORT_AFTER
    }

    /// Returns for how long it has been failing.
    pub fn duration(&self) -> Millis {
        self.last.since(self.since)
    }

    /// Returns the call and the error code of the fault, without the service's message, which may differ each time.
    pub fn summary(&self) -> &str {
        let message = &self.fault.message;
        message.match_indices(": ").nth(1).map_or(message, |(end, _)| &message[..end])
    }
}

/// Records how the last try of a command went: with a fault after which it is retried, or otherwise.
pub(crate) fn record(
    failing: &mut Vec<FailingCommand>,
    key: &CommandKey,
    fault: Option<&Fault>,
    undoing: bool,
    now: Timestamp,
) {
    let before = failing.iter().position(|failing| &failing.key == key).map(|at| failing.remove(at));
    let Some(fault) = fault.filter(|fault| match fault.kind {
        FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotReady => true,
        FaultKind::Permanent => undoing,
        FaultKind::NotFound | FaultKind::Conflict => false,
    }) else {
        return;
    };
    let fault = Fault { kind: fault.kind, message: cut(&fault.message), hint: fault.hint.as_deref().map(cut) };
    let first = FailingCommand { key: key.clone(), fault, times: 1, since: now, last: now };
    // A change between faults and waiting starts a new count: in between, the service has answered.
    failing.push(match before.filter(|before| before.is_fault() == first.is_fault()) {
        Some(before) => FailingCommand { times: before.times.saturating_add(1), since: before.since, ..first },
        None => first,
    });
}

fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_TEXT)])
}

/// Returns the latest fault; the wait for a resource that is not ready only if there is no other.
pub(crate) fn latest(failing: &[FailingCommand]) -> Option<&FailingCommand> {
    failing.iter().max_by_key(|failing| (failing.is_fault(), failing.last))
}

/// Returns the messages of the failing ones among these commands in parentheses, to follow the name of a resource;
/// empty if none fails.
pub(crate) fn messages(failing: &[FailingCommand], keys: &[CommandKey]) -> String {
    let failing = failing.iter().filter(|failing| keys.contains(&failing.key));
    let messages: Vec<&str> = failing.map(|failing| failing.fault.message.as_str()).collect();
    if messages.is_empty() { String::new() } else { format!(" ({})", messages.join("; ")) }
}
