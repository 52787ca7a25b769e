//! Writes YAML as Packer does: block style, keys and texts in double quotes, texts of several lines as literals.
//!
//! The form is that of the library libyaml, by which texts are folded at column 80.

use std::fmt::Write as _;

use crate::{error::Fault, types::DEFERRED, value::Value};

/// The column after which a text in double quotes is folded at the next blank.
const WIDTH: usize = 80;

/// Returns a value as one YAML document.
pub(super) fn encode(value: &Value) -> Result<String, Fault> {
    let mut out = String::new();
    match value {
        Value::List(items) if !items.is_empty() => write_list(items, 0, &mut out)?,
        Value::Map(items) if !items.is_empty() => write_map(items, 0, &mut out)?,
        scalar => write_scalar(scalar, 0, &mut out)?,
    }
    if !out.ends_with('\n') {
        out.push('\n');
    }
    Ok(out)
}

fn write_list(items: &[Value], indent: usize, out: &mut String) -> Result<(), Fault> {
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            new_line(indent, out);
        }
        out.push('-');
        match item {
            Value::List(inner) if !inner.is_empty() => {
                out.push(' ');
                write_list(inner, indent + 2, out)?;
            }
            Value::Map(inner) if !inner.is_empty() => {
                out.push(' ');
                write_map(inner, indent + 2, out)?;
            }
            scalar => {
                out.push(' ');
                write_scalar(scalar, indent + 2, out)?;
            }
        }
    }
    Ok(())
}

fn write_map(items: &std::collections::BTreeMap<String, Value>, indent: usize, out: &mut String) -> Result<(), Fault> {
    for (i, (key, item)) in items.iter().enumerate() {
        if i > 0 {
            new_line(indent, out);
        }
        write_quoted(key, None, out);
        out.push(':');
        match item {
            // A list in a map is not indented.
            Value::List(inner) if !inner.is_empty() => {
                new_line(indent, out);
                write_list(inner, indent, out)?;
            }
            Value::Map(inner) if !inner.is_empty() => {
                new_line(indent + 2, out);
                write_map(inner, indent + 2, out)?;
            }
            scalar => {
                out.push(' ');
                write_scalar(scalar, indent + 2, out)?;
            }
        }
    }
    Ok(())
}

/// Begins a line, unless the last one was ended by a literal.
fn new_line(indent: usize, out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.extend(std::iter::repeat_n(' ', indent));
}

fn write_scalar(value: &Value, indent: usize, out: &mut String) -> Result<(), Fault> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) if text.contains('\n') && can_be_literal(text) => write_literal(text, indent, out),
        Value::String(text) => write_quoted(text, Some(indent), out),
        Value::Deferred(_) => return Err(Fault::new(DEFERRED)),
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
    }
    Ok(())
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

fn can_be_literal(text: &str) -> bool {
    text.chars().all(is_printable) && !text.ends_with(' ') && !text.contains(" \n")
}

fn write_literal(text: &str, indent: usize, out: &mut String) {
    // At the root, libyaml indents literals by 2.
    let indent = indent.max(2);
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    match text.strip_suffix('\n') {
        None => out.push('-'),
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => out.push('+'),
        Some(_) => {}
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
    out.push('\n');
}

/// Writes a text in double quotes; with an indent, it is folded where it is long.
fn write_quoted(text: &str, indent: Option<usize>, out: &mut String) {
    let mut column = out.rsplit('\n').next().map_or(0, |line| line.chars().count());
    out.push('"');
    column += 1;
    let mut after_blank = false;
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let before = out.len();
        if c == ' ' {
            match indent {
                Some(indent) if !after_blank && column > WIDTH && !first && chars.peek().is_some() => {
                    new_line(indent, out);
                    column = indent;
                    if chars.peek() == Some(&' ') {
                        out.push('\\');
                        column += 1;
                    }
                }
                _ => {
                    out.push(' ');
                    column += 1;
                }
            }
            after_blank = true;
        } else {
            write_char(c, out);
            column += out[before..].chars().count();
            after_blank = false;
        }
        first = false;
    }
    out.push('"');
}

fn write_char(c: char, out: &mut String) {
    let escape = match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\0' => "\\0",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{b}' => "\\v",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\u{1b}' => "\\e",
        '\u{85}' => "\\N",
        '\u{2028}' => "\\L",
        '\u{2029}' => "\\P",
        c if is_printable(c) => {
            out.push(c);
            return;
        }
        c => {
            let code = u32::from(c);
            // Failing to write to a string is impossible.
            let _ = match code {
                0..=0xff => write!(out, "\\x{code:02X}"),
                0x100..=0xffff => write!(out, "\\u{code:04X}"),
                _ => write!(out, "\\U{code:08X}"),
            };
            return;
        }
    };
    out.push_str(escape);
}
