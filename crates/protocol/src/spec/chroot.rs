//! How the volume is mounted and the chroot is set up.

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use super::deferred::DeferredTemplate;
use crate::id::DeviceName;

/// Packer's default of `mount_path`.
pub const DEFAULT_MOUNT_PATH: &str = "/mnt/packer-amazon-chroot-volumes/{{.Device}}";
/// Packer's default of `command_wrapper`: nothing is wrapped.
pub const NO_WRAPPER: &str = "{{.Command}}";

impl Default for ChrootSpec {
    /// Every option at its default.
    fn default() -> Self {
        Self {
            device_path: None,
            device_name: None,
            nvme_device_path: None,
            mount_path: DeferredTemplate(DEFAULT_MOUNT_PATH.into()),
            mount_partition: None,
            mount_options: Vec::new(),
            pre_mount_commands: Vec::new(),
            post_mount_commands: Vec::new(),
            chroot_mounts: None,
            copy_files: None,
            command_wrapper: DeferredTemplate(NO_WRAPPER.into()),
        }
    }
}

impl ChrootSpec {
    /// Whether `command_wrapper` wraps commands in anything.
    pub fn has_wrapper(&self) -> bool {
        self.command_wrapper.0.replace(' ', "") != NO_WRAPPER
    }

    /// See [`BuildSpec::host_access`].
    pub fn host_access(&self) -> impl Iterator<Item = &'static str> {
        let binds = |mounts: &Vec<ChrootMount>| mounts.iter().any(ChrootMount::exposes_host);
        [
            (!self.pre_mount_commands.is_empty()).then_some("pre_mount_commands"),
            (!self.post_mount_commands.is_empty()).then_some("post_mount_commands"),
            self.has_wrapper().then_some("command_wrapper"),
            self.chroot_mounts.as_ref().is_some_and(binds).then_some("chroot_mounts"),
            self.copy_files.as_ref().is_some_and(|files| !files.is_empty()).then_some("copy_files"),
        ]
        .into_iter()
        .flatten()
    }
}

impl ChrootMount {
    /// Whether it makes the host's own files visible in the image: a bind of anything but `/dev`, which every build
    /// has.
    fn exposes_host(&self) -> bool {
        self.kind == "bind" && self.source != "/dev"
    }
}

/// How the volume is mounted and the chroot is set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChrootSpec {
    /// `device_path`: the attachment point, in EC2's spelling (`/dev/sdf`); absent: any free one.
    pub device_path: Option<DeviceName>,
    /// `device_path` as the template has it. While the build runs this path leads to the disk, and it is `.Device`;
    /// absent: the kernel's name or one that Packer would take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// `nvme_device_path`: the device or partition that the template expects to be mounted, such as `/dev/nvme1n1p`.
    /// The disk is found by the volume's id; this path leads to it while the build runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nvme_device_path: Option<String>,
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
