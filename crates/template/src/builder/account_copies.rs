//! Copies of the image that other accounts own.

use bakehouse_protocol::{
    Region, RoleArn,
    spec::{AccountCopies, CopyRole},
};

use super::rules::Rules;
use crate::{options::Values, tree::Located};

impl Rules<'_> {
    /// Returns `bakehouse_account_copies`.
    pub(super) fn account_copies(&self) -> Vec<AccountCopies> {
        let mut all: Vec<AccountCopies> = Vec::new();
        for block in self.values.block_list("bakehouse_account_copies").unwrap_or_default() {
            let Some(copies) = self.account_copy(&block) else { continue };
            let account = copies.role.arn.account();
            // Without regions it is in all of them; which those are is known when the build is planned.
            let is_twice = |earlier: &&AccountCopies| {
                let both_everywhere = earlier.regions.is_empty() && copies.regions.is_empty();
                let shared = copies.regions.iter().any(|region| earlier.regions.contains(region));
                earlier.role.arn.account() == account && (both_everywhere || shared)
            };
            if all.iter().any(|earlier| is_twice(&earlier)) {
                let location = block.location("role_arn").unwrap_or(&block.anchor);
                let message = format!("the account {account} gets two copies in one region");
                self.error(location, message, "Name each region of an account once, in one block or in several.");
            }
            all.push(copies);
        }
        all
    }

    fn account_copy(&self, block: &Values) -> Option<AccountCopies> {
        let regions = self.elements(block, "regions");
        let regions: Vec<Region> = regions.iter().filter_map(|region| self.region(region)).collect();
        let kms_key_id = self.key(block, "kms_key_id").map(|key| key.value);
        let external_id = self.sts_text(block, "external_id", "+=,.@:/-", 1224);
        let session_name = self.sts_text(block, "session_name", "+=,.@-", 64);
        let Some(role) = block.string("role_arn") else {
            if !block.is_invalid("role_arn") {
                let help = "Write \"role_arn\": \"arn:aws:iam::ACCOUNT:role/NAME\".";
                self.error(&block.anchor, "this copy has no role_arn", help);
            }
            return None;
        };
        let role = CopyRole { arn: self.role_arn(&role)?, external_id, session_name };
        Some(AccountCopies { role, regions, kms_key_id })
    }

    fn role_arn(&self, arn: &Located<String>) -> Option<RoleArn> {
        let valid = RoleArn::new(arn.value.as_str()).ok();
        if valid.is_none() {
            let message = format!("\"{}\" is not the ARN of a role", arn.value);
            self.error(&arn.location, message, "Write arn:aws:iam::ACCOUNT:role/NAME, with the account's 12 digits.");
        }
        valid
    }

    /// Returns a text as STS takes it: ASCII letters, digits, `_` and these.
    fn sts_text(&self, block: &Values, option: &str, punctuation: &str, longest: usize) -> Option<String> {
        let text = block.string(option)?;
        let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || punctuation.contains(c);
        if !(2..=longest).contains(&text.value.len()) || !text.value.chars().all(is_valid) {
            let message = format!("STS does not take this `{option}`");
            let help = format!("Write 2 to {longest} letters, digits and _ {punctuation}");
            self.error(&text.location, message, help);
        }
        Some(text.value)
    }
}
