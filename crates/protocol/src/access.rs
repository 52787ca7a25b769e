//! How a template says that AWS is reached: the access options of its builder. An [`Access`] holds secrets, so it is
//! kept beside a [`crate::BuildSpec`], not in it, and is never written to a record, a message or a log. A
//! [`PersistedAccess`] is the part that may be written, so that a later process can undo what this one leaves.

use alloc::{borrow::ToOwned as _, collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

/// A secret string. `Debug` does not show it, and it can't be serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a string.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the string itself, to sign with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// The access options of a template's builder. Absent ones come from the environment, a profile, or the role of the
/// instance or container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `access_key`, `secret_key` and `token`.
    pub keys: Option<Keys>,
    /// `profile`, of the shared configuration.
    pub profile: Option<String>,
    /// `shared_credentials_file`: its path.
    pub shared_credentials_file: Option<String>,
    /// `assume_role`: the role to assume with these credentials.
    pub assume_role: Option<AssumeRole>,
    /// `custom_endpoint_ec2`: a URL.
    pub custom_endpoint_ec2: Option<String>,
    /// `max_retries`: how often a call is repeated; absent: our default.
    pub max_retries: Option<u32>,
    /// `mfa_code`: the token code for a profile whose role asks for one; valid once.
    pub mfa_code: Option<Secret>,
    /// `decode_authorization_messages`: encoded texts of refused calls are decoded by STS for the error message.
    pub decode_authorization_messages: bool,
    /// `insecure_skip_tls_verify`: every certificate of EC2 and of the services that give credentials is taken.
    pub insecure_skip_tls_verify: bool,
    /// `vault_aws_engine`: the credentials come from Vault.
    pub vault_aws_engine: Option<VaultAwsEngine>,
}

/// `vault_aws_engine`: credentials from Vault's AWS secrets engine. Where Vault is and how to log in is said by the
/// environment, `VAULT_ADDR` and `VAULT_TOKEN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VaultAwsEngine {
    /// `name`: the role in Vault; `ENGINE/creds/NAME` is read.
    pub name: String,
    /// `engine_name`: the engine's mount; default `aws`.
    pub engine_name: String,
    /// `role_arn`: if set, `ENGINE/sts/NAME` is written with it instead.
    pub role_arn: Option<String>,
    /// `ttl` of the credentials, as Vault has it; only with `role_arn`.
    pub ttl: Option<String>,
}

/// A pair of keys, with the session's token if it is temporary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// `access_key`: not a secret by itself.
    pub access_key: String,
    /// `secret_key`.
    pub secret_key: Secret,
    /// `token`.
    pub token: Option<Secret>,
}

/// `assume_role`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssumeRole {
    /// `role_arn`.
    pub role_arn: String,
    /// `session_name`; absent: `bakehouse`.
    pub session_name: Option<String>,
    /// `external_id`.
    pub external_id: Option<Secret>,
    /// `duration_seconds`; absent: the role's.
    pub duration_seconds: Option<u32>,
    /// `policy`, in JSON.
    pub policy: Option<String>,
    /// `policy_arns`.
    pub policy_arns: Vec<String>,
    /// `tags` of the session.
    pub tags: BTreeMap<String, String>,
    /// `transitive_tag_keys`: the keys of those tags that a session inherits which this role's session begins.
    pub transitive_tag_keys: Vec<String>,
}

/// An [`Access`] without its secrets: the form that is written to disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct PersistedAccess {
    /// What identifies the template's keys, if it had any; the keys themselves are not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyFingerprint>,
    /// `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `shared_credentials_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_credentials_file: Option<String>,
    /// `assume_role`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<PersistedRole>,
    /// `custom_endpoint_ec2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_endpoint_ec2: Option<String>,
    /// `max_retries`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// Whether there was an `mfa_code`, which is not here.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub mfa_code: bool,
    /// `decode_authorization_messages`.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub decode_authorization_messages: bool,
    /// `insecure_skip_tls_verify`.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub insecure_skip_tls_verify: bool,
    /// `vault_aws_engine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_aws_engine: Option<VaultAwsEngine>,
}

/// Enough of a pair of keys to recognize it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyFingerprint {
    /// The last characters of the access key: enough to recognize it, and of no use to anybody else.
    pub ends: String,
    /// Whether there was a token: temporary keys differ each time that they are requested.
    pub temporary: bool,
}

/// An [`AssumeRole`] without its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct PersistedRole {
    /// `role_arn`.
    pub role_arn: String,
    /// `session_name`.
    pub session_name: Option<String>,
    /// Whether there was an `external_id`, which is not here.
    pub external_id: bool,
    /// `duration_seconds`.
    pub duration_seconds: Option<u32>,
    /// `policy`.
    pub policy: Option<String>,
    /// `policy_arns`.
    pub policy_arns: Vec<String>,
    /// `tags`.
    pub tags: BTreeMap<String, String>,
    /// `transitive_tag_keys`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transitive_tag_keys: Vec<String>,
}

/// How many of an access key's last characters are persisted.
const FINGERPRINT_LENGTH: usize = 4;

impl Access {
    /// Returns the part that may be written down.
    pub fn persisted(&self) -> PersistedAccess {
        PersistedAccess {
            keys: self.keys.as_ref().map(|keys| KeyFingerprint {
                ends: ending(&keys.access_key).to_owned(),
                temporary: keys.token.is_some(),
            }),
            profile: self.profile.clone(),
            shared_credentials_file: self.shared_credentials_file.clone(),
            assume_role: self.assume_role.as_ref().map(|role| PersistedRole {
                role_arn: role.role_arn.clone(),
                session_name: role.session_name.clone(),
                external_id: role.external_id.is_some(),
                duration_seconds: role.duration_seconds,
                policy: role.policy.clone(),
                policy_arns: role.policy_arns.clone(),
                tags: role.tags.clone(),
                transitive_tag_keys: role.transitive_tag_keys.clone(),
            }),
            custom_endpoint_ec2: self.custom_endpoint_ec2.clone(),
            max_retries: self.max_retries,
            mfa_code: self.mfa_code.is_some(),
            decode_authorization_messages: self.decode_authorization_messages,
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
            vault_aws_engine: self.vault_aws_engine.clone(),
        }
    }
}

impl PersistedAccess {
    /// Returns the access without its secrets. Keys, if it had any, must come from elsewhere.
    pub fn access(&self) -> Access {
        Access {
            keys: None,
            profile: self.profile.clone(),
            shared_credentials_file: self.shared_credentials_file.clone(),
            assume_role: self.assume_role.as_ref().map(|role| AssumeRole {
                role_arn: role.role_arn.clone(),
                session_name: role.session_name.clone(),
                external_id: None,
                duration_seconds: role.duration_seconds,
                policy: role.policy.clone(),
                policy_arns: role.policy_arns.clone(),
                tags: role.tags.clone(),
                transitive_tag_keys: role.transitive_tag_keys.clone(),
            }),
            custom_endpoint_ec2: self.custom_endpoint_ec2.clone(),
            max_retries: self.max_retries,
            mfa_code: None,
            decode_authorization_messages: self.decode_authorization_messages,
            insecure_skip_tls_verify: self.insecure_skip_tls_verify,
            vault_aws_engine: self.vault_aws_engine.clone(),
        }
    }

    /// Whether the role needs an external id, which was not persisted.
    pub fn lacks_external_id(&self) -> bool {
        self.assume_role.as_ref().is_some_and(|role| role.external_id)
    }

    /// Whether there was an `mfa_code`: each is valid once, so another one is needed now.
    pub fn lacks_mfa_code(&self) -> bool {
        self.mfa_code
    }

    /// Whether this was persisted from the same access. Temporary keys always match, as they differ each time.
    pub fn matches(&self, access: &Access) -> bool {
        let mut other = access.persisted();
        if let (Some(keys), Some(others)) = (&self.keys, &mut other.keys)
            && keys.temporary
            && others.temporary
        {
            others.ends.clone_from(&keys.ends);
        }
        *self == other
    }
}

impl KeyFingerprint {
    /// Whether these may be the same keys. Temporary keys can't be told apart, so they match any other temporary keys.
    pub fn may_match(&self, access_key: &str, temporary: bool) -> bool {
        self.temporary == temporary && (temporary || ending(access_key) == self.ends)
    }
}

/// Returns the last characters; none of a key so short that they would be most of it.
fn ending(access_key: &str) -> &str {
    let count = access_key.chars().count();
    let from = if count < 3 * FINGERPRINT_LENGTH { count } else { count - FINGERPRINT_LENGTH };
    access_key.char_indices().nth(from).map_or("", |(at, _)| &access_key[at..])
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let access = Access {
            keys: Some(Keys {
                access_key: "AKIDEXAMPLE".into(),
                secret_key: Secret::new("wJalr"),
                token: Some(Secret::new("FwoGZ")),
            }),
            assume_role: Some(AssumeRole { external_id: Some(Secret::new("outside")), ..AssumeRole::default() }),
            ..Access::default()
        };
        let shown = format!("{access:?}");
        assert!(shown.contains("AKIDEXAMPLE") && shown.contains("(not shown)"), "{shown}");
        for secret in ["wJalr", "FwoGZ", "outside"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(access.keys.unwrap().secret_key.reveal(), "wJalr");
    }

    fn everything() -> Access {
        Access {
            keys: Some(Keys {
                access_key: "AKIDEXAMPLE1".into(),
                secret_key: Secret::new("wJalr"),
                token: Some(Secret::new("FwoGZ")),
            }),
            profile: Some("baker".into()),
            shared_credentials_file: Some("/etc/aws".into()),
            assume_role: Some(AssumeRole {
                role_arn: "arn:aws:iam::111122223333:role/bake".into(),
                session_name: Some("monday".into()),
                external_id: Some(Secret::new("outside")),
                duration_seconds: Some(1800),
                policy: Some("{}".into()),
                policy_arns: vec!["arn:aws:iam::aws:policy/x".into()],
                tags: [("team".into(), "web".into())].into(),
                transitive_tag_keys: vec!["team".into()],
            }),
            custom_endpoint_ec2: Some("http://localhost:1".into()),
            max_retries: Some(2),
            mfa_code: Some(Secret::new("814279")),
            decode_authorization_messages: true,
            insecure_skip_tls_verify: true,
            vault_aws_engine: Some(VaultAwsEngine {
                name: "baker".into(),
                engine_name: "aws".into(),
                role_arn: None,
                ttl: None,
            }),
        }
    }

    fn rotated(access: Access) -> Access {
        let keys = access.keys.map(|keys| Keys { access_key: "AKIDEXAMPLE2".into(), ..keys });
        Access { keys, ..access }
    }

    #[test]
    fn all_but_the_secrets_is_persisted() {
        let persisted = everything().persisted();
        let text = serde_json::to_string(&persisted).unwrap();
        for secret in ["wJalr", "FwoGZ", "outside", "AKID", "814279"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(serde_json::from_str::<PersistedAccess>(&text).unwrap(), persisted);
        let role = everything().assume_role.map(|role| AssumeRole { external_id: None, ..role });
        assert_eq!(persisted.access(), Access { keys: None, assume_role: role, mfa_code: None, ..everything() });
        assert!(persisted.lacks_external_id() && persisted.lacks_mfa_code());
        assert!(!PersistedAccess::default().lacks_external_id() && !PersistedAccess::default().lacks_mfa_code());
        // Without options there is nothing to write.
        assert_eq!(serde_json::to_string(&Access::default().persisted()).unwrap(), "{}");
    }

    #[test]
    fn the_same_access_is_recognized() {
        let permanent = |access: Access| {
            let keys = access.keys.map(|keys| Keys { token: None, ..keys });
            Access { keys, ..access }
        };
        let persisted = permanent(everything()).persisted();
        assert!(persisted.matches(&permanent(everything())));
        assert!(!persisted.matches(&rotated(permanent(everything()))) && !persisted.matches(&everything()));
        assert!(!persisted.matches(&Access { profile: None, ..permanent(everything()) }));
        let fingerprint = persisted.keys.unwrap();
        assert!(fingerprint.may_match("AKIDANOTHER.PLE1", false) && !fingerprint.may_match("AKIDEXAMPLE2", false));
        assert!(!fingerprint.may_match("", false) && !fingerprint.may_match("AKIDEXAMPLE1", true));
        // Temporary keys differ the next time.
        assert!(everything().persisted().matches(&rotated(everything())));
        let fingerprint = everything().persisted().keys.unwrap();
        assert!(fingerprint.may_match("ASIAEXAMPLE9", true) && !fingerprint.may_match("AKIDEXAMPLE1", false));
    }

    #[test]
    fn nothing_of_a_short_key_is_persisted() {
        assert_eq!((ending("AKIDEXAMPLE1"), ending("AKIDEXAMPLE"), ending("é"), ending("")), ("PLE1", "", "", ""));
    }
}
