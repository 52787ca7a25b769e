//! The options of Packer's `amazon-chroot` builder (plugin 1.8.2), all 69, and our own.

use super::{
    builder_blocks::{ACCOUNT_COPIES, FILTER, MAPPING, POLLING, PROTECTION, ROLE, TAG, VAULT},
    table::{Kind, Opt, Table, opt},
};
use crate::fields::{COMMAND, DEVICE, IMAGE, MOUNTED};

/// The builder itself.
pub(crate) const AMAZON_CHROOT: Table = Table::new("amazon-chroot", OPTIONS)
    .common(OWN)
    .renamed(&[("enhanced_networking", "ena_support")])
    .ignored(&[("skip_metadata_api_check", "Packer does not use it either")]);

/// The builder and its blocks, for the reference.
pub(super) const TABLES: [&Table; 9] =
    [&AMAZON_CHROOT, &FILTER, &MAPPING, &TAG, &PROTECTION, &ROLE, &VAULT, &POLLING, &ACCOUNT_COPIES];

/// Our own options; Packer refuses them.
pub(super) const OWN: &[Opt] = &[
    opt(
        "bakehouse_volume_initialization_rate",
        Kind::Integer,
        "MiB/s, 100 to 300: how fast EBS loads the source's snapshot into the work volume; costs extra",
    ),
    opt("bakehouse_volume_throughput", Kind::Integer, "MiB/s, 125 to 2000, of the work volume, which must be gp3"),
    opt("bakehouse_deprecate_in", Kind::Duration, "deprecate the image this long after the build, `2160h`"),
    opt(
        "bakehouse_keep",
        Kind::Integer,
        "how many images of this builder of the template stay; older ones that nothing uses are deregistered with their snapshots",
    ),
    opt(
        "bakehouse_ssm_parameters",
        Kind::DeferredList(IMAGE),
        "parameters of Parameter Store that get the image's id in each region",
    ),
    opt(
        "bakehouse_account_copies",
        Kind::BlockList(&ACCOUNT_COPIES),
        "copies of the image that other accounts own, made by a role of each account",
    ),
    opt(
        "bakehouse_watermarks",
        Kind::StringList,
        "names of watermarks to attach before the image is copied, at most 5",
    ),
];

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
        "root_volume_type",
        Kind::String,
        "the work volume's type: standard, gp2, gp3, io1, io2, sc1, st1; default the source's, gp3 from scratch",
    ),
    opt("root_volume_tags", Kind::DeferredMap(IMAGE), "tags of the work volume"),
    opt("root_volume_tag", Kind::BlockList(&TAG), "one more of them, which overrides"),
    opt("root_volume_encrypt_boot", Kind::TriState, "encrypt the work volume; default: as the source is"),
    opt("root_volume_kms_key_id", Kind::String, "the key to encrypt it with"),
    opt(
        "device_path",
        Kind::String,
        "the attachment point, `/dev/sdf`; `/dev/xvdf` means the same; default any free one",
    ),
    opt(
        "nvme_device_path",
        Kind::String,
        "the path by which the template's commands know the disk, `/dev/nvme1n1p`; it leads to the disk while the build runs",
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
    opt("boot_mode", Kind::String, "legacy-bios, uefi, uefi-preferred; default the source's"),
    opt("uefi_data", Kind::String, "the UEFI variable store, in base64; requires `boot_mode` uefi or uefi-preferred"),
    opt("tpm_support", Kind::String, "v2.0"),
    // The image.
    opt("ami_name", Kind::String, "the name; required; 3 to 128 of EC2's characters"),
    opt("ami_description", Kind::Deferred(IMAGE), "the description, at most 255 characters"),
    opt("ami_virtualization_type", Kind::String, "hvm or paravirtual; default the source's"),
    opt("ami_users", Kind::StringList, "accounts (12 digits) that may launch it"),
    opt("ami_groups", Kind::StringList, "`all` makes it public"),
    opt("ami_org_arns", Kind::StringList, "organizations that may launch it"),
    opt("ami_ou_arns", Kind::StringList, "organizational units that may launch it"),
    opt("ami_product_codes", Kind::StringList, "product codes"),
    opt("ami_regions", Kind::StringList, "regions to copy to; duplicates and the build region are left out"),
    opt("tags", Kind::DeferredMap(IMAGE), "tags of the image and of the snapshots made for it, in every region"),
    opt("tag", Kind::BlockList(&TAG), "one more of them, which overrides"),
    opt("snapshot_tags", Kind::DeferredMap(IMAGE), "tags of the snapshots only, which override `tags`"),
    opt("snapshot_tag", Kind::BlockList(&TAG), "one more of them, which overrides"),
    opt("snapshot_users", Kind::StringList, "accounts (12 digits) that may create volumes from the snapshots"),
    opt("snapshot_groups", Kind::StringList, "`all` makes the snapshots public"),
    opt("skip_region_validation", Kind::Bool, "the regions are not checked against the account's"),
    opt(
        "skip_save_build_region",
        Kind::Bool,
        "no image stays in the build region; requires `ami_regions` or `bakehouse_account_copies`",
    ),
    opt(
        "snapshot_copy_duration_minutes",
        Kind::Integer,
        "how long EBS may take for each copy: 15 to 2880, in steps of 15; costs extra",
    ),
    opt("ena_support", Kind::TriState, "the ENA flag; default the source's, from scratch that of hvm"),
    opt("sriov_support", Kind::TriState, "the SR-IOV flag; default the source's"),
    opt("imds_support", Kind::String, "v2.0: instances take IMDSv2 only"),
    opt(
        "force_deregister",
        Kind::Bool,
        "the account's own image of this name is replaced in every region once the new one stands; -force sets it",
    ),
    opt("force_delete_snapshot", Kind::Bool, "and its snapshots are deleted; only with `force_deregister`"),
    opt("encrypt_boot", Kind::TriState, "true: the image is encrypted in every region; default: as the source is"),
    opt("kms_key_id", Kind::String, "the key in the build region; requires `encrypt_boot`; default the account's"),
    opt(
        "region_kms_key_ids",
        Kind::StringMap,
        "the key in each of `ami_regions`, `\"\"` for the region's default key; requires `encrypt_boot`",
    ),
    opt("deprecate_at", Kind::String, "when the image is deprecated, in RFC 3339: `2030-01-31T00:00:00Z`"),
    opt("deregistration_protection", Kind::Block(&PROTECTION), "protects the image"),
    // Access.
    opt("region", Kind::String, "the build region; default: where the build runs"),
    opt("access_key", Kind::String, "requires `secret_key`; not used in the embedded cloud"),
    opt("secret_key", Kind::String, "requires `access_key`; not used in the embedded cloud"),
    opt("token", Kind::String, "the session's token, if the keys are temporary"),
    opt("profile", Kind::String, "a profile of the shared configuration; takes precedence over the environment's keys"),
    opt("shared_credentials_file", Kind::String, "the file with shared credentials; default `~/.aws/credentials`"),
    opt("assume_role", Kind::Block(&ROLE), "the role to assume with the credentials"),
    opt("custom_endpoint_ec2", Kind::String, "EC2's endpoint, in every region; a URL"),
    opt("mfa_code", Kind::String, "the token code for a profile whose role requires MFA"),
    opt("vault_aws_engine", Kind::Block(&VAULT), "credentials from Vault; not with `access_key`"),
    opt(
        "insecure_skip_tls_verify",
        Kind::Bool,
        "whether AWS's certificates are not checked; better: SSL_CERT_FILE names authorities of your own",
    ),
    opt("max_retries", Kind::Integer, "how often a call to AWS is repeated; default ours"),
    opt(
        "decode_authorization_messages",
        Kind::Bool,
        "readable reasons of refused calls, by `sts:DecodeAuthorizationMessage`",
    ),
    opt("skip_credential_validation", Kind::Bool, "nothing to skip: no call is made only to check the credentials"),
    opt("aws_polling", Kind::Block(&POLLING), "how often and how long to look at what EC2 is doing"),
];
