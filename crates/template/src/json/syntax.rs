//! Parses JSON into the tree. `serde_json` checks that the text is JSON as RFC 8259 defines it and is not nested too
//! deeply; `jsonc-parser` then yields the locations.

use std::{collections::BTreeMap, sync::Arc};

use jsonc_parser::{CollectOptions, ParseOptions, ast, common::Range, parse_to_ast};

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::{Location, SourceText},
    tree::{Entry, Located, Map, Node, SourceString},
};

/// Parses JSON. A key that is set twice in one object is reported, and the second is left out; with `comments`, one
/// that starts with `_` at the top level is only told. A syntax error is reported and `None` is returned.
pub(crate) fn parse(name: &str, text: &str, comments: bool, diagnostics: &Diagnostics) -> Option<Node> {
    // Editors of Windows put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Arc::new(SourceText::new(name, text));
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        diagnostics.add(syntax_error(&source, &error));
        return None;
    }
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    match parse_to_ast(text, &CollectOptions::default(), &strict) {
        Ok(result) => Converter { source, diagnostics }.value(result.value?, comments),
        Err(error) => {
            let location = Location::new(&source, error.range().start..error.range().end);
            diagnostics.add(Diagnostic::error(&location, format!("this is not JSON: {}", error.kind())));
            None
        }
    }
}

/// Returns the diagnostic of a syntax error.
fn syntax_error(source: &Arc<SourceText>, error: &serde_json::Error) -> Diagnostic {
    let text = source.text();
    let line_start = match error.line() {
        0 | 1 => 0,
        line => text.match_indices('\n').nth(line - 2).map_or(0, |(i, _)| i + 1),
    };
    let mut start = (line_start + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    if message == "trailing comma" {
        start = text[..start].rfind(',').unwrap_or(start);
    }
    let at = text[start..].chars().next();
    let location = Location::new(source, start..start + at.map_or(0, char::len_utf8));
    let help = match at {
        Some('/' | '#') => {
            "JSON has no comments. At the top level, a key that starts with _ may hold one: \"_comment\": \"…\""
        }
        Some('\'' | '`') => "Write strings between double quotes.",
        _ if message.contains("trailing comma") => "Remove this comma.",
        _ if message.contains("expected `,`") => "Write a comma between two values.",
        _ if message.contains("expected `:`") => "Write a colon between a key and its value.",
        _ if message.contains("key must be a string") => "Write the key between double quotes.",
        _ if message.contains("control character") => {
            "A quote may be missing before this. Inside a string, write a line break as \\n and a tab as \\t."
        }
        _ if message.contains("invalid escape") => "Inside a string, write a backslash as \\\\.",
        _ if message.contains("EOF") => "Something is not closed: look for a missing }, ] or quote.",
        _ if message.contains("trailing characters") => "A template is one object: nothing may follow it.",
        _ => "A template is a JSON object: {\"builders\": [{…}], \"provisioners\": [{…}]}",
    };
    Diagnostic::error(&location, format!("this is not JSON: {message}")).help(help)
}

/// Converts the parser's values to the tree.
struct Converter<'a> {
    source: Arc<SourceText>,
    diagnostics: &'a Diagnostics,
}

impl Converter<'_> {
    fn location(&self, range: Range) -> Location {
        Location::new(&self.source, range.start..range.end)
    }

    fn value(&self, value: ast::Value<'_>, comments: bool) -> Option<Node> {
        Some(match value {
            ast::Value::NullKeyword(null) => Node::Null(self.location(null.range)),
            ast::Value::BooleanLit(bool) => Node::Bool(Located::new(bool.value, &self.location(bool.range))),
            ast::Value::NumberLit(number) => {
                Node::Number(Located::new(number.value.to_owned(), &self.location(number.range)))
            }
            ast::Value::StringLit(text) => Node::String(self.string(&text)),
            ast::Value::Array(array) => {
                let location = self.location(array.range);
                Node::List(Located {
                    value: array.elements.into_iter().filter_map(|v| self.value(v, false)).collect(),
                    location,
                })
            }
            ast::Value::Object(object) => {
                let location = self.location(object.range);
                let mut entries: Vec<Entry> = Vec::new();
                let mut seen: BTreeMap<String, Location> = BTreeMap::new();
                for property in object.properties {
                    let ast::ObjectPropName::String(name) = &property.name else {
                        continue;
                    };
                    let key = self.string(name);
                    if let Some(first) = seen.get(&key.value) {
                        self.diagnostics.add(set_twice(&key, first, comments));
                        continue;
                    }
                    seen.insert(key.value.clone(), key.location.clone());
                    entries.extend(self.value(property.value, false).map(|value| Entry { key, value }));
                }
                Node::Map(Map { entries, location })
            }
        })
    }

    fn string(&self, literal: &ast::StringLit<'_>) -> SourceString {
        let location = self.location(literal.range);
        let raw = self.source.text().get(location.start..location.end).unwrap_or("");
        SourceString { value: literal.value.to_string(), offsets: offsets(raw, location.start), location }
    }
}

/// Returns what is wrong with a key that is set twice. Of a comment, which only the top level of a template has,
/// nothing is lost.
fn set_twice(key: &SourceString, first: &Location, comments: bool) -> Diagnostic {
    let message = format!("the key \"{}\" is set twice", key.value);
    let label = format!("it is already set on line {}", first.line());
    if comments && key.value.starts_with('_') {
        let help = "Packer refuses this. Give each comment a key of its own: \"_comment2\".";
        return Diagnostic::warning(&key.location, message).label(label).help(help);
    }
    Diagnostic::error(&key.location, message).label(label).help("Keep one of the two.")
}

/// Returns the offsets of a string literal, as in [`SourceString::offsets`]. `raw` includes the quotes; `start` is its
/// offset in the source.
fn offsets(raw: &str, start: usize) -> Vec<(usize, usize)> {
    let mut offsets = vec![(0, start + 1)];
    let (mut at, mut decoded) = (1, 0);
    while let Some(c) = raw.get(at..).and_then(|rest| rest.chars().next()) {
        if c != '\\' {
            at += c.len_utf8();
            decoded += c.len_utf8();
            continue;
        }
        let unit = |at: usize| raw.get(at + 2..at + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let (raw_len, len) = match raw.as_bytes().get(at + 1) {
            Some(b'u') => match unit(at) {
                // A surrogate pair: two escapes, one character of four bytes.
                Some(0xd800..=0xdbff) => (12, 4),
                Some(code) => (6, char::from_u32(code).map_or(3, char::len_utf8)),
                None => (2, 1),
            },
            _ => (2, 1),
        };
        at += raw_len;
        decoded += len;
        offsets.push((decoded, start + at));
    }
    offsets
}
