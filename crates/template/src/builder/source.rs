//! What the root volume is created from: `source_ami`, `source_ami_filter`, `from_scratch`.

use std::collections::BTreeMap;

use bakehouse_protocol::{
    ImageId,
    spec::{ImageQuery, Source},
};

use super::{csv, rules::Rules};
use crate::options::Values;

/// The options that `from_scratch` requires, and the help if one is missing.
const SCRATCH_REQUIRES: [(&str, &str); 5] = [
    ("root_volume_size", "Write the size in GiB: \"root_volume_size\": 8"),
    (
        "pre_mount_commands",
        "Write the commands that make the file system: \"pre_mount_commands\": [\"mkfs.ext4 {{.Device}}\"]",
    ),
    ("ami_virtualization_type", "Write \"ami_virtualization_type\": \"hvm\""),
    ("root_device_name", "Write \"root_device_name\": \"/dev/xvda\""),
    ("ami_block_device_mappings", "Write \"ami_block_device_mappings\": [{\"device_name\": \"/dev/xvda\"}]"),
];

impl Rules<'_> {
    /// Returns the source. `size` is `root_volume_size`, already checked.
    pub(super) fn source(&self, size: Option<u32>) -> Option<Source> {
        if self.values.flag("from_scratch") {
            return self.scratch(size);
        }
        if let Some(parameter) = self.parameter() {
            return parameter;
        }
        let id = self.values.string("source_ami").map(|text| match ImageId::new(text.value.as_str()) {
            Ok(id) => Some(id),
            Err(error) => {
                self.error(
                    &text.location,
                    error.to_string(),
                    "Write an id such as ami-0123456789abcdef0, or resolve:ssm: and the name of a parameter that holds one; \
                     to find an image by its name, use source_ami_filter.",
                );
                None
            }
        });
        let filter = self.values.block("source_ami_filter").map(|block| self.filter(&block));
        let invalid = ["source_ami", "source_ami_filter", "from_scratch"].iter().any(|key| self.values.is_invalid(key));
        match (id, filter) {
            _ if invalid => None,
            (Some(None), _) => None,
            (id, Some(filter)) => {
                let mut query = filter?;
                query.id = id.flatten();
                if query.id.is_none() && query.filters.is_empty() && query.owners.is_empty() {
                    let location = self.values.location("source_ami_filter").unwrap_or(&self.values.anchor);
                    self.error(
                        location,
                        "`source_ami_filter` has neither filters nor owners",
                        "Write \"filters\": {\"name\": \"…\"} and \"owners\": [\"…\"].",
                    );
                    return None;
                }
                Some(Source::Image(query))
            }
            (Some(id), None) => Some(Source::Image(ImageQuery { id, ..ImageQuery::default() })),
            (None, None) => {
                self.missing(
                    "source_ami",
                    "this builder does not say what to start from",
                    "Write one of source_ami, source_ami_filter and from_scratch.",
                );
                None
            }
        }
    }

    /// Reads a `source_ami` of the form `resolve:ssm:NAME`, as in launch templates. A label or a version may follow the
    /// name. The outer `None`: it does not have that form.
    fn parameter(&self) -> Option<Option<Source>> {
        let text = self.values.string("source_ami")?;
        let name = text.value.strip_prefix("resolve:ssm:")?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            let help = "Write resolve:ssm: and the name of a parameter, such as resolve:ssm:/golden/debian-12.";
            self.error(&text.location, "the name of the parameter is missing or has spaces".to_owned(), help);
            return Some(None);
        }
        if let Some(location) = self.values.location("source_ami_filter") {
            let help = "Remove one of the two.";
            self.error(location, "`source_ami_filter` cannot be combined with a parameter".to_owned(), help);
            return Some(None);
        }
        Some(Some(Source::Image(ImageQuery { parameter: Some(name.to_owned()), ..ImageQuery::default() })))
    }

    fn scratch(&self, size: Option<u32>) -> Option<Source> {
        for (option, help) in SCRATCH_REQUIRES {
            if self.values.location(option).is_none() {
                self.missing(option, "from_scratch requires it", help);
            }
        }
        for option in ["source_ami", "source_ami_filter"] {
            if let Some(location) = self.values.location(option) {
                let message = format!("`{option}` is not used, because from_scratch is true");
                self.warning(location, message, "Remove one of the two.");
            }
        }
        size.map(|size| Source::Scratch { size })
    }

    pub(super) fn filter(&self, block: &Values) -> Option<ImageQuery> {
        let mut filters = BTreeMap::new();
        let mut valid = true;
        for (name, value) in block.string_map("filters").unwrap_or_default() {
            match csv::parse_line(&value.value) {
                Ok(values) => {
                    filters.insert(name.value, values);
                }
                Err(why) => {
                    valid = false;
                    let help = "Separate values by commas; put a value that contains a comma between quotes.";
                    self.error(&value.location, format!("these values cannot be read: {why}"), help);
                }
            }
        }
        let owners: Vec<String> =
            block.string_list("owners").unwrap_or_default().into_iter().map(|o| o.value).collect();
        if owners.is_empty() && !block.is_invalid("owners") && !filters.is_empty() && !filters.contains_key("owner-id")
        {
            self.warning(
                &block.anchor,
                "`source_ami_filter` sets no owners: anybody's public image can match",
                "Write \"owners\": [\"…\"] with the account that you trust.",
            );
        }
        valid.then(|| ImageQuery {
            id: None,
            filters,
            owners,
            most_recent: block.flag("most_recent"),
            include_deprecated: block.flag("include_deprecated"),
            parameter: None,
        })
    }
}
