//! Block devices: their size and locks, and the kernel's view of their partitions. That is set with BLKPG, which also
//! works on kernels that can't read partition tables themselves.
#![allow(unsafe_code)]

use std::{
    fs,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::FileTypeExt,
    },
    path::Path,
    time::{Duration, Instant},
};

use bakehouse_disk::{
    Table, kernel,
    uapi::{BLKPG_ADD_PARTITION, BLKPG_DEL_PARTITION, BLKPG_RESIZE_PARTITION, BlkpgArgument, BlkpgPartition},
};
use nix::libc;

use super::api::Disk;

mod ioctl {
    use bakehouse_disk::uapi;
    use nix::libc;

    nix::ioctl_read!(blkgetsize64, 0x12, 114, u64);
    nix::ioctl_read_bad!(blkroget, 0x125e, libc::c_int);
    nix::ioctl_none_bad!(blkflsbuf, 0x1261);
    nix::ioctl_write_ptr_bad!(blkpg, uapi::BLKPG, uapi::BlkpgArgument);
}

/// Opens and locks a disk.
pub(super) fn open(path: &Path) -> io::Result<Disk> {
    if !fs::metadata(path)?.file_type().is_block_device() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a block device"));
    }
    // Fails with EBUSY if the disk is used exclusively. Closed again, as it would prevent our own mount as well.
    drop(open_exclusively(path)?);
    let handle = match fs::OpenOptions::new().read(true).write(true).open(path) {
        // A write-protected device can't be opened for writing. The caller reports it.
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
        // A loop device, or a disk that is still being attached.
        return Err(io::Error::new(ErrorKind::WouldBlock, "it has no size yet"));
    }
    Ok(Disk { path: path.to_owned(), size, read_only: read_only != 0, handle: OwnedFd::from(handle) })
}

/// How long a disk that is in use is tried again: blkid, losetup and similar programs use disks exclusively for a
/// moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// Opens a device with O_EXCL: fails with EBUSY while a file system or another process uses it exclusively.
fn open_exclusively(path: &Path) -> io::Result<fs::File> {
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        match kernel::open_exclusively(path) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// Locks a disk with flock(2), which udev respects. If another process keeps its lock for 5 s, that is an error.
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
        // udev holds a shared lock while it probes a new disk.
        if error.kind() != ErrorKind::WouldBlock || Instant::now() >= end {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Writes the kernel's cached data to the device and drops it from the cache.
pub(super) fn flush(handle: BorrowedFd<'_>) -> io::Result<()> {
    nix::unistd::fsync(handle)?;
    // SAFETY: the ioctl takes no argument, and the descriptor is open.
    unsafe { ioctl::blkflsbuf(handle.as_raw_fd()) }?;
    Ok(())
}

fn blkpg(disk: &Disk, op: libc::c_int, number: u32, start: u64, length: u64) -> io::Result<()> {
    let mut partition = BlkpgPartition::new(number, start, length)?;
    let argument = BlkpgArgument::new(op, &mut partition);
    // SAFETY: the argument and the partition it points to live until the call returns; both are laid out as
    // linux/blkpg.h has them.
    unsafe { ioctl::blkpg(disk.handle.as_raw_fd(), &raw const argument) }?;
    Ok(())
}

pub(super) fn update_partitions(disk: &Disk, table: &Table) -> io::Result<()> {
    let known = kernel::partitions(&disk.path);
    for old in &known {
        let stays = table.partitions.iter().any(|p| p.number == old.number && p.start == old.start);
        if !stays {
            blkpg(disk, BLKPG_DEL_PARTITION, old.number, 0, 0)?;
        }
    }
    for partition in &table.partitions {
        let length = kernel::length(partition);
        let now = known.iter().find(|it| it.number == partition.number && it.start == partition.start);
        match now {
            None => blkpg(disk, BLKPG_ADD_PARTITION, partition.number, partition.start, length)?,
            Some(now) if now.length != length && !partition.is_extended() => {
                blkpg(disk, BLKPG_RESIZE_PARTITION, partition.number, partition.start, length)?;
            }
            Some(_) => {}
        }
        await_node(&disk.partition(partition.number))?;
    }
    Ok(())
}

/// Waits for a device node: devtmpfs creates it at once, udev a moment later.
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
