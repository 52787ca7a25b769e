//! The blocks inside the `amazon-chroot` builder.

use super::table::{Kind, Table, opt};
use crate::fields::IMAGE;

/// `source_ami_filter`.
pub(super) const FILTER: Table = Table::new(
    "source_ami_filter",
    &[
        opt("filters", Kind::StringMap, "EC2's filter names and values; `a,b` is two values, of which one must match"),
        opt("owners", Kind::StringList, "account ids, `self`, `amazon`, `aws-marketplace`"),
        opt("most_recent", Kind::Bool, "use the newest of several images; without it several are an error"),
        opt("include_deprecated", Kind::Bool, "include deprecated images"),
    ],
);

/// `ami_block_device_mappings`.
pub(super) const MAPPING: Table = Table::new(
    "ami_block_device_mappings",
    &[
        opt("device_name", Kind::String, "the name, as `/dev/sda1`; required"),
        opt("no_device", Kind::Bool, "suppress a device of this name"),
        opt("virtual_name", Kind::String, "an instance store volume, `ephemeral0` to `ephemeral23`"),
        opt("delete_on_termination", Kind::Bool, "delete the volume with the instance; default false"),
        opt("volume_size", Kind::Integer, "GiB"),
        opt("volume_type", Kind::String, "standard, gp2, gp3, io1, io2, sc1, st1"),
        opt(
            "snapshot_id",
            Kind::String,
            "the snapshot to create the volume from, never tagged; the root's is replaced by the new snapshot",
        ),
        opt("iops", Kind::Integer, "for io1, io2, gp3"),
        opt("throughput", Kind::Integer, "MiB/s, for gp3"),
        opt("encrypted", Kind::TriState, "encrypt an empty volume; one with a snapshot is encrypted as that is"),
        opt("kms_key_id", Kind::String, "the key to encrypt with; requires `encrypted`"),
    ],
);

/// `assume_role`.
pub(super) const ROLE: Table = Table::new(
    "assume_role",
    &[
        opt("role_arn", Kind::String, "the role; required"),
        opt("session_name", Kind::String, "the session's name in logs; default `bakehouse`"),
        opt("external_id", Kind::String, "the external id that the role's trust policy requires"),
        opt("duration_seconds", Kind::Integer, "how long the credentials are valid; 900 to 43200; default the role's"),
        opt("policy", Kind::String, "a policy in JSON that restricts the session"),
        opt("policy_arns", Kind::StringList, "managed policies that restrict the session"),
        opt("tags", Kind::StringMap, "tags of the session"),
        opt("transitive_tag_keys", Kind::StringList, "keys of `tags` that a session inherits which this one begins"),
    ],
);

/// `vault_aws_engine`.
pub(super) const VAULT: Table = Table::new(
    "vault_aws_engine",
    &[
        opt("name", Kind::String, "the role in Vault; required"),
        opt("engine_name", Kind::String, "where the engine is mounted; default `aws`"),
        opt("role_arn", Kind::String, "the role to assume through the engine"),
        opt("ttl", Kind::String, "how long the credentials are valid; requires `role_arn`"),
    ],
);

/// `aws_polling`.
pub(super) const POLLING: Table = Table::new(
    "aws_polling",
    &[
        opt("delay_seconds", Kind::Integer, "how long to wait between two looks at what EC2 is doing"),
        opt("max_attempts", Kind::Integer, "how many times to look before the build fails"),
    ],
);

/// `deregistration_protection`.
pub(super) const PROTECTION: Table = Table::new(
    "deregistration_protection",
    &[
        opt("enabled", Kind::Bool, "the image can't be deregistered until the protection is switched off"),
        opt("with_cooldown", Kind::Bool, "and for 24 hours more; implies `enabled`"),
    ],
);

/// `tag`, `snapshot_tag`, `root_volume_tag`: one tag.
pub(super) const TAG: Table = Table::new(
    "tag, snapshot_tag, root_volume_tag",
    &[
        opt("key", Kind::Deferred(IMAGE), "required; 1 to 128 characters"),
        opt("value", Kind::Deferred(IMAGE), "at most 256 characters"),
    ],
);

/// `bakehouse_account_copies`.
pub(super) const ACCOUNT_COPIES: Table = Table::new(
    "bakehouse_account_copies",
    &[
        opt("role_arn", Kind::String, "the role that makes the copies, in the account that will own them; required"),
        opt("external_id", Kind::String, "the external id that the role's trust policy requires; kept in the record"),
        opt("session_name", Kind::String, "the session's name in logs; default `bakehouse`"),
        opt("regions", Kind::StringList, "regions of the copies; default: all in which the image stays"),
        opt(
            "kms_key_id",
            Kind::String,
            "that account's key to encrypt with; default: its default key if the image is encrypted",
        ),
    ],
);
