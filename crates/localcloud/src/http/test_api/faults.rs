//! Faults that are injected into calls, for tests of clients: what EC2 and networks do on a bad day.
//!
//! ```json
//! {"action": "CreateVolume", "every": 3, "effect": {"error": "RequestLimitExceeded"}}
//! {"action": "CreateSnapshot", "times": 1, "effect": "drop_after"}
//! {"action": "CopyImage", "region": "eu-west-1", "effect": {"error": "UnauthorizedOperation"}}
//! ```

use std::sync::{Mutex, PoisonError};

use bakehouse_ec2::ApiError;
use serde::{Deserialize, Serialize};

/// Which calls are affected, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Calls of this action; absent: of every action.
    #[serde(default)]
    pub action: Option<String>,
    /// Calls to this region; absent: to every region.
    #[serde(default)]
    pub region: Option<String>,
    /// How many of these calls succeed first.
    #[serde(default)]
    pub after: u32,
    /// Then each of them is affected (1), each second one (2), and so on.
    #[serde(default = "one")]
    pub every: u32,
    /// How many are affected in all; absent: no limit.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    pub effect: Effect,
}

fn one() -> u32 {
    1
}

impl Fault {
    /// A fault of each call of the action.
    pub fn each(action: impl Into<String>, effect: Effect) -> Self {
        Self { action: Some(action.into()), region: None, after: 0, every: 1, times: None, effect }
    }

    /// A fault of the next call of the action.
    pub fn once(action: impl Into<String>, effect: Effect) -> Self {
        Self { times: Some(1), ..Self::each(action, effect) }
    }
}

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It is refused with this code, and not performed.
    Error(String),
    /// It is performed, and then this code is answered.
    ErrorAfter(String),
    /// The connection is closed without an answer; it is not performed.
    Drop,
    /// It is performed, and then the connection is closed without an answer.
    DropAfter,
    /// It is performed this many milliseconds later.
    DelayMs(u64),
}

/// The error of this code, with EC2's message.
pub(crate) fn fault_error(code: &str) -> ApiError {
    let message = match code {
        "RequestLimitExceeded" => "Request limit exceeded.",
        "UnauthorizedOperation" => "You are not authorized to perform this operation.",
        "InternalError" => "An internal error has occurred",
        "Unavailable" | "ServiceUnavailable" => {
            "The service is unavailable. Please try again shortly. If the problem persists, contact AWS Support."
        }
        _ => "An injected fault.",
    };
    ApiError::new(code.to_owned(), message)
}

/// The faults of a server.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Rule>>);

#[derive(Debug)]
struct Rule {
    fault: Fault,
    /// How many calls it fits.
    seen: u32,
    /// How many calls it has affected.
    affected: u32,
}

impl Faults {
    /// Adds a fault. If several affect a call, the first one counts.
    pub fn add(&self, fault: Fault) {
        self.rules(|rules| rules.push(Rule { fault, seen: 0, affected: 0 }));
    }

    /// Removes all faults.
    pub fn clear(&self) {
        self.rules(Vec::clear);
    }

    /// The faults, oldest first.
    pub fn list(&self) -> Vec<Fault> {
        self.rules(|rules| rules.iter().map(|rule| rule.fault.clone()).collect())
    }

    /// Counts a call and returns what is to happen to it.
    pub(crate) fn effect_on(&self, action: &str, region: &str) -> Option<Effect> {
        self.rules(|rules| {
            let mut effect = None;
            for rule in rules {
                let fault = &rule.fault;
                let fits = fault.action.as_deref().is_none_or(|it| it == action)
                    && fault.region.as_deref().is_none_or(|it| it == region);
                if !fits || fault.times.is_some_and(|times| rule.affected >= times) {
                    continue;
                }
                rule.seen += 1;
                let after = rule.seen.saturating_sub(fault.after);
                if effect.is_none() && after > 0 && after.is_multiple_of(fault.every.max(1)) {
                    rule.affected += 1;
                    effect = Some(fault.effect.clone());
                }
            }
            effect
        })
    }

    fn rules<T>(&self, f: impl FnOnce(&mut Vec<Rule>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affected(fault: Fault, calls: usize) -> Vec<usize> {
        let faults = Faults::default();
        faults.add(fault);
        (1..=calls).filter(|_| faults.effect_on("CreateVolume", "us-east-1").is_some()).collect()
    }

    #[test]
    fn a_fault_counts_the_calls_that_it_fits() {
        let drop = || Fault::each("CreateVolume", Effect::Drop);
        assert_eq!(affected(drop(), 3), [1, 2, 3]);
        assert_eq!(affected(Fault { every: 3, ..drop() }, 7), [3, 6]);
        assert_eq!(affected(Fault { after: 2, times: Some(2), ..drop() }, 7), [3, 4]);
        assert_eq!(affected(Fault { region: Some("eu-west-1".into()), ..drop() }, 3), [0; 0]);
        assert_eq!(affected(Fault::each("CopyImage", Effect::Drop), 3), [0; 0]);
        assert_eq!(affected(Fault { action: None, ..drop() }, 1), [1]);
    }

    #[test]
    fn faults_are_read_from_json() {
        let fault: Fault = serde_json::from_str(r#"{"times":1,"effect":{"error":"Unavailable"}}"#).unwrap();
        assert_eq!((fault.every, fault.effect), (1, Effect::Error("Unavailable".to_owned())));
        let fault: Fault = serde_json::from_str(r#"{"action":"CreateTags","effect":"drop_after"}"#).unwrap();
        assert_eq!(fault, Fault::each("CreateTags", Effect::DropAfter));
        assert!(serde_json::from_str::<Fault>(r#"{"actoin":"CreateTags","effect":"drop"}"#).is_err());
    }
}
