//! Texts that set an attribute twice. The parser stops at the first such; here all are told, and the rest is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bakehouse_hcl as hcl;
use bakehouse_hcl::{
    SyntaxError,
    hcl_edit::{Span as _, structure::Body},
};

use super::{blocks::twice, syntax::span};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    source::{Location, SourceText},
};

/// How many are told: the text is parsed once for each.
const MAX_REPORTED: usize = 20;

/// The largest text, in bytes, for which this is done.
const MAX_BYTES: usize = 256 << 10;

/// Reads a text that the parser has refused with this error, if nothing is wrong but attributes that are set for the
/// second time. Returns it with the places where these begin, under other names. Every mistake is reported.
pub(super) fn parse(
    source: &Arc<SourceText>,
    error: &SyntaxError,
    diagnostics: &Diagnostics,
) -> Option<(Body, BTreeSet<usize>)> {
    let mut text = source.text().to_owned();
    let mut error = error.clone();
    // Where each begins, with the length of its name.
    let mut found = BTreeMap::new();
    while error.is_redefinition && text.len() <= MAX_BYTES && found.len() < MAX_REPORTED {
        let range = error.span.clone();
        // A name that nothing else has, and as long, so that all places stay.
        let Some(other) = unused_name(&text, range.len(), found.len()) else { break };
        text.replace_range(range.clone(), &other);
        found.insert(range.start, range.len());
        match hcl::parse_body(&text) {
            Ok(body) => {
                let found: BTreeSet<usize> = found.into_keys().collect();
                found.iter().for_each(|start| report(source, &body, *start, diagnostics));
                return Some((body, found));
            }
            Err(next) => error = next,
        }
    }
    for (start, length) in found {
        let location = Location::new(source, start..start + length);
        let name = source.text().get(start..start + length).unwrap_or_default();
        diagnostics.add(Diagnostic::error(&location, format!("`{name}` is set twice")).help("Keep one of the two."));
    }
    let location = Location::new(source, error.span);
    let diagnostic = Diagnostic::error(&location, format!("this is not HCL: {}", error.message));
    diagnostics.add(diagnostic.maybe_help(error.help));
    None
}

/// Returns a name of this length that is not in the text.
fn unused_name(text: &str, length: usize, seed: usize) -> Option<String> {
    let letters = (b'a'..=b'z').chain(b'A'..=b'Z').map(char::from);
    let number = seed.to_string();
    let padding = "_".repeat(length.checked_sub(1)?.saturating_sub(number.len()));
    letters
        .map(|letter| if length > number.len() { format!("{letter}{padding}{number}") } else { letter.to_string() })
        .find(|name| name.len() == length && !text.contains(name.as_str()))
}

/// Reports the attribute whose name begins at `start`.
fn report(source: &Arc<SourceText>, body: &Body, start: usize, diagnostics: &Diagnostics) {
    let Some(attribute) = body.attributes().find(|it| it.key.span().is_some_and(|span| span.start == start)) else {
        return body.blocks().for_each(|block| report(source, &block.body, start, diagnostics));
    };
    let location = span(source, &attribute.key);
    let name = source.text().get(location.start..location.end).unwrap_or_default();
    let first = body.attributes().find(|it| it.key.as_str() == name);
    let first = first.map_or_else(|| location.clone(), |first| span(source, &first.key));
    twice(&location, &format!("`{name}`"), &first, diagnostics);
}
