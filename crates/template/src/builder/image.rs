//! The image to register: its name and description, and the parts that have a file of their own.

use bakehouse_gotemplate::functions::{clean_resource_name, is_name_byte};
use bakehouse_protocol::{
    Region,
    spec::{Architecture, ImageSpec, Virtualization},
};

use super::rules::{Rules, constant, texts};

/// EC2's limit for an image's description, in characters.
const MAX_DESCRIPTION: usize = 255;
const VIRTUALIZATIONS: &[(&str, Virtualization)] =
    &[("hvm", Virtualization::Hvm), ("paravirtual", Virtualization::Paravirtual)];

const ARCHITECTURES: &[(&str, Architecture)] = &[
    ("x86_64", Architecture::X86_64),
    ("arm64", Architecture::Arm64),
    ("i386", Architecture::I386),
    ("x86_64_mac", Architecture::X86_64Mac),
    ("arm64_mac", Architecture::Arm64Mac),
];

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
        let virtualization = self.choice("ami_virtualization_type", VIRTUALIZATIONS);
        let architecture = self.choice("ami_architecture", ARCHITECTURES).unwrap_or(Architecture::X86_64);
        let regions = self.regions(build_region);
        Some(ImageSpec {
            description: description.map(|text| text.value).unwrap_or_default(),
            virtualization,
            architecture,
            root_device_name: root_device_name.map(|text| text.value),
            block_device_mappings,
            users: self.accounts("ami_users"),
            groups: self.groups("ami_groups", "the image"),
            product_codes: texts(self.elements(self.values, "ami_product_codes")),
            tags: self.tags("tags", "tag"),
            snapshot_tags: self.tags("snapshot_tags", "snapshot_tag"),
            sharing: self.sharing(),
            attributes: self.attributes(architecture, virtualization),
            encryption: self.encryption(),
            replacement: self.replacement(),
            copying: self.copying(&regions),
            account_copies: self.account_copies(),
            lifecycle: self.lifecycle(),
            regions,
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
            let message = format!("`ami_name` \"{text}\" has {} bytes", text.len());
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
            self.error(&name.location, format!("`ami_name` \"{text}\" contains {bad:?}"), help);
            return None;
        }
        Some(text)
    }
}
