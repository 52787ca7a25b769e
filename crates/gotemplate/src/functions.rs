//! Packer's functions that depend only on their arguments and, for three of them, the time.

use crate::{layout, value::Value};

/// The longest string that a function or a template may produce, in bytes.
pub const MAX_OUTPUT: usize = 1 << 20;

/// The functions of [`call`].
pub const PURE: [&str; 6] = ["upper", "lower", "split", "replace", "replace_all", "clean_resource_name"];

/// The functions of [`call_at`] that depend on the time.
pub const TIMED: [&str; 3] = ["timestamp", "isotime", "strftime"];

/// Calls one of [`PURE`]; `None` if it has no function of that name.
pub fn call(name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    use Value::{Int, String as Text};
    let result = match (name, arguments) {
        ("upper", [Text(text)]) => Ok(text.chars().map(|c| single(c, c.to_uppercase())).collect()),
        ("lower", [Text(text)]) => Ok(text.chars().map(|c| single(c, c.to_lowercase())).collect()),
        ("clean_resource_name", [Text(text)]) => Ok(clean_resource_name(text)),
        ("split", [Text(text), Text(separator), Int(n)]) => split(text, separator, *n),
        ("replace", [Text(old), Text(new), Int(count), Text(text)]) => replace(old, new, *count, text),
        ("replace_all", [Text(old), Text(new), Text(text)]) => replace(old, new, -1, text),
        ("upper" | "lower" | "clean_resource_name", _) => wrong_arguments("one string", arguments),
        ("split", _) => wrong_arguments("a string, a separator and an integer", arguments),
        ("replace", _) => wrong_arguments("the old text, the new text, a count and the text to change", arguments),
        ("replace_all", _) => wrong_arguments("the old text, the new text and the text to change", arguments),
        _ => return None,
    };
    Some(result.map(Value::String))
}

/// Calls one of [`PURE`] or [`TIMED`]; `now` is in milliseconds since 1970 (UTC). `None` if they have no function of
/// that name.
pub fn call_at(name: &str, arguments: &[Value], now: u64) -> Option<Result<Value, String>> {
    let result = match (name, arguments) {
        ("timestamp", []) => Ok((now / 1000).to_string()),
        ("isotime", []) => Ok(layout::format(layout::RFC_3339, now)),
        ("isotime", [Value::String(format)]) => Ok(layout::format(format, now)),
        ("strftime", [Value::String(format)]) => layout::strftime(format, now),
        ("timestamp", _) => wrong_arguments("nothing", arguments),
        ("isotime", _) => wrong_arguments("nothing or one layout such as \"2006-01-02\"", arguments),
        ("strftime", _) => wrong_arguments("one format such as \"%Y-%m-%d\"", arguments),
        _ => return call(name, arguments),
    };
    Some(result.map(Value::String))
}

/// Returns the error for a call with the wrong arguments.
///
/// # Errors
/// Always.
pub fn wrong_arguments<T>(wanted: &str, arguments: &[Value]) -> Result<T, String> {
    let got: Vec<&str> = arguments.iter().map(Value::kind).collect();
    let got = if got.is_empty() { "nothing".to_owned() } else { got.join(", ") };
    Err(format!("takes {wanted}, but was given {got}"))
}

/// Whether EC2 allows this byte in an image's name.
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"()[]./-'@_ ".contains(&byte)
}

/// Replaces each byte that EC2 does not allow in an image's name by `-`.
pub fn clean_resource_name(text: &str) -> String {
    text.bytes().map(|b| if is_name_byte(b) { char::from(b) } else { '-' }).collect()
}

/// Returns the changed character, or `c` if there is more than one: Go changes the case of each character by itself.
fn single(c: char, mut changed: impl Iterator<Item = char>) -> char {
    match (changed.next(), changed.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn split(text: &str, separator: &str, n: i64) -> Result<String, String> {
    let parts: Vec<String> = if separator.is_empty() {
        text.chars().map(String::from).collect()
    } else {
        text.split(separator).map(str::to_owned).collect()
    };
    let count = parts.len();
    usize::try_from(n)
        .ok()
        .and_then(|n| parts.into_iter().nth(n))
        .ok_or_else(|| format!("there is no part {n}, only parts 0 to {}", count.saturating_sub(1)))
}

fn replace(old: &str, new: &str, count: i64, text: &str) -> Result<String, String> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    // As in Go, "" matches before each character and at the end.
    let found = text.matches(old).take(most).count();
    if found.saturating_mul(new.len()).saturating_add(text.len()) > MAX_OUTPUT {
        return Err("the result is too large".to_owned());
    }
    Ok(text.replacen(old, new, most))
}
