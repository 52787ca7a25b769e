//! What a data source asks: the options that it shares with the builder.

use bakehouse_protocol::{Access, Region, Timestamp, spec::ImageQuery};

use super::rules::Rules;
use crate::{diagnostic::Diagnostics, options::Values};

/// Returns the region and the access options of a data source.
pub(crate) fn access(values: &Values, now: Timestamp, diagnostics: &Diagnostics) -> (Option<Region>, Access) {
    let rules = Rules { values, now, diagnostics };
    (values.string("region").and_then(|text| rules.region(&text)), rules.access())
}

/// Returns the query of `filters`, `owners`, `most_recent` and `include_deprecated`. `None` only after an error was
/// reported.
pub(crate) fn query(values: &Values, now: Timestamp, diagnostics: &Diagnostics) -> Option<ImageQuery> {
    Rules { values, now, diagnostics }.filter(values)
}
