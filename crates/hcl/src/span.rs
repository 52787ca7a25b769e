//! Where parts of a syntax tree stand.

use std::ops::Range;

use hcl_edit::Span;

/// Returns where it stands; an empty range if it was not parsed from a text.
pub(crate) fn of(node: &impl Span) -> Range<usize> {
    node.span().unwrap_or_default()
}
