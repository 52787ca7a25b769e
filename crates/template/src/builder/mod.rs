//! The rules of `amazon-chroot`: its options to a [`BuildSpec`].

mod access;
mod chroot;
mod csv;
mod image;
mod mappings;
mod source;

use bakehouse_protocol::{Access, BuildSpec, Region};

use crate::{
    diagnostic::{Diagnostic, Notes},
    options::Values,
    source::Place,
    tree::At,
};

/// The options of one builder and where to say what is wrong with them.
struct Rules<'a> {
    values: &'a Values,
    notes: &'a Notes,
}

impl Rules<'_> {
    fn error(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.notes.add(Diagnostic::error(place, message).help(help));
    }

    fn warning(&self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.notes.add(Diagnostic::warning(place, message).help(help));
    }

    fn missing(&self, option: &str, why: &str, help: &str) {
        self.notes.add(
            Diagnostic::error(&self.values.anchor, format!("`{option}` is missing")).label(why.to_owned()).help(help),
        );
    }

    fn region(&self, text: &At<String>) -> Option<Region> {
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
    fn size(&self, values: &Values, option: &str, most: u32, unit: &str) -> Option<u32> {
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

/// Checks a builder's options. The provisioners are added by the caller. `None` only after a mistake was noted.
pub(crate) fn spec(values: &Values, name: &str, notes: &Notes) -> Option<(BuildSpec, Access)> {
    let rules = Rules { values, notes };
    let access = rules.access();
    let region = values.text("region").and_then(|text| rules.region(&text));
    let size = rules.size(values, "root_volume_size", 65_536, "GiB");
    let source = rules.source(size);
    let image = rules.image(region.as_ref());
    let chroot = rules.chroot();
    let spec = BuildSpec {
        name: name.to_owned(),
        region,
        source: source?,
        root_volume_size: size,
        image: image?,
        chroot,
        provisioners: Vec::new(),
        sensitive: Vec::new(),
    };
    Some((spec, access))
}
