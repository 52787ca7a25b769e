//! JSON.

use std::{collections::BTreeMap, fmt::Write as _};

use jsonc_parser::{CollectOptions, ParseOptions, ast, parse_to_ast};

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, types::DEFERRED, value::Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("jsondecode", &["text"], jsondecode),
    Function::new("jsonencode", &["value"], |a| {
        a.budget.spend_value(a.value(0))?;
        Ok(encode(a.value(0))?.into())
    }),
];

/// Returns a value as JSON, without blanks, as Go writes it: `<`, `>` and `&` are escaped.
pub(super) fn encode(value: &Value) -> Result<String, Fault> {
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), Fault> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_string(text, out),
        Value::Deferred(_) => return Err(Fault::new(DEFERRED)),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Map(items) => {
            out.push('{');
            for (i, (key, item)) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write(item, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// Writes a string as Go's `encoding/json` does.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{0}'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                // Failing to write to a string is impossible.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn jsondecode(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let text = arguments.text(0)?;
    arguments.budget.spend(text.len() / 4)?;
    // Checks that it is JSON and not nested too deep; the other parser keeps the digits of numbers.
    serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| Fault::new(format!("this is not JSON: {error}")).argument(0))?;
    let parsed = parse_to_ast(&text, &CollectOptions::default(), &ParseOptions::default())
        .map_err(|error| Fault::new(format!("this is not JSON: {error}")).argument(0))?;
    parsed.value.map_or(Ok(Value::Null), decode)
}

fn decode(value: ast::Value<'_>) -> Result<Value, Fault> {
    Ok(match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::NumberLit(literal) => Value::Number(literal.value.parse().map_err(Fault::new)?),
        ast::Value::StringLit(literal) => Value::String(literal.value.into_owned()),
        ast::Value::Array(array) => array.elements.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?.into(),
        ast::Value::Object(object) => {
            let mut items = BTreeMap::new();
            for property in object.properties {
                items.insert(property.name.into_string(), decode(property.value)?);
            }
            items.into()
        }
    })
}
