//! How a template says that AWS is reached: the access options of its builder. It goes beside a [`crate::BuildSpec`],
//! never into it: an [`Access`] is never written into a record, a message or a log. What of it may be written down, so that
//! a later process can undo what this one leaves, is a [`Kept`].

use alloc::{borrow::ToOwned as _, collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

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

/// An [`Access`] without its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// That the template had keys, which are not here.
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
    pub assume_role: Option<KeptRole>,
    /// `custom_endpoint_ec2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_endpoint_ec2: Option<String>,
    /// `max_retries`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
}

/// What is known of keys that are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyFingerprint {
    /// How the access key ends: enough to know it again, and no use to anybody else.
    pub ends: String,
    /// Whether they had a token: such keys are others each time that they are asked for.
    pub temporary: bool,
}

/// An [`AssumeRole`] without its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptRole {
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
}

/// How much of an access key is kept, in characters.
const ENDS: usize = 4;

impl Access {
    /// What of it may be written down.
    pub fn kept(&self) -> Kept {
        Kept {
            keys: self.keys.as_ref().map(|keys| KeyFingerprint {
                ends: ending(&keys.access_key).to_owned(),
                temporary: keys.token.is_some(),
            }),
            profile: self.profile.clone(),
            shared_credentials_file: self.shared_credentials_file.clone(),
            assume_role: self.assume_role.as_ref().map(|role| KeptRole {
                role_arn: role.role_arn.clone(),
                session_name: role.session_name.clone(),
                external_id: role.external_id.is_some(),
                duration_seconds: role.duration_seconds,
                policy: role.policy.clone(),
                policy_arns: role.policy_arns.clone(),
                tags: role.tags.clone(),
            }),
            custom_endpoint_ec2: self.custom_endpoint_ec2.clone(),
            max_retries: self.max_retries,
        }
    }
}

impl Kept {
    /// The access, as far as it was kept. Keys, if it had any, must come from the surroundings.
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
            }),
            custom_endpoint_ec2: self.custom_endpoint_ec2.clone(),
            max_retries: self.max_retries,
        }
    }

    /// Whether the role needs an external id that was not kept.
    pub fn lacks_external_id(&self) -> bool {
        self.assume_role.as_ref().is_some_and(|role| role.external_id)
    }

    /// Whether this is what was kept of the same access: temporary keys are others each time.
    pub fn is_of(&self, access: &Access) -> bool {
        let mut other = access.kept();
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
    /// Whether these may be the keys. Of temporary ones nobody can tell, as long as the others are temporary, too.
    pub fn may_be(&self, access_key: &str, temporary: bool) -> bool {
        self.temporary == temporary && (temporary || ending(access_key) == self.ends)
    }
}

/// The last characters. Of a text so short that they would be most of it, none.
fn ending(access_key: &str) -> &str {
    let count = access_key.chars().count();
    let from = if count < 3 * ENDS { count } else { count - ENDS };
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
            }),
            custom_endpoint_ec2: Some("http://localhost:1".into()),
            max_retries: Some(2),
        }
    }

    fn rotated(access: Access) -> Access {
        let keys = access.keys.map(|keys| Keys { access_key: "AKIDEXAMPLE2".into(), ..keys });
        Access { keys, ..access }
    }

    #[test]
    fn all_but_the_secrets_is_kept() {
        let kept = everything().kept();
        let text = serde_json::to_string(&kept).unwrap();
        for secret in ["wJalr", "FwoGZ", "outside", "AKID"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
        let role = everything().assume_role.map(|role| AssumeRole { external_id: None, ..role });
        assert_eq!(kept.access(), Access { keys: None, assume_role: role, ..everything() });
        assert!(kept.lacks_external_id() && !Kept::default().lacks_external_id());
        // With nothing said there is nothing to write down.
        assert_eq!(serde_json::to_string(&Access::default().kept()).unwrap(), "{}");
    }

    #[test]
    fn the_same_access_is_known_again() {
        let permanent = |access: Access| {
            let keys = access.keys.map(|keys| Keys { token: None, ..keys });
            Access { keys, ..access }
        };
        let kept = permanent(everything()).kept();
        assert!(kept.is_of(&permanent(everything())));
        assert!(!kept.is_of(&rotated(permanent(everything()))) && !kept.is_of(&everything()));
        assert!(!kept.is_of(&Access { profile: None, ..permanent(everything()) }));
        let lacked = kept.keys.unwrap();
        assert!(lacked.may_be("AKIDANOTHER.PLE1", false) && !lacked.may_be("AKIDEXAMPLE2", false));
        assert!(!lacked.may_be("", false) && !lacked.may_be("AKIDEXAMPLE1", true));
        // Temporary keys are others the next time.
        assert!(everything().kept().is_of(&rotated(everything())));
        let lacked = everything().kept().keys.unwrap();
        assert!(lacked.may_be("ASIAEXAMPLE9", true) && !lacked.may_be("AKIDEXAMPLE1", false));
    }

    #[test]
    fn of_a_short_key_nothing_is_kept() {
        assert_eq!((ending("AKIDEXAMPLE1"), ending("AKIDEXAMPLE"), ending("é"), ending("")), ("PLE1", "", "", ""));
    }
}
