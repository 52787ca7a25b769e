//! The least IAM policy that a template needs, computed from its options.
//!
//! [`calls`] is the table of the actions that each command of the machine needs. [`scope`] has the resources of each
//! action and the conditions by which IAM can restrict it to them. [`least_policy`] combines both for the commands that
//! a template can lead to. The policy allows only what builds do: the rights to a stack's queues, table and logs are in
//! the stack's template (`infra/bakehouse.yaml`), which a test compares with this.

pub mod calls;
pub mod scope;
mod target;

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_protocol::BuildSpec;
use serde_json::{Map, Value, json};

use crate::policy::{calls::Action, scope::Scope};
pub use target::{ArnScope, Caller, STACK_TAG};

/// Returns the least policy for builds of these specs: one for each builder of a template.
pub fn least_policy(specs: &[BuildSpec], caller: &Caller, arn_scope: &ArnScope) -> Value {
    // One statement for each scope; if two builders differ in it (another region), one for each of them.
    let mut granted: BTreeMap<(Scope, String), (Value, BTreeSet<Action>)> = BTreeMap::new();
    for spec in specs {
        for action in calls::required_actions(spec) {
            for &scope in scope::scopes_of(action) {
                let Some(target) = scope.target(spec, caller, arn_scope) else { continue };
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
