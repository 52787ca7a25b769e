//! The access options, which are kept apart from the spec because they hold secrets.

use std::collections::BTreeMap;

use bakehouse_protocol::{
    access::{Access, AssumeRole, Keys, Secret, VaultAwsEngine},
    spec::Polling,
};

use super::rules::Rules;
use crate::{options::Values, tree::Located};

impl Rules<'_> {
    /// Returns the access options, as far as they are valid.
    pub(super) fn access(&self) -> Access {
        let text = |option: &str| self.values.string(option).map(|text| text.value);
        if let (Some(keys), Some(_)) = (self.values.location("access_key"), self.values.location("profile")) {
            self.error(keys, "`access_key` is set together with `profile`", "Set one of the two.");
        }
        if self.values.flag("insecure_skip_tls_verify")
            && let Some(location) = self.values.location("insecure_skip_tls_verify")
        {
            let message = "certificates are not checked: anybody between here and AWS can change what is sent";
            let help = "Remove it, and name a file with your own authority in SSL_CERT_FILE.";
            self.warning(location, message, help);
        }
        Access {
            keys: self.keys(),
            profile: text("profile"),
            shared_credentials_file: text("shared_credentials_file"),
            assume_role: self.values.block("assume_role").and_then(|block| self.role(&block)),
            custom_endpoint_ec2: self.endpoint(),
            max_retries: self.size(self.values, "max_retries", 1000, "calls"),
            mfa_code: self.mfa_code(),
            decode_authorization_messages: self.values.flag("decode_authorization_messages"),
            insecure_skip_tls_verify: self.values.flag("insecure_skip_tls_verify"),
            vault_aws_engine: self.values.block("vault_aws_engine").and_then(|block| self.vault(&block)),
        }
    }

    /// Returns `aws_polling`.
    pub(super) fn polling(&self) -> Polling {
        let Some(block) = self.values.block("aws_polling") else {
            return Polling::default();
        };
        Polling {
            delay_seconds: self.size(&block, "delay_seconds", 3600, "seconds"),
            max_attempts: self.size(&block, "max_attempts", 1_000_000, "attempts"),
        }
    }

    fn mfa_code(&self) -> Option<Secret> {
        let code = self.values.string("mfa_code")?;
        if code.value.len() != 6 || !code.value.bytes().all(|b| b.is_ascii_digit()) {
            let message = "`mfa_code` is not a token code";
            self.error(&code.location, message, "Write the six digits that the device shows, as a string.");
        }
        if let Some(other) =
            ["access_key", "vault_aws_engine"].into_iter().find(|key| self.values.location(key).is_some())
        {
            let message = format!("`mfa_code` is set together with `{other}`");
            self.error(&code.location, message, "The code is for the role of a profile. Set one of the two.");
        }
        Some(Secret::new(code.value))
    }

    fn vault(&self, block: &Values) -> Option<VaultAwsEngine> {
        let location = self.values.location("vault_aws_engine");
        let keys = ["access_key", "secret_key", "token"].into_iter().find(|key| self.values.location(key).is_some());
        if let (Some(key), Some(location)) = (keys, location) {
            let message = format!("`vault_aws_engine` is set together with `{key}`");
            self.error(location, message, "Set one of the two.");
        }
        let name = block.string("name");
        if let (None, false) = (&name, block.is_invalid("name")) {
            let message = "`vault_aws_engine` has no `name`";
            self.error(&block.anchor, message, "Name the role in Vault whose credentials are wanted.");
        }
        let text = |option: &str| block.string(option).map(|text| text.value);
        let role_arn = text("role_arn");
        if let (None, Some(location)) = (&role_arn, block.location("ttl")) {
            self.error(location, "`ttl` requires `role_arn`", "Remove it, or write \"role_arn\": \"…\".");
        }
        Some(VaultAwsEngine {
            name: name?.value,
            engine_name: text("engine_name").unwrap_or_else(|| "aws".to_owned()),
            role_arn,
            ttl: text("ttl"),
        })
    }

    /// Checks the form of a role's ARN.
    pub(super) fn check_role(&self, arn: &Located<String>) {
        if !(arn.value.starts_with("arn:") && arn.value.contains(":role/")) {
            let message = format!("\"{}\" is not the ARN of a role", arn.value);
            self.error(&arn.location, message, "Write arn:aws:iam::ACCOUNT:role/NAME");
        }
    }

    fn keys(&self) -> Option<Keys> {
        match (self.values.location("access_key"), self.values.location("secret_key")) {
            (Some(location), None) => {
                self.error(location, "`access_key` is set without `secret_key`", "Set both, or neither.");
            }
            (None, Some(location)) => {
                self.error(location, "`secret_key` is set without `access_key`", "Set both, or neither.");
            }
            (Some(location), Some(_)) => self.warning(
                location,
                "the template contains access keys",
                "Anyone who can read it can use them. Use the environment, a profile or a role instead.",
            ),
            (None, None) => {
                if let Some(location) = self.values.location("token") {
                    let message = "`token` is set without `access_key` and `secret_key`";
                    self.error(location, message, "Set all three, or none.");
                }
            }
        }
        Some(Keys {
            access_key: self.values.string("access_key")?.value,
            secret_key: Secret::new(self.values.string("secret_key")?.value),
            token: self.values.string("token").map(|token| Secret::new(token.value)),
        })
    }

    fn endpoint(&self) -> Option<String> {
        let url = self.values.string("custom_endpoint_ec2")?;
        if !(url.value.starts_with("https://") || url.value.starts_with("http://")) {
            let message = format!("\"{}\" is not a URL", url.value);
            self.error(&url.location, message, "Write https://HOST or http://HOST:PORT.");
        }
        Some(url.value)
    }

    /// Reads `assume_role`. Packer ignores the block if `role_arn` is not set; here that is an error.
    fn role(&self, block: &Values) -> Option<AssumeRole> {
        let text = |option: &str| block.string(option).map(|text| text.value);
        let Some(role_arn) = block.string("role_arn") else {
            if let Some(location) = self.values.location("assume_role") {
                let message = "`assume_role` has no `role_arn`";
                self.error(location, message, "Name the role: arn:aws:iam::ACCOUNT:role/NAME");
            }
            return None;
        };
        self.check_role(&role_arn);
        let duration = block.integer("duration_seconds").filter(|number| number.value != 0);
        let duration_seconds = duration.and_then(|number| match u32::try_from(number.value) {
            Ok(seconds @ 900..=43_200) => Some(seconds),
            _ => {
                let message = format!("`duration_seconds` is {}", number.value);
                self.error(
                    &number.location,
                    message,
                    "Write 900 to 43200: STS issues credentials for 15 minutes to 12 hours.",
                );
                None
            }
        });
        let arns = block.string_list("policy_arns").unwrap_or_default();
        let tags = block.string_map("tags").unwrap_or_default();
        let transitive = block.string_list("transitive_tag_keys").unwrap_or_default();
        for key in transitive.iter().filter(|key| !tags.iter().any(|(name, _)| name.value == key.value)) {
            let message = format!("`tags` has no tag \"{}\"", key.value);
            self.error(&key.location, message, "A transitive tag must be one of the session's tags.");
        }
        Some(AssumeRole {
            role_arn: role_arn.value,
            session_name: text("session_name"),
            external_id: text("external_id").map(Secret::new),
            duration_seconds,
            policy: text("policy"),
            policy_arns: arns.into_iter().map(|arn| arn.value).collect(),
            tags: tags.into_iter().map(|(key, value)| (key.value, value.value)).collect::<BTreeMap<_, _>>(),
            transitive_tag_keys: transitive.into_iter().map(|key| key.value).collect(),
        })
    }
}
