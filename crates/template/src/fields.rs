//! The fields that deferred templates may use.

/// The names of the fields that a deferred template may use.
pub(crate) type Fields = &'static [&'static str];

/// Returns all names of two lists, which are `N` together.
const fn joined<const N: usize>(first: Fields, second: Fields) -> [&'static str; N] {
    assert!(first.len() + second.len() == N);
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    names
}

/// The field that is a map of strings.
pub(crate) const TAGS: &str = "SourceAMITags";

/// `command_wrapper`.
pub(crate) const COMMAND: Fields = &["Command"];
/// `mount_path`, `pre_mount_commands`.
pub(crate) const DEVICE: Fields = &["Device"];
/// `post_mount_commands`.
pub(crate) const MOUNTED: Fields = &["Device", "MountPath"];
/// `ami_description`, `tags`.
pub(crate) const IMAGE: Fields = &[
    "BuildRegion",
    "SourceAMI",
    "SourceAMIName",
    "SourceAMICreationDate",
    "SourceAMIOwner",
    "SourceAMIOwnerName",
    TAGS,
];
/// The keys of the function `build`, for provisioners.
pub(crate) const BUILD: Fields = &[
    "BuildRegion",
    "Device",
    "MountPath",
    "SourceAMI",
    "SourceAMIName",
    "SourceAMICreationDate",
    "SourceAMIOwner",
    "SourceAMIOwnerName",
];
/// `execute_command` of `shell`; the others are those of [`BUILD`].
pub(crate) const EXECUTE: Fields = &joined::<11>(&["Vars", "Path", "EnvVarFile"], BUILD);
/// `execute_command` of `shell-local`; the others are those of [`BUILD`].
pub(crate) const EXECUTE_LOCAL: Fields = &joined::<11>(&["Vars", "Script", "Command"], BUILD);
/// `inventory_file_template` of `ansible`; the others are those of [`BUILD`].
pub(crate) const INVENTORY: Fields = &joined::<12>(&["HostAlias", "Host", "User", "Port"], BUILD);
/// `output` of the post-processor `checksum`.
pub(crate) const CHECKSUM_OUTPUT: Fields = &["BuildName", "BuilderType", "ChecksumType"];
/// The key of `build` whose value is known when the template is read.
pub(crate) const RUN_UUID: &str = "PackerRunUUID";
/// Keys of `build` that Packer accepts when it reads a template, but that have no value with this builder.
pub(crate) const BUILD_WITHOUT_VALUE: Fields = &[
    "ID",
    "PackerHTTPIP",
    "PackerHTTPPort",
    "PackerHTTPAddr",
    "Host",
    "Port",
    "User",
    "Password",
    "ConnType",
    "SSHPublicKey",
    "SSHPrivateKey",
    "WinRMPassword",
];
