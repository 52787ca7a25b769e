//! Texts that set an attribute twice. The parser stops at the first; here all are told, and the rest is read.

use std::sync::Arc;

use bakehouse_hcl as hcl;
use bakehouse_hcl::{SyntaxError, hcl_edit::structure::Body};

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::{Location, SourceText},
};

/// How many are told: the text is parsed once for each.
const MAX_REPORTED: usize = 20;

/// The largest text for which this is done.
const MAX_BYTES: usize = 256 << 10;

/// What the parser says of an attribute that is set for the second time.
const REDEFINED: &str = " is set twice";

/// Reads a text that the parser has refused with this error: without the attributes that are set for the second time,
/// if these are all that is wrong. Every mistake is reported.
pub(super) fn parse(source: &Arc<SourceText>, error: &SyntaxError, diagnostics: &Diagnostics) -> Option<Body> {
    let mut text = source.text().to_owned();
    let mut error = error.clone();
    for _ in 0..MAX_REPORTED {
        if !error.message.ends_with(REDEFINED) || text.len() > MAX_BYTES {
            break;
        }
        let (start, name) = (error.span.start, name_at(&text, error.span.start).to_owned());
        report(source, &text, start, &name, diagnostics);
        // Blanks in its place, as many: what comes after it keeps its place.
        let end = end_of_attribute(&text, start, &name);
        let blank: String = text[start..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        text.replace_range(start..end, &blank);
        match hcl::parse_body(&text) {
            Ok(body) => return Some(body),
            Err(next) => error = next,
        }
    }
    let location = Location { source: source.clone(), start: error.span.start, end: error.span.end };
    diagnostics.add(Diagnostic::error(&location, format!("this is not HCL: {}", error.message)).maybe_help(error.help));
    None
}

fn name_at(text: &str, start: usize) -> &str {
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len());
    &rest[..end]
}

/// Returns the end of the attribute that begins at `start`: the shortest whole lines that are one.
fn end_of_attribute(text: &str, start: usize, name: &str) -> usize {
    let ends = text[start..].match_indices('\n').map(|(at, _)| start + at).chain([text.len()]);
    let is_whole =
        |end: &usize| hcl::parse_body(&text[start..*end]).is_ok_and(|body| body.len() == 1 && body.has_attribute(name));
    ends.take(200).find(is_whole).unwrap_or(start + name.len())
}

fn report(source: &Arc<SourceText>, text: &str, start: usize, name: &str, diagnostics: &Diagnostics) {
    let location = Location { source: source.clone(), start, end: start + name.len() };
    let first = first_line(text, start, name);
    let label = match first {
        Some(line) => format!("it is already set on line {line}"),
        None => "it is already set".to_owned(),
    };
    diagnostics
        .add(Diagnostic::error(&location, format!("`{name}` is set twice")).label(label).help("Keep one of the two."));
}

/// Returns the line, from 1, of the last line before `start` that sets this name at the same depth of braces.
fn first_line(text: &str, start: usize, name: &str) -> Option<usize> {
    let before = text.get(..start)?;
    let mut depth = 0_usize;
    let mut found = None;
    for (index, line) in before.lines().enumerate().collect::<Vec<_>>().into_iter().rev() {
        let is_set =
            depth == 0 && line.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('='));
        if is_set {
            found = Some(index + 1);
        }
        for c in line.chars().rev() {
            match c {
                '}' => depth += 1,
                '{' if depth == 0 => return found,
                '{' => depth -= 1,
                _ => {}
            }
        }
    }
    found
}
