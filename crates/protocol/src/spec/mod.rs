//! The description of a build, whatever language its template was written in. Every value in it has been checked:
//! reading a template yields this or an error that points into the template.
//!
//! The option names in the comments are those of Packer's `amazon-chroot` builder.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::id::Region;

mod account_copy;
mod ansible;
mod chroot;
mod deferred;
mod file;
mod image;
mod polling;
mod post_processor;
mod script;
mod source;
mod step;

pub use account_copy::{AccountCopies, CopyRole};
pub use ansible::{Ansible, AnsibleLocal, Galaxy};
pub use chroot::{ChrootMount, ChrootSpec, DEFAULT_MOUNT_PATH, MountPartition, NO_WRAPPER};
pub use deferred::DeferredTemplate;
pub use file::SourceFile;
pub use image::{
    Architecture, Copying, Deprecation, DeregistrationProtection, Encryption, ImageAttributes, ImageSpec, Lifecycle,
    Replacement, Sharing, Virtualization,
};
pub use polling::Polling;
pub use post_processor::{PostAction, PostProcessor};
pub use script::{ENV_VAR_FORMAT, InvalidFormat, inline_script, variables_as_shell_text};
pub use source::{ImageQuery, Source, VolumeSpec};
pub use step::{
    Action, Breakpoint, Download, Provisioner, Script, Shell, ShellLocal, ShellOptions, Upload, host_access,
};

/// A build, as the template describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// The builder's name as the template sets it (`PACKER_BUILD_NAME`, `build_name`): `amazon-chroot` unless a JSON
    /// template sets one, the name of the source block in HCL2.
    pub name: String,
    /// The name that output shows and that `-only` and `-except` take: `amazon-chroot` or `amazon-chroot.NAME` of a
    /// JSON template; `amazon-chroot.NAME` or `BUILD.amazon-chroot.NAME` in HCL2. Empty in old records: the same as
    /// `name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// `region`; absent: the region where the build runs.
    pub region: Option<Region>,
    /// What the root volume is created from.
    pub source: Source,
    /// `root_volume_size` in GiB. For a clone it has an effect only if it is larger than the source's.
    pub root_volume_size: Option<u32>,
    /// The other options of the work volume.
    #[serde(default)]
    pub volume: VolumeSpec,
    /// The image to register.
    pub image: ImageSpec,
    /// How the volume is mounted and the chroot is set up.
    pub chroot: ChrootSpec,
    /// The steps, in order.
    pub provisioners: Vec<Provisioner>,
    /// `error-cleanup-provisioner`: run if a step fails, while the image is still mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_cleanup: Option<Provisioner>,
    /// What follows a successful build, on the machine that reads the template: chains, each of which begins with the
    /// images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_processors: Vec<Vec<PostProcessor>>,
    /// `aws_polling`.
    #[serde(default, skip_serializing_if = "Polling::is_default")]
    pub polling: Polling,
    /// The working directory of the process that read the template: relative paths in commands of the build host are
    /// relative to it. Empty: the root directory.
    #[serde(default)]
    pub working_directory: String,
    /// Values that must be masked in all output: those of `sensitive-variables`, and access keys that a step uses.
    #[serde(default)]
    pub sensitive: Vec<String>,
}

impl BuildSpec {
    /// Returns the name that output shows.
    pub fn shown_name(&self) -> &str {
        if self.display_name.is_empty() { &self.name } else { &self.display_name }
    }

    /// Returns the spec of a minimal template: a source and the image's name, everything else left at its default.
    pub fn minimal(image: impl Into<String>, source: Source) -> Self {
        Self {
            name: "amazon-chroot".into(),
            display_name: "amazon-chroot".into(),
            region: None,
            source,
            root_volume_size: None,
            volume: VolumeSpec::default(),
            image: ImageSpec::new(image),
            chroot: ChrootSpec::default(),
            provisioners: Vec::new(),
            error_cleanup: None,
            post_processors: Vec::new(),
            polling: Polling::default(),
            working_directory: String::new(),
            sensitive: Vec::new(),
        }
    }

    /// Returns the files of the build host that the steps read.
    pub fn source_files(&self) -> impl Iterator<Item = &SourceFile> {
        self.provisioners.iter().chain(&self.error_cleanup).flat_map(Provisioner::source_files)
    }

    /// Returns the files of the build host that the steps read.
    pub fn source_files_mut(&mut self) -> impl Iterator<Item = &mut SourceFile> {
        self.provisioners.iter_mut().chain(&mut self.error_cleanup).flat_map(Provisioner::source_files_mut)
    }

    /// Returns the options by which the template accesses the build host itself: it runs commands there, reads its
    /// files or writes to it. On a shared host the operator decides whether templates may.
    pub fn host_access(&self) -> Vec<&'static str> {
        let steps = self.provisioners.iter().chain(&self.error_cleanup);
        self.chroot.host_access().chain(host_access(steps)).collect()
    }
}
