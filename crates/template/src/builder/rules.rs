//! What the rules of all options share.

use bakehouse_protocol::Region;

use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    options::Values,
    source::Location,
    tree::Located,
};

/// The options of one builder, and where errors are reported.
pub(super) struct Rules<'a> {
    pub(super) values: &'a Values,
    pub(super) diagnostics: &'a Diagnostics,
}

impl Rules<'_> {
    pub(super) fn error(&self, location: &Location, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.add(Diagnostic::error(location, message).help(help));
    }

    pub(super) fn warning(&self, location: &Location, message: impl Into<String>, help: impl Into<String>) {
        self.diagnostics.add(Diagnostic::warning(location, message).help(help));
    }

    pub(super) fn missing(&self, option: &str, why: &str, help: &str) {
        self.diagnostics.add(
            Diagnostic::error(&self.values.anchor, format!("`{option}` is missing")).label(why.to_owned()).help(help),
        );
    }

    pub(super) fn region(&self, text: &Located<String>) -> Option<Region> {
        // Regions are words and a number, joined by dashes: us-east-1, us-gov-west-1, ap-southeast-7.
        let is_region = text.value.split('-').count() >= 3
            && text.value.rsplit('-').next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        match Region::new(text.value.as_str()) {
            Ok(region) if is_region => Some(region),
            _ => {
                let message = format!("\"{}\" is not a region", text.value);
                self.error(&text.location, message, "Write its code, such as us-east-1.");
                None
            }
        }
    }

    /// Returns an integer from 1 to `max`; 0 counts as not set, as with Packer.
    pub(super) fn size(&self, values: &Values, option: &str, max: u32, unit: &str) -> Option<u32> {
        let number = values.integer(option).filter(|number| number.value != 0)?;
        match u32::try_from(number.value) {
            Ok(size) if size <= max => Some(size),
            _ => {
                let message = format!("`{option}` is {}", number.value);
                self.error(&number.location, message, format!("Write an integer from 1 to {max}, in {unit}."));
                None
            }
        }
    }
}
