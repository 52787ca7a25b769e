//! What the rules of all options share.

use bakehouse_hcl::nearest;
use bakehouse_protocol::{DeferredTemplate, Region, Timestamp};

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
    /// When the template is read.
    pub(super) now: Timestamp,
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

    /// Returns the elements of a list that goes to EC2, each once. EC2 takes no empty ones, such as a variable without
    /// a value yields: they are left out.
    pub(super) fn elements(&self, values: &Values, option: &str) -> Vec<Located<String>> {
        let mut elements: Vec<Located<String>> = Vec::new();
        for element in values.string_list(option).unwrap_or_default() {
            if element.value.trim().is_empty() {
                let message = format!("an element of `{option}` is empty and is left out");
                self.warning(&element.location, message, "Remove it, or give its variable a value.");
            } else if !elements.iter().any(|earlier| earlier.value == element.value) {
                elements.push(element);
            }
        }
        elements
    }

    /// Returns the value of an option that has a fixed set of values.
    pub(super) fn choice<T: Copy>(&self, option: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.values.string(option)?;
        let found = choices.iter().find(|(name, _)| *name == text.value);
        if found.is_none() {
            let known: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let near = nearest(&text.value, known.iter().copied());
            let near = near.map_or(String::new(), |near| format!("Did you mean {near}? "));
            let message = format!("`{option}` cannot be \"{}\"", text.value);
            let must = match known.as_slice() {
                [only] => format!("It must be {only}."),
                several => format!("It must be one of {}.", several.join(", ")),
            };
            self.error(&text.location, message, format!("{near}{must}"));
        }
        found.map(|(_, value)| *value)
    }

    /// Returns the value of an option that has a fixed set of values, as it is written.
    pub(super) fn word(&self, option: &str, known: &[&'static str]) -> Option<String> {
        let choices: Vec<(&str, &str)> = known.iter().map(|word| (*word, *word)).collect();
        self.choice(option, &choices).map(str::to_owned)
    }
}

/// Returns the text of a template that does not depend on the running build.
pub(super) fn constant(template: &DeferredTemplate) -> Option<&str> {
    (!template.0.contains("{{")).then_some(template.0.as_str())
}

/// Returns the values alone.
pub(super) fn texts(strings: Vec<Located<String>>) -> Vec<String> {
    strings.into_iter().map(|text| text.value).collect()
}
