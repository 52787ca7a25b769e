//! One builder while its options are checked.

use bakehouse_protocol::Region;

use crate::{
    diagnostic::{Diagnostic, Notes},
    options::Values,
    source::Place,
    tree::At,
};

/// The options of one builder and where to say what is wrong with them.
pub(super) struct Rules<'a> {
    pub(super) values: &'a Values,
    pub(super) notes: &'a Notes,
}

impl Rules<'_> {
    pub(super) fn error(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.notes.add(Diagnostic::error(place, message).help(help));
    }

    pub(super) fn warning(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.notes.add(Diagnostic::warning(place, message).help(help));
    }

    pub(super) fn missing(&self, option: &str, why: &str, help: &str) {
        self.notes.add(
            Diagnostic::error(&self.values.anchor, format!("`{option}` is missing")).label(why.to_owned()).help(help),
        );
    }

    pub(super) fn region(&self, text: &At<String>) -> Option<Region> {
        // Regions are words and a number with dashes: us-east-1, us-gov-west-1, ap-southeast-7.
        let shaped = text.value.split('-').count() >= 3
            && text.value.rsplit('-').next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        match Region::new(text.value.as_str()) {
            Ok(region) if shaped => Some(region),
            _ => {
                let message = format!("\"{}\" is not a region", text.value);
                self.error(&text.place, message, "Write its code, as us-east-1.");
                None
            }
        }
    }

    /// A whole number from 1 to `most`; 0 counts as not given, as with Packer.
    pub(super) fn size(&self, values: &Values, option: &str, most: u32, unit: &str) -> Option<u32> {
        let number = values.integer(option).filter(|number| number.value != 0)?;
        match u32::try_from(number.value) {
            Ok(size) if size <= most => Some(size),
            _ => {
                let message = format!("`{option}` is {}", number.value);
                self.error(&number.place, message, format!("Write a whole number from 1 to {most}, in {unit}."));
                None
            }
        }
    }
}
