//! The options of Packer's `amazon-chroot` builder (plugin 1.8.2): all 69.

use super::table::{Kind, Opt, Table, opt, unsupported};
use crate::fields::{COMMAND, DEVICE, IMAGE, MOUNTED};

/// The builder itself.
pub(crate) const AMAZON_CHROOT: Table = Table { owner: "amazon-chroot", options: OPTIONS };

/// `source_ami_filter`.
pub(crate) const FILTER: Table = Table {
    owner: "source_ami_filter",
    options: &[
        opt("filters", Kind::StringMap, "EC2's filter names and values; `a,b` is two values, of which one must match"),
        opt("owners", Kind::StringList, "account ids, `self`, `amazon`, `aws-marketplace`"),
        opt("most_recent", Kind::Bool, "use the newest of several images; without it several are an error"),
        opt("include_deprecated", Kind::Bool, "include deprecated images"),
    ],
};

/// `ami_block_device_mappings`.
pub(crate) const MAPPING: Table = Table {
    owner: "ami_block_device_mappings",
    options: &[
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
        unsupported("encrypted", "encrypts the volume"),
        unsupported("kms_key_id", "the key to encrypt with"),
    ],
};

/// `assume_role`.
pub(crate) const ROLE: Table = Table {
    owner: "assume_role",
    options: &[
        opt("role_arn", Kind::String, "the role; required"),
        opt("session_name", Kind::String, "the session's name in logs; default `bakehouse`"),
        opt("external_id", Kind::String, "the external id that the role's trust policy requires"),
        opt("duration_seconds", Kind::Integer, "how long the credentials are valid; 900 to 43200; default the role's"),
        opt("policy", Kind::String, "a policy in JSON that restricts the session"),
        opt("policy_arns", Kind::StringList, "managed policies that restrict the session"),
        opt("tags", Kind::StringMap, "tags of the session"),
        unsupported("transitive_tag_keys", "tags that the next session inherits"),
    ],
};

const OPTIONS: &[Opt] = &[
    // The volume, its device and its mounts.
    opt(
        "source_ami",
        Kind::String,
        "the image to start from, or resolve:ssm: and the name of a parameter that holds its id; required unless a filter or from_scratch is given",
    ),
    opt("source_ami_filter", Kind::Block(&FILTER), "finds the image to start from when the build runs"),
    opt(
        "from_scratch",
        Kind::Bool,
        "start from an empty volume; needs `root_volume_size`, `pre_mount_commands`, `ami_virtualization_type`, `root_device_name`, `ami_block_device_mappings`",
    ),
    opt(
        "ami_block_device_mappings",
        Kind::BlockList(&MAPPING),
        "replaces the source's mappings; needs `root_device_name` (one mapping must have that name) and `root_volume_size`",
    ),
    opt(
        "root_device_name",
        Kind::String,
        "the root's name; only together with `ami_block_device_mappings`; default the source's",
    ),
    opt(
        "root_volume_size",
        Kind::Integer,
        "GiB; for a clone it has an effect only if larger than the source, and the root file system then grows with it; default the source's",
    ),
    opt(
        "device_path",
        Kind::String,
        "the attachment point, `/dev/sdf`; `/dev/xvdf` means the same; default any free one",
    ),
    opt(
        "mount_partition",
        Kind::String,
        "the number of the root partition, `0` for the whole disk; default: found by examining the disk",
    ),
    opt(
        "mount_path",
        Kind::Deferred(DEVICE),
        "where the root is mounted on the host; default `/mnt/packer-amazon-chroot-volumes/{{.Device}}`",
    ),
    opt("mount_options", Kind::StringList, "each as for `mount -o`"),
    opt("pre_mount_commands", Kind::DeferredList(DEVICE), "host commands before the root is mounted"),
    opt("post_mount_commands", Kind::DeferredList(MOUNTED), "host commands after the root is mounted"),
    opt(
        "chroot_mounts",
        Kind::StringTable,
        "`[type or bind, source, path in the image]` each; default /proc, /sys, /dev, /dev/pts, binfmt_misc; `[]` means the default too",
    ),
    opt(
        "copy_files",
        Kind::StringList,
        "host files at the same path in the image while provisioning; default: name resolution is set up; `[]`: no files",
    ),
    opt(
        "command_wrapper",
        Kind::Deferred(COMMAND),
        "wraps every host command, which then runs under `/bin/sh -c`; must contain `{{.Command}}`; default `{{.Command}}`: no wrapper",
    ),
    opt(
        "ami_architecture",
        Kind::String,
        "x86_64 (default), arm64, i386, x86_64_mac, arm64_mac; used from scratch only: a clone keeps the source's",
    ),
    // The image.
    opt("ami_name", Kind::String, "the name; required; 3 to 128 of EC2's characters"),
    opt("ami_description", Kind::Deferred(IMAGE), "the description, at most 255 characters"),
    opt("ami_virtualization_type", Kind::String, "hvm or paravirtual; default the source's"),
    opt("ami_users", Kind::StringList, "accounts (12 digits) that may launch it"),
    opt("ami_groups", Kind::StringList, "`all` makes it public"),
    opt("ami_product_codes", Kind::StringList, "product codes"),
    opt("ami_regions", Kind::StringList, "regions to copy to; duplicates and the build region are left out"),
    opt("tags", Kind::DeferredMap(IMAGE), "tags of the image and of the snapshots made for it, in every region"),
    // Access.
    opt("region", Kind::String, "the build region; default: where the build runs"),
    opt("access_key", Kind::String, "requires `secret_key`; not used in the embedded cloud"),
    opt("secret_key", Kind::String, "requires `access_key`; not used in the embedded cloud"),
    opt("token", Kind::String, "the session's token, if the keys are temporary"),
    opt("profile", Kind::String, "a profile of the shared configuration; takes precedence over the environment's keys"),
    opt("shared_credentials_file", Kind::String, "the file with shared credentials; default `~/.aws/credentials`"),
    opt("assume_role", Kind::Block(&ROLE), "the role to assume with the credentials"),
    opt("custom_endpoint_ec2", Kind::String, "EC2's endpoint, in every region; a URL"),
    // Packer's other options.
    unsupported("root_volume_type", "the work volume's type"),
    unsupported("root_volume_tags", "tags of the work volume"),
    unsupported("root_volume_tag", "tags of the work volume"),
    unsupported("root_volume_encrypt_boot", "encrypts the work volume"),
    unsupported("root_volume_kms_key_id", "the work volume's key"),
    unsupported("nvme_device_path", "the device that is mounted; Bakehouse finds it by the volume's id"),
    unsupported("boot_mode", "how an instance boots"),
    unsupported("uefi_data", "the UEFI variable store"),
    unsupported("tpm_support", "NitroTPM"),
    unsupported("ami_org_arns", "organizations that may launch the image"),
    unsupported("ami_ou_arns", "organizational units that may launch the image"),
    unsupported("skip_region_validation", "skips the check of regions"),
    unsupported("tag", "tags one by one; use `tags`"),
    unsupported("snapshot_tags", "extra tags of the snapshots"),
    unsupported("snapshot_tag", "extra tags of the snapshots"),
    unsupported("snapshot_users", "accounts that may use the snapshots"),
    unsupported("snapshot_groups", "groups that may use the snapshots"),
    unsupported("ena_support", "the ENA flag"),
    unsupported("sriov_support", "the SR-IOV flag"),
    unsupported("force_deregister", "removes an older image of that name"),
    unsupported("force_delete_snapshot", "and removes its snapshots"),
    unsupported("encrypt_boot", "encrypts the image"),
    unsupported("kms_key_id", "the key to encrypt with"),
    unsupported("region_kms_key_ids", "a key for each region"),
    unsupported("skip_save_build_region", "no image in the build region"),
    unsupported("snapshot_copy_duration_minutes", "time-based copies"),
    unsupported("imds_support", "requires IMDSv2"),
    unsupported("deprecate_at", "when the image is deprecated"),
    unsupported("deregistration_protection", "protects the image"),
    unsupported("mfa_code", "a token code"),
    unsupported("vault_aws_engine", "credentials from Vault"),
    unsupported("insecure_skip_tls_verify", "no check of TLS certificates"),
    unsupported("max_retries", "how often a call to AWS is repeated"),
    unsupported("decode_authorization_messages", "readable authorization errors"),
    unsupported("skip_credential_validation", "no check of credentials at the start"),
    unsupported("skip_metadata_api_check", "no effect in Packer"),
    unsupported("aws_polling", "how often and how long to poll"),
];
