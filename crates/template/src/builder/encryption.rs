//! How the image is encrypted.

use std::collections::BTreeMap;

use bakehouse_protocol::spec::Encryption;

use super::{kms, rules::Rules};
use crate::{options::Values, tree::Located};

/// The options that share the image or its snapshots with others, who can't use the account's default key.
const SHARING: [&str; 4] = ["ami_users", "ami_org_arns", "ami_ou_arns", "snapshot_users"];

impl Rules<'_> {
    pub(super) fn encryption(&self) -> Encryption {
        let encrypt_boot = self.values.tri_state("encrypt_boot");
        let keys = self.values.string_map("region_kms_key_ids").unwrap_or_default();
        let kms_key_id = self.key(self.values, "kms_key_id");
        if let (Some(key), true) = (&kms_key_id, encrypt_boot != Some(true) && !self.values.is_invalid("encrypt_boot"))
        {
            self.lacks_encrypt_boot("kms_key_id", key);
        }
        for (_, key) in keys.iter().filter(|(_, key)| !key.value.is_empty()) {
            self.check_key(key);
            if encrypt_boot != Some(true) && !self.values.is_invalid("encrypt_boot") {
                self.lacks_encrypt_boot("region_kms_key_ids", key);
            }
        }
        self.check_key_regions(&keys);
        self.check_default_keys(encrypt_boot, kms_key_id.is_some(), &keys);
        let mut region_kms_key_ids = BTreeMap::new();
        for (region, key) in keys {
            if let Some(region) = self.region(&region) {
                region_kms_key_ids.insert(region, key.value);
            }
        }
        Encryption { encrypt_boot, kms_key_id: kms_key_id.map(|key| key.value), region_kms_key_ids }
    }

    /// Returns an option that names a KMS key.
    pub(super) fn key(&self, values: &Values, option: &str) -> Option<Located<String>> {
        let key = values.string(option)?;
        self.check_key(&key);
        Some(key)
    }

    fn check_key(&self, key: &Located<String>) {
        if !kms::is_key(&key.value) {
            self.error(&key.location, format!("\"{}\" is not a KMS key", key.value), kms::HELP);
        }
    }

    fn lacks_encrypt_boot(&self, option: &str, key: &Located<String>) {
        let message = format!("`{option}` is set, but `encrypt_boot` is not true");
        self.error(&key.location, message, "Write \"encrypt_boot\": true, or remove the key.");
    }

    /// With `region_kms_key_ids` every region of `ami_regions` must have a key there, and no other may.
    fn check_key_regions(&self, keys: &[(Located<String>, Located<String>)]) {
        if keys.is_empty() || self.values.is_invalid("ami_regions") {
            return;
        }
        let regions = self.values.string_list("ami_regions").unwrap_or_default();
        for region in regions.iter().filter(|region| !region.value.trim().is_empty()) {
            if !keys.iter().any(|(name, _)| name.value == region.value) {
                let message = format!("`region_kms_key_ids` has no key for {}", region.value);
                let help = format!("Write one, or \"{}\": \"\" for the region's default key.", region.value);
                self.error(&region.location, message, help);
            }
        }
        for (name, _) in keys {
            if !regions.iter().any(|region| region.value == name.value) {
                let message =
                    format!("`region_kms_key_ids` has a key for {}, which is not in `ami_regions`", name.value);
                self.error(&name.location, message, "Add the region to `ami_regions`, or remove its key.");
            }
        }
    }

    /// Other accounts can't use what is encrypted with the account's default key.
    fn check_default_keys(
        &self,
        encrypt_boot: Option<bool>,
        has_key: bool,
        keys: &[(Located<String>, Located<String>)],
    ) {
        let everywhere = SHARING.into_iter().find(|option| {
            !self.values.string_list(option).unwrap_or_default().iter().all(|it| it.value.trim().is_empty())
        });
        // It is the image in the build region that other accounts copy.
        let account_copies = "bakehouse_account_copies";
        let in_build_region =
            self.values.block_list(account_copies).is_some_and(|blocks| !blocks.is_empty()).then_some(account_copies);
        let Some(shared) = everywhere.or(in_build_region) else { return };
        let message = format!("an image that is shared (`{shared}`) cannot be encrypted with a default key");
        let help = "Other accounts cannot use an account's default key: name one of your own.";
        for (_, key) in keys.iter().filter(|(_, key)| key.value.is_empty() && everywhere.is_some()) {
            self.error(&key.location, message.as_str(), help);
        }
        if encrypt_boot == Some(true)
            && !has_key
            && keys.is_empty()
            && !["kms_key_id", "region_kms_key_ids"].into_iter().any(|option| self.values.is_invalid(option))
            && let Some(location) = self.values.location("encrypt_boot")
        {
            self.error(location, message.as_str(), "Other accounts cannot use it. Write \"kms_key_id\": \"…\".");
        }
    }
}
