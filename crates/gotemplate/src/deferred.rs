//! Templates that are rendered while a build runs: `bakehouse_protocol::DeferredTemplate`. They may use the caller's
//! data, Go's built-in functions, Packer's pure functions and the time. Everything else was replaced when the Packer
//! template was read.

use std::collections::BTreeMap;

use crate::{
    eval::{CallError, Scope},
    functions,
    template::{UnstableError, render_until_stable},
    value::Value,
};

/// Whether a deferred template may call this function.
pub fn is_function(name: &str) -> bool {
    functions::PURE.contains(&name) || functions::TIMED.contains(&name)
}

struct DeferredScope {
    data: Value,
    now: u64,
}

impl Scope for DeferredScope {
    fn data(&self) -> &Value {
        &self.data
    }

    fn missing_field(&self, field: &str) -> Result<Value, String> {
        let known: Vec<String> = match &self.data {
            Value::Map(map) => map.keys().map(|name| format!(".{name}")).collect(),
            _ => Vec::new(),
        };
        Err(if known.is_empty() {
            format!("there is no .{field}: no fields are known here")
        } else {
            format!("there is no .{field}; known here: {}", known.join(", "))
        })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, CallError> {
        match functions::call_at(name, arguments, self.now) {
            Some(result) => result.map_err(CallError::Failed),
            None => Err(CallError::Unknown),
        }
    }
}

/// Renders a deferred template until nothing changes. `data` has the fields that it may use (`Device`, `SourceAMITags`,
/// …), `now` is the time in milliseconds since 1970 (UTC).
///
/// # Errors
/// [`UnstableError`]; a field that is not in `data` is one, and its message names those that are.
pub fn render(text: &str, data: &BTreeMap<String, Value>, now: u64) -> Result<String, UnstableError> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    render_until_stable(text, &DeferredScope { data: Value::Map(data.clone()), now })
}
