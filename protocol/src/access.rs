//! How a template says that AWS is reached: the access options of its builder. It goes beside a [`crate::BuildSpec`],
//! never into it: nothing here is ever written into a record, a message or a log.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

/// A text that is not shown. It can't be serialized either.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who signs with it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// The access options of a template's builder. What is absent comes from the environment, a profile, or the role of the
/// instance or container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `access_key`, `secret_key` and `token`.
    pub keys: Option<Keys>,
    /// `profile`, of the shared configuration.
    pub profile: Option<String>,
    /// `shared_credentials_file`: its path.
    pub shared_credentials_file: Option<String>,
    /// `assume_role`: the role that the credentials are traded for.
    pub assume_role: Option<AssumeRole>,
    /// `custom_endpoint_ec2`: a URL.
    pub custom_endpoint_ec2: Option<String>,
    /// `max_retries`: how often a call is repeated; absent: as we think best.
    pub max_retries: Option<u32>,
}

/// A pair of keys, with the session's token if it is temporary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// `access_key`: no secret by itself.
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
    /// `session_name`; absent: one that names Bakehouse.
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
}

impl Access {
    /// Whether the template says nothing about it.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

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
}
