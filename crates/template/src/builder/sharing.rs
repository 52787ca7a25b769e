//! Who may use the image and its snapshots.

use bakehouse_protocol::spec::Sharing;

use super::rules::{Rules, texts};

impl Rules<'_> {
    pub(super) fn sharing(&self) -> Sharing {
        Sharing {
            org_arns: self.organizations("ami_org_arns", ":organization/o-"),
            ou_arns: self.organizations("ami_ou_arns", ":ou/o-"),
            snapshot_users: self.accounts("snapshot_users"),
            snapshot_groups: self.groups("snapshot_groups", "the snapshots"),
        }
    }

    /// Returns a list of account ids.
    pub(super) fn accounts(&self, option: &str) -> Vec<String> {
        let accounts = self.elements(self.values, option);
        for account in &accounts {
            if account.value.len() != 12 || !account.value.bytes().all(|b| b.is_ascii_digit()) {
                let message = format!("\"{}\" is not an account id", account.value);
                self.error(&account.location, message, "Write its 12 digits as a string: \"012345678901\".");
            }
        }
        texts(accounts)
    }

    /// Returns a list of groups; `what` is shared with them.
    pub(super) fn groups(&self, option: &str, what: &str) -> Vec<String> {
        let groups = self.elements(self.values, option);
        for group in groups.iter().filter(|group| group.value != "all") {
            let message = format!("there is no group \"{}\"", group.value);
            let help =
                format!("Write \"all\" to make {what} public; accounts go into {}.", option.replace("groups", "users"));
            self.error(&group.location, message, help);
        }
        texts(groups)
    }

    fn organizations(&self, option: &str, part: &str) -> Vec<String> {
        let arns = self.elements(self.values, option);
        for arn in &arns {
            let is_arn = arn.value.starts_with("arn:") && arn.value.contains(":organizations::");
            if !is_arn || !arn.value.contains(part) {
                let message = format!("\"{}\" is not an ARN for `{option}`", arn.value);
                let help = format!("Write arn:aws:organizations::ACCOUNT{part}….");
                self.error(&arn.location, message, help);
            }
        }
        texts(arns)
    }
}
