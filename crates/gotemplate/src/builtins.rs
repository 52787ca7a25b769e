//! Go's predefined functions. `and` and `or` are in the evaluator, which does not evaluate arguments that they don't
//! need.

use crate::{printf, value::Value};

/// The names of the built-in functions.
pub const BUILTINS: [&str; 14] =
    ["and", "or", "not", "len", "index", "print", "printf", "println", "eq", "ne", "lt", "le", "gt", "ge"];

/// Calls a built-in function; `None` if there is none of that name.
pub(crate) fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    Some(match name {
        "not" => one(arguments).map(|value| Value::Bool(!value.is_truthy())),
        "len" => one(arguments).and_then(len),
        "index" => index(arguments),
        "print" => Ok(Value::String(print(arguments))),
        "println" => {
            let words: Vec<String> = arguments.iter().map(printf::display).collect();
            Ok(Value::String(words.join(" ") + "\n"))
        }
        "printf" => printf::printf(arguments).map(Value::String),
        "eq" => eq(arguments),
        "ne" => two(arguments).and_then(|(a, b)| equal(a, b)).map(|equal| Value::Bool(!equal)),
        "lt" => compare(arguments, |o| o.is_lt()),
        "le" => compare(arguments, |o| o.is_le()),
        "gt" => compare(arguments, |o| o.is_gt()),
        "ge" => compare(arguments, |o| o.is_ge()),
        _ => return None,
    })
}

fn one(arguments: &[Value]) -> Result<&Value, String> {
    match arguments {
        [value] => Ok(value),
        _ => Err(format!("one value is needed, not {}", arguments.len())),
    }
}

fn two(arguments: &[Value]) -> Result<(&Value, &Value), String> {
    match arguments {
        [a, b] => Ok((a, b)),
        _ => Err(format!("two values are needed, not {}", arguments.len())),
    }
}

fn len(value: &Value) -> Result<Value, String> {
    let len = match value {
        Value::String(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("{} has no length", other.kind())),
    };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}

/// A missing key of a map yields "": templates have only maps of strings, and that is the zero value of Go's string.
fn index(arguments: &[Value]) -> Result<Value, String> {
    let Some((first, keys)) = arguments.split_first() else {
        return Err("a map or list is needed".to_owned());
    };
    let mut value = first.clone();
    for key in keys {
        let checked = |len: usize, at: i64| {
            usize::try_from(at)
                .ok()
                .filter(|at| *at < len)
                .ok_or_else(|| format!("the index {at} is outside of 0..{len}"))
        };
        value = match (&value, key) {
            (Value::Map(map), Value::String(key)) => map.get(key).cloned().unwrap_or_else(|| "".into()),
            (Value::List(list), Value::Int(at)) => list[checked(list.len(), *at)?].clone(),
            (Value::String(text), Value::Int(at)) => Value::Int(text.as_bytes()[checked(text.len(), *at)?].into()),
            (value, key) => {
                return Err(format!("{} cannot be indexed with {}", value.kind(), key.kind()));
            }
        };
    }
    Ok(value)
}

/// `fmt.Sprint`: a space between two operands of which neither is a string.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut after_string = true;
    for value in arguments {
        let is_string = matches!(value, Value::String(_));
        if !is_string && !after_string {
            out.push(' ');
        }
        after_string = is_string;
        out.push_str(&printf::display(value));
    }
    out
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Map(_) | Value::List(_), _) | (_, Value::Map(_) | Value::List(_)) => {
            Err("maps and lists cannot be compared".to_owned())
        }
        (Value::Nil, _) | (_, Value::Nil) => Ok(a == b),
        _ if std::mem::discriminant(a) == std::mem::discriminant(b) => Ok(a == b),
        _ => Err(format!("{} and {} cannot be compared", a.kind(), b.kind())),
    }
}

fn eq(arguments: &[Value]) -> Result<Value, String> {
    let Some((first, others)) = arguments.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Err("at least two values are needed".to_owned());
    };
    for other in others {
        if equal(first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn compare(arguments: &[Value], test: fn(std::cmp::Ordering) -> bool) -> Result<Value, String> {
    let ordering = match two(arguments)? {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (a, b) => return Err(format!("{} and {} cannot be ordered", a.kind(), b.kind())),
    };
    Ok(Value::Bool(test(ordering)))
}
