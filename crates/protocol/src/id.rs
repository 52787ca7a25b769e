//! Ids, each with a type of its own, so that a snapshot's id can't be passed where a volume's is expected.

use alloc::{format, string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// A string that is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not {what}")]
pub struct InvalidId {
    /// What was given.
    pub text: String,
    /// What was expected, with its article: "a volume id (vol-…)".
    pub what: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the string.
            ///
            /// # Errors
            /// [`InvalidId`] if the string does not have the form of this kind of id.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(InvalidId { text, what: $what }) }
            }

            /// The id as a string.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl core::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )*};
}

/// Whether a string is an id of EC2's: a prefix and 8 (old) or 17 lower-case hexadecimal digits.
fn is_ec2_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether a string has only lower-case letters, digits and dashes, and starts with a letter, as our own ids and the
/// names of regions and zones do.
fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

ids! {
    /// One build. Made by [`BuildId::from_parts`]; safe as a file name, a tag value and a host name.
    BuildId: "a build id (b-…)", |text| text.starts_with("b-") && is_name(text);
    /// A machine that runs the agent.
    HostId: "a host id", is_name;
    /// An EC2 instance.
    InstanceId: "an instance id (i-…)", |text| is_ec2_id(text, "i-");
    /// An EBS volume.
    VolumeId: "a volume id (vol-…)", |text| is_ec2_id(text, "vol-");
    /// An EBS snapshot.
    SnapshotId: "a snapshot id (snap-…)", |text| is_ec2_id(text, "snap-");
    /// An Amazon Machine Image.
    ImageId: "an image id (ami-…)", |text| is_ec2_id(text, "ami-");
    /// An AWS region, such as `us-east-1`.
    Region: "a region", is_name;
    /// The ARN of an IAM role, such as `arn:aws:iam::111122223333:role/images`.
    RoleArn: "the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME)", |text| {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let [arn, partition, service, region, account, resource] = parts[..] else { return false };
        arn == "arn"
            && is_name(partition)
            && (service, region) == ("iam", "")
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
            && text.len() <= 2048
            && text.bytes().all(|b| b.is_ascii_graphic())
    };
    /// An Availability Zone, such as `us-east-1a`.
    Zone: "an Availability Zone", is_name;
    /// EC2's name for an attachment point, such as `/dev/sdf`. It reserves the point; it is not a path on the host.
    DeviceName: "a device name (/dev/sd[b-z], /dev/xvd[b-c][a-z])", |text| {
        text.strip_prefix("/dev/").is_some_and(|name| {
            (name.starts_with("sd") || name.starts_with("xvd"))
                && (3..=7).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    };
}

impl BuildId {
    /// Returns `b-`, the seconds of the start and the random part, in hexadecimal: ids sort by age.
    pub fn from_parts(seconds: u64, random: u32) -> Self {
        Self(format!("b-{:08x}-{random:08x}", seconds & 0xffff_ffff))
    }

    /// Returns the id of the n-th build (counted from 1) of a request for several, as for a template with several
    /// builders. The first has the request's own id. `None`: the id would be too long.
    pub fn nth(&self, n: usize) -> Option<Self> {
        if n == 1 { Some(self.clone()) } else { Self::new(format!("{self}-{n}")).ok() }
    }
}

impl RoleArn {
    /// Returns the id of the account that the role belongs to.
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn ids_are_checked_when_they_are_read() {
        assert!(VolumeId::new("vol-0123456789abcdef0").is_ok());
        assert!(VolumeId::new("vol-01234567").is_ok());
        assert_eq!(
            VolumeId::new("snap-01234567").unwrap_err().to_string(),
            "\"snap-01234567\" is not a volume id (vol-…)"
        );
        assert!(serde_json::from_str::<ImageId>("\"../etc\"").is_err());
        assert!(BuildId::new("b-../x").is_err());
        assert!(DeviceName::new("/dev/sdf").is_ok());
        assert!(DeviceName::new("/dev/loop0").is_err());
    }

    #[test]
    fn the_arn_of_a_role_names_its_account() {
        let role = RoleArn::new("arn:aws-cn:iam::444455556666:role/team/images").unwrap();
        assert_eq!(role.account(), "444455556666");
        for wrong in [
            "arn:aws:iam::4444:role/images",
            "arn:aws:iam::444455556666:user/images",
            "arn:aws:iam::444455556666:role/",
            "arn:aws:sts::444455556666:role/images",
            "arn:aws:iam::444455556666:role/im ages",
            "images",
        ] {
            assert!(RoleArn::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_builders_of_a_template_have_ids_of_their_own() {
        let id = BuildId::from_parts(1, 2);
        assert_eq!(id.nth(1), Some(id.clone()));
        assert_eq!(id.nth(3).unwrap().as_str(), "b-00000001-00000002-3");
        let long = BuildId::new(alloc::format!("b-{}", "a".repeat(62))).unwrap();
        assert_eq!(long.nth(2), None);
    }

    #[test]
    fn build_ids_sort_by_age() {
        assert!(BuildId::from_parts(1, u32::MAX) < BuildId::from_parts(2, 0));
        assert_eq!(BuildId::new(BuildId::from_parts(7, 8).as_str()).unwrap(), BuildId::from_parts(7, 8));
    }
}
