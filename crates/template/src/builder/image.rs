//! The image to register: its name, description, tags, who may launch it and where it is copied to.

use bakehouse_gotemplate::functions::{clean_resource_name, is_name_byte};
use bakehouse_protocol::{
    DeferredTemplate, Region,
    spec::{Architecture, ImageSpec, Virtualization},
};

use super::rules::Rules;
use crate::{nearest::nearest, tree::Located};

/// EC2's limit for an image's description, in characters.
const MAX_DESCRIPTION: usize = 255;
/// EC2's limit for the number of tags.
const MAX_TAGS: usize = 50;
/// EC2's limits for a tag's key and value, in characters.
const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;

impl Rules<'_> {
    pub(super) fn image(&self, build_region: Option<&Region>) -> Option<ImageSpec> {
        let name = self.name();
        let description = self.values.deferred("ami_description");
        if let Some(text) = &description
            && constant(&text.value).is_some_and(|text| text.chars().count() > MAX_DESCRIPTION)
        {
            let message = format!("the description is longer than {MAX_DESCRIPTION} characters");
            self.error(&text.location, message, format!("EC2 allows at most {MAX_DESCRIPTION}."));
        }
        let root_device_name = self.values.string("root_device_name");
        let block_device_mappings = self.mappings(root_device_name.as_ref());
        Some(ImageSpec {
            description: description.map(|text| text.value).unwrap_or_default(),
            virtualization: self.choice(
                "ami_virtualization_type",
                &[("hvm", Virtualization::Hvm), ("paravirtual", Virtualization::Paravirtual)],
            ),
            architecture: self
                .choice(
                    "ami_architecture",
                    &[
                        ("x86_64", Architecture::X86_64),
                        ("arm64", Architecture::Arm64),
                        ("i386", Architecture::I386),
                        ("x86_64_mac", Architecture::X86_64Mac),
                        ("arm64_mac", Architecture::Arm64Mac),
                    ],
                )
                .unwrap_or(Architecture::X86_64),
            root_device_name: root_device_name.map(|text| text.value),
            block_device_mappings,
            users: self.users(),
            groups: self.groups(),
            product_codes: values(self.values.string_list("ami_product_codes")),
            regions: self.regions(build_region),
            tags: self.tags(),
            ..ImageSpec::new(name?)
        })
    }

    fn name(&self) -> Option<String> {
        let Some(name) = self.values.string("ami_name") else {
            if !self.values.is_invalid("ami_name") {
                self.missing("ami_name", "every builder needs one", "Write \"ami_name\": \"web {{timestamp}}\"");
            }
            return None;
        };
        let text = name.value;
        if !(3..=128).contains(&text.len()) {
            let message = format!("the image's name \"{text}\" has {} bytes", text.len());
            self.error(&name.location, message, "EC2 allows 3 to 128.");
            return None;
        }
        if !text.bytes().all(is_name_byte) {
            let bad: String = text.chars().filter(|c| !c.is_ascii() || !is_name_byte(*c as u8)).take(5).collect();
            let help = format!(
                "EC2 allows only ASCII letters, digits, spaces and ( ) [ ] . / - ' @ _. {}",
                if text.contains(':') {
                    "Write {{isotime | clean_resource_name}} for a time.".to_owned()
                } else {
                    format!("Write for instance \"{}\", or use clean_resource_name.", clean_resource_name(&text))
                }
            );
            self.error(&name.location, format!("the image's name \"{text}\" contains {bad:?}"), help);
            return None;
        }
        Some(text)
    }

    /// Returns the value of an option that has a fixed set of values.
    fn choice<T: Copy>(&self, option: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.values.string(option)?;
        let found = choices.iter().find(|(name, _)| *name == text.value);
        if found.is_none() {
            let known: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let near = nearest(&text.value, known.iter().copied());
            let near = near.map_or(String::new(), |near| format!("Did you mean {near}? "));
            let message = format!("`{option}` cannot be \"{}\"", text.value);
            self.error(&text.location, message, format!("{near}It must be one of {}.", known.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    fn users(&self) -> Vec<String> {
        let users = self.values.string_list("ami_users").unwrap_or_default();
        for user in &users {
            if user.value.len() != 12 || !user.value.bytes().all(|b| b.is_ascii_digit()) {
                let message = format!("\"{}\" is not an account id", user.value);
                self.error(&user.location, message, "Write its 12 digits as a string: \"012345678901\".");
            }
        }
        values(Some(users))
    }

    fn groups(&self) -> Vec<String> {
        let groups = self.values.string_list("ami_groups").unwrap_or_default();
        for group in groups.iter().filter(|group| group.value != "all") {
            let message = format!("there is no group \"{}\"", group.value);
            self.error(&group.location, message, "Write \"all\" to make the image public; accounts go into ami_users.");
        }
        values(Some(groups))
    }

    fn regions(&self, build_region: Option<&Region>) -> Vec<Region> {
        let mut regions: Vec<Region> = Vec::new();
        for text in self.values.string_list("ami_regions").unwrap_or_default() {
            if let Some(region) = self.region(&text)
                && Some(&region) != build_region
                && !regions.contains(&region)
            {
                regions.push(region);
            }
        }
        regions
    }

    fn tags(&self) -> Vec<(DeferredTemplate, DeferredTemplate)> {
        let tags = self.values.deferred_map("tags").unwrap_or_default();
        if let Some((key, _)) = tags.get(MAX_TAGS) {
            let message = format!("there are {} tags", tags.len());
            self.error(&key.location, message, format!("EC2 allows at most {MAX_TAGS}."));
        }
        for (key, value) in &tags {
            if let Some(text) = constant(&key.value) {
                if text.is_empty() || text.chars().count() > MAX_TAG_KEY {
                    let message = "the key of a tag is empty or too long";
                    self.error(&key.location, message, format!("EC2 allows 1 to {MAX_TAG_KEY} characters."));
                } else if text.to_ascii_lowercase().starts_with("aws:") {
                    let message = format!("the key of a tag cannot start with aws: (\"{text}\")");
                    self.error(&key.location, message, "Such keys are reserved for AWS. Choose another.");
                }
            }
            if constant(&value.value).is_some_and(|text| text.chars().count() > MAX_TAG_VALUE) {
                let message = "the value of a tag is too long";
                self.error(&value.location, message, format!("EC2 allows at most {MAX_TAG_VALUE} characters."));
            }
        }
        tags.into_iter().map(|(key, value)| (key.value, value.value)).collect()
    }
}

/// Returns the text of a template that does not depend on the running build.
fn constant(template: &DeferredTemplate) -> Option<&str> {
    (!template.0.contains("{{")).then_some(template.0.as_str())
}

fn values(strings: Option<Vec<Located<String>>>) -> Vec<String> {
    strings.unwrap_or_default().into_iter().map(|text| text.value).collect()
}
