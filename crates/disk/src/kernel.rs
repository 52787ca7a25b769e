//! The kernel's view of a disk: its partitions, its device numbers, and whether it is in use.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::libc;

use crate::Partition;

/// A partition that the kernel knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelPartition {
    /// Its node, beside the disk's.
    pub node: PathBuf,
    /// Its number.
    pub number: u32,
    /// Where it begins, in bytes.
    pub start: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// The partitions that the kernel knows of a disk, in no order.
pub fn partitions(disk: &Path) -> Vec<KernelPartition> {
    let Some(name) = disk.file_name() else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(Path::new("/sys/block").join(name)) else {
        return Vec::new();
    };
    let number = |path: &Path| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    entries
        .filter_map(|entry| {
            let dir = entry.ok()?.path();
            Some(KernelPartition {
                number: u32::try_from(number(&dir.join("partition"))?).ok()?,
                // sysfs counts in 512 bytes whatever the sector size.
                start: number(&dir.join("start"))? * 512,
                length: number(&dir.join("size"))? * 512,
                node: disk.with_file_name(dir.file_name()?),
            })
        })
        .collect()
}

/// The length of a partition for the kernel. An extended one has two sectors, enough for a boot loader, so that it does
/// not overlap the logical partitions in it.
pub fn length(partition: &Partition) -> u64 {
    if partition.is_extended() { partition.length.min(1024) } else { partition.length }
}

/// The nodes of a disk and of its partitions.
pub fn nodes(disk: &Path) -> Vec<PathBuf> {
    let partitions = partitions(disk).into_iter().map(|partition| partition.node);
    std::iter::once(disk.to_owned()).chain(partitions).collect()
}

/// The device numbers of a disk and of its partitions, as in `stat`.
pub fn device_numbers(disk: &Path) -> BTreeSet<u64> {
    let facts = nodes(disk).into_iter().filter_map(|node| fs::metadata(node).ok());
    facts.filter(|it| it.file_type().is_block_device()).map(|it| it.rdev()).collect()
}

/// Opens a disk exclusively. This fails while the kernel uses the disk or a partition of it for a file
/// system (in any mount namespace), a swap area, a loop device or a mapping, or another process has it open this way.
///
/// # Errors
/// `ResourceBusy` if it is in use; the kernel's.
pub fn open_exclusively(disk: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_EXCL).open(disk)
}
