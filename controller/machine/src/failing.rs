//! Steps that are tried again and again: what each has met last, for whoever asks why a build takes so long, and for the
//! message that it ends with if it takes too long.

use alloc::{format, string::String, vec::Vec};
use bakehouse_protocol::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Fault, FaultKind, Step};

/// From how many faults in a row on a step is worth telling of: one or two are everyday.
pub const WORTH_TELLING: u32 = 3;

/// The longest that is kept of a message or a hint, in bytes: a record has little room.
pub(crate) const LONGEST: usize = 600;

/// A step whose last try has failed, and which is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Which.
    pub step: Step,
    /// What the last try has met; its texts are cut.
    pub fault: Fault,
    /// How many tries in a row have met a fault.
    pub times: u32,
    /// When the first of them did.
    pub since: Timestamp,
    /// When the last of them did.
    pub last: Timestamp,
}

impl Failing {
    /// Whether it is more than the usual waiting for something that takes its time.
    pub fn is_fault(&self) -> bool {
        self.fault.kind != FaultKind::NotReady
    }

    /// Whether it has gone on long enough to be told.
    pub fn is_worth_telling(&self) -> bool {
        self.is_fault() && self.times >= WORTH_TELLING
    }

    /// How long it has gone on.
    pub fn lasts(&self) -> Millis {
        self.last.since(self.since)
    }

    /// The fault without the service's own words, which may differ each time: the call and the error's code.
    pub fn reason(&self) -> &str {
        let message = &self.fault.message;
        message.match_indices(": ").nth(1).map_or(message, |(end, _)| &message[..end])
    }
}

/// Notes how a step's last try went: with a fault after which it is tried again, or otherwise.
pub(crate) fn note(failing: &mut Vec<Failing>, step: &Step, fault: Option<&Fault>, undoing: bool, now: Timestamp) {
    let before = failing.iter().position(|failing| &failing.step == step).map(|at| failing.remove(at));
    let Some(fault) = fault.filter(|fault| match fault.kind {
        FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotReady => true,
        FaultKind::Permanent => undoing,
        FaultKind::NotFound | FaultKind::Conflict => false,
    }) else {
        return;
    };
    let fault = Fault { kind: fault.kind, message: cut(&fault.message), hint: fault.hint.as_deref().map(cut) };
    let first = Failing { step: step.clone(), fault, times: 1, since: now, last: now };
    // From faults to waiting, or back, it begins anew: in between the service has answered.
    failing.push(match before.filter(|before| before.is_fault() == first.is_fault()) {
        Some(before) => Failing { times: before.times.saturating_add(1), since: before.since, ..first },
        None => first,
    });
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}

/// The fault that has come last; the usual waiting only if there is no other.
pub(crate) fn last(failing: &[Failing]) -> Option<&Failing> {
    failing.iter().max_by_key(|failing| (failing.is_fault(), failing.last))
}

/// Why one of these steps did not get through, to follow the name of what it was about; empty if none was tried in vain.
pub(crate) fn why(failing: &[Failing], steps: &[Step]) -> String {
    let failing = failing.iter().filter(|failing| steps.contains(&failing.step));
    let reasons: Vec<&str> = failing.map(|failing| failing.fault.message.as_str()).collect();
    if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) }
}
