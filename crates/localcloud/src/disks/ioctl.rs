//! The ioctls that no crate in use wraps: reflinks, loop devices, partitions. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::{ffi::c_int, fs::File, io, os::fd::AsRawFd};

use bakehouse_disk::uapi::{
    BLKPG_ADD_PARTITION, BLKPG_DEL_PARTITION, BlkpgArgument, BlkpgPartition, LO_FLAGS_AUTOCLEAR, LO_FLAGS_PARTSCAN,
    LoopConfig, LoopInfo64,
};

mod call {
    use bakehouse_disk::uapi;
    use nix::libc;

    nix::ioctl_write_int_bad!(ficlone, libc::FICLONE);
    nix::ioctl_none_bad!(loop_ctl_get_free, uapi::LOOP_CTL_GET_FREE);
    nix::ioctl_write_ptr_bad!(loop_configure, uapi::LOOP_CONFIGURE, uapi::LoopConfig);
    nix::ioctl_none_bad!(loop_clr_fd, uapi::LOOP_CLR_FD);
    nix::ioctl_write_ptr_bad!(blkpg, uapi::BLKPG, uapi::BlkpgArgument);
}

/// Lets `target` share all of `source`'s blocks (FICLONE).
pub(super) fn clone_file(source: &File, target: &File) -> io::Result<()> {
    // SAFETY: both descriptors are open for the length of the call, and FICLONE takes a descriptor by value.
    unsafe { call::ficlone(target.as_raw_fd(), source.as_raw_fd()) }?;
    Ok(())
}

/// The number of a loop device that is free at this moment.
pub(super) fn free_loop(control: &File) -> io::Result<u32> {
    // SAFETY: the descriptor is open, and LOOP_CTL_GET_FREE takes no argument.
    let number = unsafe { call::loop_ctl_get_free(control.as_raw_fd()) }?;
    u32::try_from(number).map_err(io::Error::other)
}

/// Puts a file behind a loop device that frees itself when its last user is gone.
pub(super) fn configure_loop(device: &File, backing: &File, name: &str) -> io::Result<()> {
    let mut info = LoopInfo64 { flags: LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN, ..LoopInfo64::ZERO };
    let length = name.len().min(63);
    info.file_name[..length].copy_from_slice(&name.as_bytes()[..length]);
    let config = LoopConfig { fd: backing.as_raw_fd().unsigned_abs(), block_size: 0, info, reserved: [0; 8] };
    // SAFETY: both descriptors are open, and `config` has the layout of struct loop_config and outlives the call; the
    // kernel only reads it.
    unsafe { call::loop_configure(device.as_raw_fd(), &raw const config) }?;
    Ok(())
}

/// Takes the file from behind a loop device. While others have it open it happens when the last one closes it.
pub(super) fn clear_loop(device: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open, and LOOP_CLR_FD takes no argument.
    unsafe { call::loop_clr_fd(device.as_raw_fd()) }?;
    Ok(())
}

fn partition(device: &File, op: c_int, number: u32, start: u64, length: u64) -> io::Result<()> {
    let mut partition = BlkpgPartition::new(number, start, length)?;
    let argument = BlkpgArgument::new(op, &mut partition);
    // SAFETY: the descriptor is open; `argument` and the partition it points to have the layout of linux/blkpg.h and
    // outlive the call.
    unsafe { call::blkpg(device.as_raw_fd(), &raw const argument) }?;
    Ok(())
}

/// Tells the kernel of a partition, in bytes.
pub(super) fn add_partition(device: &File, number: u32, start: u64, length: u64) -> io::Result<()> {
    partition(device, BLKPG_ADD_PARTITION, number, start, length)
}

/// Makes the kernel forget a partition; EBUSY while it is in use.
pub(super) fn remove_partition(device: &File, number: u32) -> io::Result<()> {
    partition(device, BLKPG_DEL_PARTITION, number, 0, 0)
}
