//! `ami_block_device_mappings` and the options that go with it.

use bakehouse_hcl::nearest;
use bakehouse_protocol::{BlockDeviceMapping, EbsBlockDevice, SnapshotId};

use super::rules::Rules;
use crate::{options::Values, tree::Located};

/// EBS's volume types.
pub(super) const VOLUME_TYPES: [&str; 7] = ["standard", "gp2", "gp3", "io1", "io2", "sc1", "st1"];

/// The options of a mapping that are about its volume.
const OF_VOLUME: [&str; 8] = [
    "delete_on_termination",
    "volume_size",
    "volume_type",
    "snapshot_id",
    "iops",
    "throughput",
    "encrypted",
    "kms_key_id",
];

impl Rules<'_> {
    pub(super) fn mappings(&self, root: Option<&Located<String>>) -> Vec<BlockDeviceMapping> {
        let values = self.values;
        let blocks = values.block_list("ami_block_device_mappings").unwrap_or_default();
        let Some(location) = values.location("ami_block_device_mappings") else {
            if let Some(root) = root.filter(|_| !values.flag("from_scratch")) {
                self.error(
                    &root.location,
                    "`root_device_name` is set without `ami_block_device_mappings`",
                    "Remove it to keep the source's root, or write \"ami_block_device_mappings\": [{\"device_name\": \"…\"}].",
                );
            }
            return Vec::new();
        };
        if !values.flag("from_scratch") {
            if values.location("root_device_name").is_none() {
                let help = "Write which of the mappings is the root: \"root_device_name\": \"/dev/xvda\"";
                self.missing("root_device_name", "ami_block_device_mappings requires it", help);
            } else if values.location("root_volume_size").is_none() {
                let help = "Write the root's size in GiB: \"root_volume_size\": 8";
                self.missing("root_volume_size", "ami_block_device_mappings requires it", help);
            }
            let message = "these mappings replace all of the source's";
            self.warning(location, message, "Name every device that the image is to have.");
        }
        let mappings: Vec<Option<BlockDeviceMapping>> = blocks.iter().map(|block| self.mapping(block)).collect();
        if let Some(root) = root
            && mappings.iter().all(Option::is_some)
            && !values.is_invalid("ami_block_device_mappings")
            && !mappings.iter().flatten().any(|mapping| mapping.device_name == root.value && !mapping.no_device)
        {
            let names: Vec<&str> = mappings.iter().flatten().map(|mapping| mapping.device_name.as_str()).collect();
            self.error(
                &root.location,
                format!("no mapping has the root's name {}", root.value),
                format!("The mappings are {}; one must be the root.", names.join(", ")),
            );
        }
        let mappings: Vec<BlockDeviceMapping> = mappings.into_iter().flatten().collect();
        for (i, mapping) in mappings.iter().enumerate() {
            if mappings[..i].iter().any(|earlier| earlier.device_name == mapping.device_name) {
                let location = blocks.get(i).map_or(location, |block| &block.anchor);
                let message = format!("two mappings have the name {}", mapping.device_name);
                self.error(location, message, "Keep one of the two.");
            }
        }
        mappings
    }

    fn mapping(&self, block: &Values) -> Option<BlockDeviceMapping> {
        let Some(name) = block.string("device_name") else {
            if !block.is_invalid("device_name") {
                self.error(&block.anchor, "this mapping has no device_name", "Write \"device_name\": \"/dev/sdb\"");
            }
            return None;
        };
        let mapping = BlockDeviceMapping { device_name: name.value, ..BlockDeviceMapping::default() };
        if block.flag("no_device") {
            self.warn_without_effect(block, &["virtual_name"], "together with no_device");
            self.warn_without_effect(block, &OF_VOLUME, "together with no_device");
            return Some(BlockDeviceMapping { no_device: true, ..mapping });
        }
        if let Some(text) = block.string("virtual_name") {
            self.warn_without_effect(block, &OF_VOLUME, "together with virtual_name");
            let number = text.value.strip_prefix("ephemeral").and_then(|number| number.parse::<u8>().ok());
            if number.is_none_or(|number| number >= 24) {
                let message = format!("`virtual_name` cannot be \"{}\"", text.value);
                self.error(&text.location, message, "Write ephemeral0 to ephemeral23.");
            }
            return Some(BlockDeviceMapping { virtual_name: Some(text.value), ..mapping });
        }
        let volume_type = block.string("volume_type");
        if let Some(kind) = &volume_type
            && !VOLUME_TYPES.contains(&kind.value.as_str())
        {
            let near =
                nearest(&kind.value, VOLUME_TYPES).map_or(String::new(), |near| format!("Did you mean {near}? "));
            let message = format!("there is no volume type \"{}\"", kind.value);
            self.error(&kind.location, message, format!("{near}It must be one of {}.", VOLUME_TYPES.join(", ")));
        }
        let kind = volume_type.as_ref().map_or("", |kind| kind.value.as_str());
        let provisioned = |option: &str, kinds: &[&str], max, unit| {
            if kinds.contains(&kind) {
                return self.size(block, option, max, unit);
            }
            self.warn_without_effect(block, &[option], &format!("without volume_type {}", kinds.join(", ")));
            None
        };
        let iops = provisioned("iops", &["io1", "io2", "gp3"], 256_000, "operations per second");
        let throughput = provisioned("throughput", &["gp3"], 2000, "MiB/s");
        let snapshot_id = block.string("snapshot_id").and_then(|text| match SnapshotId::new(text.value.as_str()) {
            Ok(id) => Some(id),
            Err(error) => {
                self.error(&text.location, error.to_string(), "Write an id such as snap-0123456789abcdef0.");
                None
            }
        });
        let (encrypted, kms_key_id) = self.mapping_encryption(block, snapshot_id.is_some());
        let ebs = EbsBlockDevice {
            delete_on_termination: Some(block.flag("delete_on_termination")),
            volume_size: self.size(block, "volume_size", 65_536, "GiB"),
            volume_type: volume_type.map(|kind| kind.value),
            snapshot_id,
            iops,
            throughput,
            encrypted,
            kms_key_id,
        };
        Some(BlockDeviceMapping { ebs: Some(ebs), ..mapping })
    }

    /// Returns whether the volume is encrypted, and its key. EC2 takes neither for a volume with a snapshot, which is
    /// encrypted as that is.
    fn mapping_encryption(&self, block: &Values, has_snapshot: bool) -> (Option<bool>, Option<String>) {
        if has_snapshot {
            self.warn_without_effect(block, &["encrypted", "kms_key_id"], "with a snapshot, which decides it");
            return (None, None);
        }
        let encrypted = block.tri_state("encrypted");
        let key = self.key(block, "kms_key_id");
        if let (Some(key), false) = (&key, encrypted == Some(true)) {
            let message = "`kms_key_id` is set, but `encrypted` is not true";
            self.error(&key.location, message, "Write \"encrypted\": true, or remove the key.");
        }
        (encrypted, key.map(|key| key.value))
    }

    /// Warns of options that have no effect: Packer does not send them.
    fn warn_without_effect(&self, block: &Values, options: &[&str], why: &str) {
        for option in options {
            if let Some(location) = block.location(option) {
                self.warning(location, format!("`{option}` has no effect {why}"), "Remove it.");
            }
        }
    }
}
