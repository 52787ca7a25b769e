//! Text that is rendered while a build runs: `bakehouse_protocol::Late`. It knows the data that the caller gives,
//! Go's built-ins, Packer's pure functions and the time. The template's reader has already replaced everything else.

use std::collections::BTreeMap;

use crate::{
    eval::{CallError, Scope},
    functions,
    template::{UnstableError, render_until_stable},
    value::Value,
};

/// Whether late text may call this function.
pub fn is_function(name: &str) -> bool {
    functions::PURE.contains(&name) || functions::TIMED.contains(&name)
}

struct LateScope {
    data: Value,
    now: u64,
}

impl Scope for LateScope {
    fn data(&self) -> &Value {
        &self.data
    }

    fn missing(&self, field: &str) -> Result<Value, String> {
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

/// Renders late text until nothing changes. `data` holds what the text may speak of (`Device`, `SourceAMITags`, …),
/// `now` is the time in milliseconds since 1970 (UTC).
///
/// # Errors
/// [`UnstableError`]; a field that is not in `data` is one, and its message names those that are.
pub fn render(text: &str, data: &BTreeMap<String, Value>, now: u64) -> Result<String, UnstableError> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    render_until_stable(text, &LateScope { data: Value::Map(data.clone()), now })
}
