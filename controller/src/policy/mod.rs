//! The least IAM policy that a template needs, computed from its options.
//!
//! [`calls`] is the table: which actions each command of the machine needs. [`scope`] says of each action on what it acts
//! and under which conditions IAM can hold it to that. [`least`] takes the commands that a template can lead to and puts
//! the two together. The policy holds what one build does in AWS and no more: a stack's queues, table and logs are the
//! business of the stack's template (`infra/bakehouse.yaml`), whose rights a test holds against this.

pub mod calls;
pub mod scope;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_protocol::BuildSpec;
use serde_json::{Map, Value, json};

use crate::policy::{calls::Action, scope::Scope};
pub use target::{For, Place, STACK_TAG};

/// The least policy for builds of these specs: one for each builder of a template.
pub fn least(specs: &[BuildSpec], who: &For, place: &Place) -> Value {
    // One statement a scope; where two builders differ in it (another region), one for each.
    let mut granted: BTreeMap<(Scope, String), (Value, BTreeSet<Action>)> = BTreeMap::new();
    for spec in specs {
        for action in calls::needed(spec) {
            for &scope in scope::of(action) {
                let Some(target) = scope.target(spec, who, place) else { continue };
                let key = (scope, target.to_string());
                granted.entry(key).or_insert_with(|| (target, BTreeSet::new())).1.insert(action);
            }
        }
    }
    let mut statements: Vec<Value> = Vec::with_capacity(granted.len());
    let mut names: BTreeMap<Scope, u32> = BTreeMap::new();
    for ((scope, _), (target, actions)) in granted {
        let count = names.entry(scope).or_default();
        *count += 1;
        let sid = if *count == 1 { scope.sid().to_owned() } else { format!("{}{count}", scope.sid()) };
        let actions: Vec<&str> = actions.into_iter().map(Action::name).collect();
        let mut statement = Map::from_iter([
            ("Sid".to_owned(), Value::from(sid)),
            ("Effect".to_owned(), "Allow".into()),
            ("Action".to_owned(), actions.into()),
        ]);
        statement.extend(target.as_object().cloned().unwrap_or_default());
        statements.push(Value::Object(statement));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}
