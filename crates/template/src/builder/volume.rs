//! The work volume.

use bakehouse_protocol::spec::VolumeSpec;

use super::{mappings::VOLUME_TYPES, rules::Rules};

impl Rules<'_> {
    pub(super) fn volume(&self) -> VolumeSpec {
        let values = self.values;
        let volume_type = self.word("root_volume_type", &VOLUME_TYPES);
        let encrypted = values.tri_state("root_volume_encrypt_boot");
        let key = self.key(values, "root_volume_kms_key_id");
        if let Some(key) = &key {
            match encrypted {
                Some(true) => {}
                Some(false) => {
                    let message = "`root_volume_kms_key_id` is set, but `root_volume_encrypt_boot` is false";
                    self.error(&key.location, message, "Write \"root_volume_encrypt_boot\": true, or remove the key.");
                }
                None => {
                    let message = "`root_volume_kms_key_id` has an effect only if the source is encrypted";
                    self.warning(&key.location, message, "Write \"root_volume_encrypt_boot\": true.");
                }
            }
        }
        if values.flag("from_scratch")
            && let Some(kind @ ("io1" | "io2")) = volume_type.as_deref()
            && let Some(location) = values.location("root_volume_type")
        {
            let message = format!("a volume from scratch cannot be of the type {kind}");
            self.error(location, message, "It needs a number of IOPS, which no option sets. Write gp3.");
        }
        VolumeSpec {
            encrypted,
            kms_key_id: key.map(|key| key.value),
            tags: self.tags("root_volume_tags", "root_volume_tag"),
            initialization_rate: self.initialization_rate(),
            throughput: self.throughput(volume_type.as_deref()),
            volume_type,
        }
    }

    fn initialization_rate(&self) -> Option<u32> {
        const OPTION: &str = "bakehouse_volume_initialization_rate";
        let rate = self.number(OPTION, 100, 300)?;
        if self.values.flag("from_scratch")
            && let Some(location) = self.values.location(OPTION)
        {
            let message = format!("`{OPTION}` has no effect from scratch: there is no snapshot to load");
            self.warning(location, message, "Remove it.");
            return None;
        }
        Some(rate)
    }

    fn throughput(&self, volume_type: Option<&str>) -> Option<u32> {
        const OPTION: &str = "bakehouse_volume_throughput";
        let throughput = self.number(OPTION, 125, 2000)?;
        if volume_type.is_some_and(|kind| kind != "gp3")
            && let Some(location) = self.values.location(OPTION)
        {
            let message = format!("`{OPTION}` requires a volume of the type gp3");
            self.error(location, message, "Write \"root_volume_type\": \"gp3\", or remove it.");
        }
        Some(throughput)
    }

    /// Returns a number of MiB/s; 0 counts as not set.
    fn number(&self, option: &str, min: u32, max: u32) -> Option<u32> {
        let number = self.values.integer(option).filter(|number| number.value != 0)?;
        match u32::try_from(number.value) {
            Ok(valid) if (min..=max).contains(&valid) => Some(valid),
            _ => {
                let message = format!("`{option}` is {}", number.value);
                self.error(&number.location, message, format!("Write {min} to {max}, in MiB/s."));
                None
            }
        }
    }
}
