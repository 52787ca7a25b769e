//! The description of a build, whatever language its template was written in. Every value in it has been checked:
//! reading a template yields this or an error that points into the template.
//!
//! The option names in the comments are those of Packer's `amazon-chroot` builder.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{
    BlockDeviceMapping,
    id::{DeviceName, ImageId, Region},
    time::Millis,
};

/// A template that is rendered while the build runs, because it uses what is known only then (`{{.Device}}`). It has
/// been parsed once and uses only fields and functions that are known in its option.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeferredTemplate(pub String);

/// A build, as the template describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// The builder's name; `amazon-chroot` unless the template sets one.
    pub name: String,
    /// `region`; absent: the region where the build runs.
    pub region: Option<Region>,
    /// What the root volume is created from.
    pub source: Source,
    /// `root_volume_size` in GiB. For a clone it has an effect only if it is larger than the source's.
    pub root_volume_size: Option<u32>,
    /// The image to register.
    pub image: ImageSpec,
    /// How the volume is mounted and the chroot is set up.
    pub chroot: ChrootSpec,
    /// The steps, in order.
    pub provisioners: Vec<Provisioner>,
    /// Values that must be masked in all output: those of `sensitive-variables`, and access keys that a step uses.
    #[serde(default)]
    pub sensitive: Vec<String>,
}

/// Packer's default of `mount_path`.
pub const DEFAULT_MOUNT_PATH: &str = "/mnt/packer-amazon-chroot-volumes/{{.Device}}";
/// Packer's default of `command_wrapper`: nothing is wrapped.
pub const NO_WRAPPER: &str = "{{.Command}}";

impl BuildSpec {
    /// Returns the spec of a minimal template: a source and the image's name, everything else left at its default.
    pub fn minimal(image: impl Into<String>, source: Source) -> Self {
        Self {
            name: "amazon-chroot".into(),
            region: None,
            source,
            root_volume_size: None,
            image: ImageSpec {
                name: image.into(),
                description: DeferredTemplate::default(),
                virtualization: None,
                architecture: Architecture::X86_64,
                root_device_name: None,
                block_device_mappings: Vec::new(),
                users: Vec::new(),
                groups: Vec::new(),
                product_codes: Vec::new(),
                regions: Vec::new(),
                tags: Vec::new(),
            },
            chroot: ChrootSpec {
                device_path: None,
                mount_path: DeferredTemplate(DEFAULT_MOUNT_PATH.into()),
                mount_partition: None,
                mount_options: Vec::new(),
                pre_mount_commands: Vec::new(),
                post_mount_commands: Vec::new(),
                chroot_mounts: None,
                copy_files: None,
                command_wrapper: DeferredTemplate(NO_WRAPPER.into()),
            },
            provisioners: Vec::new(),
            sensitive: Vec::new(),
        }
    }

    /// Returns the files of the build host that the steps read.
    pub fn source_files_mut(&mut self) -> impl Iterator<Item = &mut SourceFile> {
        self.provisioners.iter_mut().flat_map(|step| match &mut step.action {
            Action::Shell(shell) => shell
                .scripts
                .iter_mut()
                .filter_map(|script| match script {
                    Script::File(file) => Some(file),
                    Script::Inline(_) => None,
                })
                .collect::<Vec<_>>(),
            Action::Upload(upload) => upload.sources.iter_mut().collect(),
            Action::Download(_) => Vec::new(),
        })
    }

    /// Returns the options by which the template accesses the build host itself: it runs commands there, reads its
    /// files or writes to it. On a shared host the operator decides whether templates may.
    pub fn host_access(&self) -> Vec<&'static str> {
        self.chroot.host_access().chain(host_access(&self.provisioners)).collect()
    }
}

impl ChrootSpec {
    /// See [`BuildSpec::host_access`].
    pub fn host_access(&self) -> impl Iterator<Item = &'static str> {
        let binds = |mounts: &Vec<ChrootMount>| mounts.iter().any(ChrootMount::exposes_host);
        [
            (!self.pre_mount_commands.is_empty()).then_some("pre_mount_commands"),
            (!self.post_mount_commands.is_empty()).then_some("post_mount_commands"),
            (self.command_wrapper.0 != NO_WRAPPER).then_some("command_wrapper"),
            self.chroot_mounts.as_ref().is_some_and(binds).then_some("chroot_mounts"),
            self.copy_files.as_ref().is_some_and(|files| !files.is_empty()).then_some("copy_files"),
        ]
        .into_iter()
        .flatten()
    }
}

/// See [`BuildSpec::host_access`].
pub fn host_access(provisioners: &[Provisioner]) -> impl Iterator<Item = &'static str> {
    let downloads = provisioners.iter().any(|step| matches!(step.action, Action::Download(_)));
    downloads.then_some("the file provisioner's direction \"download\"").into_iter()
}

impl ChrootMount {
    /// Whether it makes the host's own files visible in the image: a bind of anything but `/dev`, which every build
    /// has.
    fn exposes_host(&self) -> bool {
        self.kind == "bind" && self.source != "/dev"
    }
}

/// What the root volume is created from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `source_ami` and/or `source_ami_filter`: a clone of an image's root snapshot.
    Image(ImageQuery),
    /// `from_scratch`: an empty volume.
    Scratch {
        /// Its size in GiB.
        size: u32,
    },
}

/// Which source image is wanted. An id and a filter are combined into one query, as with Packer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageQuery {
    /// `source_ami`.
    pub id: Option<ImageId>,
    /// `filters` of `source_ami_filter`: EC2's filter names, each with the values of which one must match (`*` and `?`
    /// stand for any text and any one character).
    pub filters: BTreeMap<String, Vec<String>>,
    /// `owners`: account ids, `self`, `amazon`, `aws-marketplace`.
    pub owners: Vec<String>,
    /// `most_recent`: take the newest of several; without it several are an error.
    pub most_recent: bool,
    /// `include_deprecated`.
    pub include_deprecated: bool,
    /// `source_ami` as `resolve:ssm:NAME`: the parameter of this name holds the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
}

/// The image to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    /// `ami_name`: 3 to 128 characters of EC2's set.
    pub name: String,
    /// `ami_description`; empty: none.
    pub description: DeferredTemplate,
    /// `ami_virtualization_type`; absent: the source's.
    pub virtualization: Option<Virtualization>,
    /// `ami_architecture`: used from scratch only, as with Packer; a clone has the source's.
    pub architecture: Architecture,
    /// `root_device_name`; absent: the source's.
    pub root_device_name: Option<String>,
    /// `ami_block_device_mappings`: if not empty, it replaces the source's mappings.
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// `ami_users`: accounts that may launch it.
    pub users: Vec<String>,
    /// `ami_groups`: groups that may launch it (`all`).
    pub groups: Vec<String>,
    /// `ami_product_codes`.
    pub product_codes: Vec<String>,
    /// `ami_regions`, each once and without the build region if `region` names it.
    pub regions: Vec<Region>,
    /// `tags`, on the image and its snapshots in every region, in the template's order.
    pub tags: Vec<(DeferredTemplate, DeferredTemplate)>,
}

/// How an instance of the image is virtualized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Virtualization {
    /// Hardware virtual machine: the whole disk boots.
    Hvm,
    /// Paravirtual: the root file system is the whole disk.
    Paravirtual,
}

/// A processor architecture, in EC2's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Architecture {
    #[serde(rename = "x86_64")]
    X86_64,
    #[serde(rename = "arm64")]
    Arm64,
    #[serde(rename = "i386")]
    I386,
    #[serde(rename = "x86_64_mac")]
    X86_64Mac,
    #[serde(rename = "arm64_mac")]
    Arm64Mac,
}

impl Architecture {
    /// EC2's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
            Self::I386 => "i386",
            Self::X86_64Mac => "x86_64_mac",
            Self::Arm64Mac => "arm64_mac",
        }
    }
}

impl Virtualization {
    /// EC2's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hvm => "hvm",
            Self::Paravirtual => "paravirtual",
        }
    }
}

/// How the volume is mounted and the chroot is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChrootSpec {
    /// `device_path`: the attachment point, in EC2's spelling (`/dev/sdf`); absent: any free one.
    pub device_path: Option<DeviceName>,
    /// `mount_path`; may use `.Device`, the base name of the device.
    pub mount_path: DeferredTemplate,
    /// `mount_partition`; absent: found by examining the disk.
    pub mount_partition: Option<MountPartition>,
    /// `mount_options`, each as for `mount -o`.
    pub mount_options: Vec<String>,
    /// `pre_mount_commands`, run on the host; may use `.Device`.
    pub pre_mount_commands: Vec<DeferredTemplate>,
    /// `post_mount_commands`, run on the host; may use `.Device` and `.MountPath`.
    pub post_mount_commands: Vec<DeferredTemplate>,
    /// `chroot_mounts`; absent: the default ones.
    pub chroot_mounts: Option<Vec<ChrootMount>>,
    /// `copy_files`: host files that appear at the same path in the image during provisioning; absent: name resolution
    /// is set up during provisioning.
    pub copy_files: Option<Vec<String>>,
    /// `command_wrapper`; uses `.Command`. `{{.Command}}` alone means: no wrapper.
    pub command_wrapper: DeferredTemplate,
}

/// `mount_partition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountPartition {
    /// `0`: the file system is on the whole disk.
    WholeDisk,
    /// A partition's number, from 1.
    Number(u32),
}

/// One entry of `chroot_mounts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChrootMount {
    /// A file system type, or `bind`.
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// The path inside the image.
    pub target: String,
}

/// One step: a provisioner of the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioner {
    /// How long to wait before each attempt.
    pub pause_before: Option<Millis>,
    /// The timeout of one attempt. As with Packer it has no effect if `pause_before` is set.
    pub timeout: Option<Millis>,
    /// How many times to retry after a failure.
    pub max_retries: u32,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `shell`.
    Shell(Shell),
    /// `file` with direction `upload`.
    Upload(Upload),
    /// `file` with direction `download`.
    Download(Download),
}

/// `shell`: scripts run inside the image, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shell {
    /// The scripts.
    pub scripts: Vec<Script>,
    /// `environment_vars`, in order; the values may use the fields of [`crate::RunData`].
    pub environment: Vec<(String, DeferredTemplate)>,
    /// `valid_exit_codes`.
    pub valid_exit_codes: Vec<i32>,
}

/// One script of a `shell` step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// `inline`: these lines, run by `/bin/sh -e`.
    Inline(Vec<DeferredTemplate>),
    /// `script`, `scripts`: a file of the build host.
    File(SourceFile),
}

/// A file that the template names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The path as the template has it, for messages. A trailing `/` means the content of a directory.
    pub written: String,
    /// The path on the host: absolute, or relative to [`crate::Job::files`].
    pub path: String,
}

/// `file`, upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// `source`, `sources`: files or directories.
    pub sources: Vec<SourceFile>,
    /// `destination` in the image.
    pub destination: DeferredTemplate,
}

/// `file`, download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// `source`, `sources`: files in the image.
    pub sources: Vec<DeferredTemplate>,
    /// `destination`: an absolute path on the build host. A trailing `/` means: into this directory.
    pub destination: String,
}
