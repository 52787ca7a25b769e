//! Block devices: size, locks, and the partitions that the kernel knows (BLKPG, which works on kernels that can't read
//! partition tables themselves).
#![allow(unsafe_code)]

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bakehouse_disk::{Partition, Table};
use nix::{fcntl::OFlag, libc};

use super::api::Disk;

mod ioctl {
    use nix::libc;

    nix::ioctl_read!(blkgetsize64, 0x12, 114, u64);
    nix::ioctl_read_bad!(blkroget, 0x125e, libc::c_int);
    nix::ioctl_none_bad!(blkflsbuf, 0x1261);
    nix::ioctl_write_ptr_bad!(blkpg, 0x1269, super::BlkpgIoctlArg);
}

const BLKPG_ADD_PARTITION: libc::c_int = 1;
const BLKPG_DEL_PARTITION: libc::c_int = 2;
const BLKPG_RESIZE_PARTITION: libc::c_int = 3;

/// `struct blkpg_partition` of linux/blkpg.h.
#[repr(C)]
struct BlkpgPartition {
    start: libc::c_longlong,
    length: libc::c_longlong,
    pno: libc::c_int,
    devname: [u8; 64],
    volname: [u8; 64],
}

/// `struct blkpg_ioctl_arg` of linux/blkpg.h.
#[repr(C)]
pub(super) struct BlkpgIoctlArg {
    op: libc::c_int,
    flags: libc::c_int,
    datalen: libc::c_int,
    data: *mut libc::c_void,
}

pub(super) fn open(path: &Path) -> io::Result<Disk> {
    if !fs::metadata(path)?.file_type().is_block_device() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a block device"));
    }
    // Fails with EBUSY if somebody has it for himself. Not kept: it would shut out our own mount as well.
    drop(exclusively(path)?);
    let handle = match fs::OpenOptions::new().read(true).write(true).open(path) {
        // Write-protected devices can't be opened for writing; which one it is, the caller says.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EROFS | libc::EACCES)) => fs::File::open(path)?,
        other => other?,
    };
    lock(&handle, false)?;
    let (mut size, mut read_only) = (0, 0);
    // SAFETY: the descriptor is open, and each pointer is to a variable of the type that the ioctl writes.
    unsafe {
        ioctl::blkgetsize64(handle.as_raw_fd(), &raw mut size)?;
        ioctl::blkroget(handle.as_raw_fd(), &raw mut read_only)?;
    }
    if size == 0 {
        // A loop device or a disk that is still being set up.
        return Err(io::Error::new(ErrorKind::WouldBlock, "it has no size yet"));
    }
    Ok(Disk { path: path.to_owned(), size, read_only: read_only != 0, handle: OwnedFd::from(handle) })
}

/// How long a disk that is in use is tried again: blkid, losetup and their like have one for themselves for a moment.
const BUSY: Duration = Duration::from_secs(3);

fn exclusively(path: &Path) -> io::Result<fs::File> {
    let end = Instant::now() + BUSY;
    loop {
        match fs::OpenOptions::new().read(true).custom_flags(OFlag::O_EXCL.bits()).open(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// Takes the lock that udev heeds, alone or shared. Another holder is an error, not a wait.
pub(super) fn lock(handle: &impl AsFd, shared: bool) -> io::Result<()> {
    let how = if shared { libc::LOCK_SH } else { libc::LOCK_EX };
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        // SAFETY: flock takes no pointers, and the descriptor is open.
        let failed = unsafe { libc::flock(handle.as_fd().as_raw_fd(), how | libc::LOCK_NB) } != 0;
        if !failed {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // udev takes a shared lock for the moment in which it looks at a new disk.
        if error.kind() != ErrorKind::WouldBlock || Instant::now() >= end {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Drops the kernel's cached pages of the device after writing them.
pub(super) fn flush(handle: BorrowedFd<'_>) -> io::Result<()> {
    nix::unistd::fsync(handle)?;
    // SAFETY: the ioctl takes no argument, and the descriptor is open.
    unsafe { ioctl::blkflsbuf(handle.as_raw_fd()) }?;
    Ok(())
}

/// Major and minor number of a node, as mountinfo writes them.
pub(super) fn numbers(node: &Path) -> Option<String> {
    let device = fs::metadata(node).ok().filter(|meta| meta.file_type().is_block_device())?.rdev();
    Some(format!("{}:{}", libc::major(device), libc::minor(device)))
}

/// The numbers of a disk and of its partitions, as `stat` gives them.
pub(super) fn device_numbers(disk: &Path) -> BTreeSet<u64> {
    let nodes = std::iter::once(disk.to_owned()).chain(partition_nodes(disk).into_iter().map(|partition| partition.0));
    nodes.filter_map(|node| fs::metadata(node).ok()).map(|meta| meta.rdev()).collect()
}

/// The partitions that the kernel knows of a disk: node, number, start and length in bytes.
pub(super) fn partition_nodes(disk: &Path) -> Vec<(PathBuf, u32, u64, u64)> {
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
            let index = u32::try_from(number(&dir.join("partition"))?).ok()?;
            // sysfs counts in 512 bytes whatever the sector size.
            let (start, size) = (number(&dir.join("start"))? * 512, number(&dir.join("size"))? * 512);
            Some((disk.with_file_name(dir.file_name()?), index, start, size))
        })
        .collect()
}

fn blkpg(disk: &Disk, op: libc::c_int, number: u32, start: u64, length: u64) -> io::Result<()> {
    let signed = |value: u64| i64::try_from(value).map_err(io::Error::other);
    let mut partition = BlkpgPartition {
        start: signed(start)?,
        length: signed(length)?,
        pno: i32::try_from(number).map_err(io::Error::other)?,
        devname: [0; 64],
        volname: [0; 64],
    };
    let argument = BlkpgIoctlArg {
        op,
        flags: 0,
        datalen: size_of::<BlkpgPartition>() as libc::c_int,
        data: (&raw mut partition).cast(),
    };
    // SAFETY: the argument and the partition it points to live until the call returns; both are laid out as linux/blkpg.h has them.
    unsafe { ioctl::blkpg(disk.handle.as_raw_fd(), &raw const argument) }?;
    Ok(())
}

/// What the kernel is to believe a partition's length is: an extended one is only its first record's two sectors.
fn kernel_length(partition: &Partition) -> u64 {
    if partition.is_extended() { partition.length.min(1024) } else { partition.length }
}

pub(super) fn update_partitions(disk: &Disk, table: &Table) -> io::Result<()> {
    let known = partition_nodes(&disk.path);
    for (_, number, start, _) in &known {
        let stays = table.partitions.iter().any(|p| p.number == *number && p.start == *start);
        if !stays {
            blkpg(disk, BLKPG_DEL_PARTITION, *number, 0, 0)?;
        }
    }
    for partition in &table.partitions {
        let length = kernel_length(partition);
        let now = known.iter().find(|(_, number, start, _)| *number == partition.number && *start == partition.start);
        match now {
            None => blkpg(disk, BLKPG_ADD_PARTITION, partition.number, partition.start, length)?,
            Some((_, _, _, size)) if *size != length && !partition.is_extended() => {
                blkpg(disk, BLKPG_RESIZE_PARTITION, partition.number, partition.start, length)?;
            }
            Some(_) => {}
        }
        await_node(&disk.partition(partition.number))?;
    }
    Ok(())
}

/// devtmpfs makes a node at once; where udev makes them it takes a moment.
fn await_node(node: &Path) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(10);
    while !node.exists() {
        if Instant::now() >= end {
            return Err(io::Error::new(ErrorKind::NotFound, format!("{} did not appear", node.display())));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
