//! What Packer 1.6.6 and Bakehouse do not agree on.

/// Who alone accepts a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    Packer,
    Bakehouse,
}

use Accepts::{Bakehouse, Packer};

/// Who alone accepts, why that is right, and which cases: by name, with ` (JSON)` or ` (HCL2)` behind it where only one
/// of the two languages differs.
pub(crate) const DIFFERENCES: &[(Accepts, &str, &[&str])] = &[
    (
        Bakehouse,
        "1.6.6 does not know the option, the block or the function; newer versions do",
        &[
            "tests/templates/clone",
            "tests/templates/encrypted",
            "tests/templates/functions",
            "tests/templates/hcl-web",
            "tests/templates/provisioners",
            "amazon-chroot: ami_org_arns: right",
            "amazon-chroot: ami_ou_arns: right",
            "amazon-chroot: boot_mode: right",
            "amazon-chroot: uefi_data: right",
            "amazon-chroot: tpm_support: right",
            "amazon-chroot: imds_support: right",
            "amazon-chroot: deprecate_at: right",
            "amazon-chroot: deregistration_protection: right",
            "amazon-chroot: snapshot_copy_duration_minutes: right",
            "amazon-chroot: source_ami_filter include_deprecated: right",
            "shell: env: right",
            "file: content: right",
            "HCL2: the name of a source in its body",
            "HCL2: plugins",
            "HCL2: a data source",
            "HCL2: a local block",
            "HCL2: the type any",
            "HCL2: an optional attribute",
            "HCL2: a provisioner for a failure",
            "HCL2: names of resources",
        ],
    ),
    (
        Bakehouse,
        "an old name, which Packer wants rewritten by `packer fix`: it is taken with a warning that says what to write",
        &[
            "amazon-chroot: enhanced_networking: weak: an old name",
            "post-processor manifest: filename: weak: an old name",
            "JSON: a function of an old name",
        ],
    ),
    (Bakehouse, "Packer asks Vault when it validates", &["amazon-chroot: vault_aws_engine: right"]),
    (
        Bakehouse,
        "the option has no effect, so its value is not read; there is a warning",
        &["amazon-chroot: skip_metadata_api_check: type", "shell-local: use_linux_pathing: value: on Linux"],
    ),
    (
        Bakehouse,
        "nothing is lost by reading it",
        &[
            "JSON: two comments of one name",
            "JSON: a file with a byte order mark",
            "JSON: a pause of a variable",
            "JSON: a pause in another case",
            "JSON: a fraction of a try",
            "JSON: a name of a post-processor that is a number",
            "HCL2: a name of a source that is none",
            "HCL2: a name of a source that begins with a digit",
        ],
    ),
    (
        Packer,
        "EC2 or STS would refuse the value, after the work is done",
        &[
            "amazon-chroot: source_ami: value: not an id",
            "amazon-chroot: source_ami_filter: value: a broken list of values",
            "amazon-chroot: ami_block_device_mappings: value: an empty object",
            "amazon-chroot: ami_block_device_mappings: value: none of the root",
            "amazon-chroot: ami_block_device_mappings: value: a type that EC2 does not have",
            "amazon-chroot: root_volume_size: value: negative",
            "amazon-chroot: root_volume_type: value: none of EC2's",
            "amazon-chroot: device_path: value: no device",
            "amazon-chroot: ami_virtualization_type: value: none of EC2's",
            "amazon-chroot: ami_users: value: no account",
            "amazon-chroot: ami_users: value: several in one element",
            "amazon-chroot: ami_groups: value: no group of EC2's",
            "amazon-chroot: ami_regions: value: no region",
            "amazon-chroot: ami_regions: value: a text with blanks",
            "amazon-chroot: tags: value: a key of AWS",
            "amazon-chroot: tag: value: no key",
            "amazon-chroot: tag: value: no value",
            "amazon-chroot: assume_role: value: without a role",
            "amazon-chroot: custom_endpoint_ec2: value: no URL",
        ],
    ),
    (
        Packer,
        "Packer finds it only when it builds",
        &[
            "amazon-chroot: mount_partition: value: words",
            "amazon-chroot: mount_path: value: an unknown field",
            "amazon-chroot: pre_mount_commands: value: an unknown field",
            "amazon-chroot: ami_description: value: an unknown field",
            "amazon-chroot: tags: value: an unknown field",
            "shell: execute_command: value: an unknown field",
            "shell-local: execute_command: value: an unknown field",
            "post-processor checksum: output: value: an unknown field",
        ],
    ),
    (
        Packer,
        "what Packer would make of it is not what was meant: no command, no image, a wrong text, or nanoseconds",
        &[
            "amazon-chroot: command_wrapper: value: without the command",
            "amazon-chroot: skip_save_build_region without copies: value",
            "shell: start_retry_timeout: value: a number of nanoseconds",
            "shell: pause_before: value: a number of nanoseconds",
            "JSON: tries below zero",
            "JSON: a pause below zero",
            "JSON: the running build in a builder",
            "JSON: a bare field in a provisioner",
            "HCL2: a value that this builder does not set",
            "HCL2: a division by zero",
        ],
    ),
    (
        Packer,
        "a path that is relative to nothing that the template's author knows, or leads out of the image",
        &[
            "amazon-chroot: mount_path: value: a relative path",
            "amazon-chroot: copy_files: value: a relative path",
            "file: destination: value: relative",
        ],
    ),
    (
        Packer,
        "a name is a string: a number would be shown otherwise than it was written",
        &["JSON: a name of a builder that is a number"],
    ),
    (
        Packer,
        "a value that is not hidden although the template says so",
        &["JSON: a sensitive variable that is undeclared"],
    ),
    (
        Packer,
        "a plugin that Bakehouse does not have",
        &[
            "powershell: inline: right: of Windows",
            "post-processor vagrant: output: right: it makes no image",
            "JSON: a provisioner of another plugin",
        ],
    ),
    (
        Packer,
        "nothing would be built, or something would be left out; newer versions refuse it as well",
        &[
            "JSON: a selection of nothing",
            "HCL2: a build without sources",
            "HCL2: an empty list of sources",
            "HCL2: a file without a build",
            "HCL2: an empty file",
            "HCL2: two locals of one name",
        ],
    ),
    (Packer, "Packer ignores what is behind the name", &["HCL2: a source of too many parts"]),
];
