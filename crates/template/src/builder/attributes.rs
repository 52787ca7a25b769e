//! What is declared of the image when it is registered.

use bakehouse_protocol::spec::{Architecture, ImageAttributes, Virtualization};

use super::rules::{Rules, texts};

const BOOT_MODES: [&str; 3] = ["legacy-bios", "uefi", "uefi-preferred"];
/// EC2's limit for the watermarks of an image.
const MAX_WATERMARKS: usize = 5;

impl Rules<'_> {
    pub(super) fn attributes(
        &self,
        architecture: Architecture,
        virtualization: Option<Virtualization>,
    ) -> ImageAttributes {
        let values = self.values;
        for option in ["ena_support", "sriov_support"] {
            if values.tri_state(option) == Some(true)
                && virtualization == Some(Virtualization::Paravirtual)
                && let Some(location) = values.location(option)
            {
                let message = format!("`{option}` requires the virtualization type hvm");
                self.error(location, message, "Remove it, or write \"ami_virtualization_type\": \"hvm\".");
            }
        }
        let boot_mode = self.word("boot_mode", &BOOT_MODES);
        let tpm_support = self.word("tpm_support", &["v2.0"]);
        if let (Some(_), Some("legacy-bios"), Some(location)) =
            (&tpm_support, boot_mode.as_deref(), values.location("tpm_support"))
        {
            self.error(location, "`tpm_support` requires UEFI", "Write \"boot_mode\": \"uefi\".");
        }
        ImageAttributes {
            ena_support: values.tri_state("ena_support"),
            sriov_support: values.tri_state("sriov_support"),
            uefi_data: self.uefi_data(boot_mode.as_deref(), architecture),
            boot_mode,
            tpm_support,
            imds_support: self.word("imds_support", &["v2.0"]),
            watermarks: self.watermarks(),
        }
    }

    fn uefi_data(&self, boot_mode: Option<&str>, architecture: Architecture) -> Option<String> {
        let data = self.values.string("uefi_data")?;
        let is_uefi = match boot_mode {
            Some(mode) => mode != "legacy-bios",
            // An invalid mode has been reported.
            None => architecture == Architecture::Arm64 || self.values.location("boot_mode").is_some(),
        };
        if !is_uefi {
            let message = "`uefi_data` requires an image that boots by UEFI";
            self.error(&data.location, message, "Write \"boot_mode\": \"uefi\" or \"uefi-preferred\".");
        }
        let text = data.value.trim_end_matches('=');
        let is_base64 = data.value.len() % 4 == 0
            && data.value.len() - text.len() <= 2
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        if !is_base64 {
            let message = "`uefi_data` is not base64";
            self.error(&data.location, message, "Write what `aws ec2 get-instance-uefi-data` or uefivars prints.");
        }
        Some(data.value)
    }

    fn watermarks(&self) -> Vec<String> {
        let watermarks = self.elements(self.values, "bakehouse_watermarks");
        if let Some(sixth) = watermarks.get(MAX_WATERMARKS) {
            let message = format!("there are {} watermarks", watermarks.len());
            self.error(&sixth.location, message, format!("EC2 allows at most {MAX_WATERMARKS}."));
        }
        texts(watermarks)
    }
}
