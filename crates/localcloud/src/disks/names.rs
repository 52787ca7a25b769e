//! Attached volumes under their device names, as on a Xen host: `/dev/sdf` appears as `/dev/xvdf`, its first partition
//! as `/dev/xvdf1`. For programs that look for a disk under that name, as Packer's amazon-chroot does.
//!
//! ```text
//! /dev/xvdf  -> DIR/by-id/nvme-Amazon_Elastic_Block_Store_vol… -> /dev/loop3
//! /dev/xvdf1 -> /dev/loop3p1      up to 15, whether or not the partition exists
//! ```
//! Our names are recognized by where they lead, so that stale ones of a killed process are found, and a disk that
//! really has such a name is not touched.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{DeviceName, VolumeId};

use super::{cloud::LocalCloud, error::LocalError};

/// The partitions that a Xen disk has numbers for.
const PARTITIONS: std::ops::RangeInclusive<u32> = 1..=15;

/// Where names are looked for if the settings have no directory.
const DEV: &str = "/dev";

/// The kernel's name of a device name: `xvdf` for `/dev/sdf` and `/dev/xvdf`.
fn kernel_name(device: &DeviceName) -> Option<String> {
    let name = device.as_str().strip_prefix("/dev/")?;
    Some(name.strip_prefix("sd").map_or_else(|| name.to_owned(), |letter| format!("xvd{letter}")))
}

impl LocalCloud {
    /// Creates a volume's names, if the settings ask for them.
    pub(super) fn add_names(&self, id: &VolumeId, device: &DeviceName, path: &Path) -> Result<(), LocalError> {
        let (Some(dir), Some(name)) = (&self.device_names, kernel_name(device)) else {
            return Ok(());
        };
        let disk = dir.join(&name);
        self.create_name(&self.link_path(id), &disk)?;
        for number in PARTITIONS {
            let partition = PathBuf::from(format!("{}p{number}", path.display()));
            let name = dir.join(format!("{name}{number}"));
            // One that exists is ours: the disk's name was free, or stale.
            remove_link(&name);
            self.create_name(&partition, &name)?;
        }
        Ok(())
    }

    fn create_name(&self, target: &Path, name: &Path) -> Result<(), LocalError> {
        if self.is_ours(name) {
            remove_link(name);
        }
        symlink(target, name).map_err(LocalError::io("creating", name))
    }

    /// Whether a name leads to a volume of this directory, attached or not.
    fn is_ours(&self, name: &Path) -> bool {
        fs::read_link(name).is_ok_and(|target| target.starts_with(self.by_id()))
    }

    /// The names of disks, not of partitions, whose targets match.
    fn names_of(&self, matches: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
        let dir = self.device_names.as_deref().unwrap_or(Path::new(DEV));
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let of_disks = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("xvd"));
        of_disks.map(|entry| entry.path()).filter(|path| fs::read_link(path).is_ok_and(|it| matches(&it))).collect()
    }

    /// Removes a volume's names.
    pub(super) fn remove_names(&self, id: &VolumeId) {
        let link = self.link_path(id);
        self.names_of(|target| target == link).iter().for_each(|name| remove_with_partitions(name));
    }

    /// Removes the names of volumes that are no longer attached.
    pub(super) fn remove_stale_names(&self) {
        let by_id = self.by_id();
        let stale = |target: &Path| target.starts_with(&by_id) && fs::symlink_metadata(target).is_err();
        self.names_of(stale).iter().for_each(|name| remove_with_partitions(name));
    }
}

fn remove_with_partitions(name: &Path) {
    for number in PARTITIONS {
        remove_link(Path::new(&format!("{}{number}", name.display())));
    }
    // Last, because it shows that the others are ours.
    remove_link(name);
}

/// Removes a symbolic link, and nothing else.
fn remove_link(path: &Path) {
    let is_link = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_symlink());
    if is_link {
        // If it was not removed already it is found as stale later; nothing depends on it.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_xen() {
        let of = |name: &str| kernel_name(&DeviceName::new(name).unwrap()).unwrap();
        assert_eq!(of("/dev/sdf"), "xvdf");
        assert_eq!(of("/dev/xvdf"), "xvdf");
        assert_eq!(of("/dev/xvdba"), "xvdba");
        assert_eq!(of("/dev/sda1"), "xvda1");
    }
}
