//! The ioctls that no crate in use wraps: reflinks, loop devices, partitions. The only unsafe code of this crate.
#![allow(unsafe_code)]

use std::{fs::File, io, os::fd::AsRawFd};

use nix::libc;

/// `linux/loop.h`.
const LOOP_CLR_FD: libc::Ioctl = 0x4C01;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_PARTSCAN: u32 = 8;

/// `linux/blkpg.h`.
const BLKPG: libc::Ioctl = 0x1269;
const BLKPG_ADD_PARTITION: libc::c_int = 1;
const BLKPG_DEL_PARTITION: libc::c_int = 2;

/// `struct loop_info64`.
#[repr(C)]
struct LoopInfo64 {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

/// `struct blkpg_partition`.
#[repr(C)]
struct BlkpgPartition {
    start: libc::c_longlong,
    length: libc::c_longlong,
    number: libc::c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

/// `struct blkpg_ioctl_arg`.
#[repr(C)]
struct BlkpgArgument {
    op: libc::c_int,
    flags: libc::c_int,
    length: libc::c_int,
    data: *mut BlkpgPartition,
}

fn result(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// Lets `target` share all of `source`'s blocks (FICLONE).
pub(super) fn clone_file(source: &File, target: &File) -> io::Result<()> {
    // SAFETY: both descriptors are open for the length of the call, and FICLONE takes a descriptor by value.
    result(unsafe { libc::ioctl(target.as_raw_fd(), libc::FICLONE, source.as_raw_fd()) }).map(drop)
}

/// The number of a loop device that is free at this moment.
pub(super) fn free_loop(control: &File) -> io::Result<u32> {
    // SAFETY: the descriptor is open, and LOOP_CTL_GET_FREE takes no argument.
    let number = result(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) })?;
    u32::try_from(number).map_err(io::Error::other)
}

/// Puts a file behind a loop device that frees itself when its last user is gone.
pub(super) fn configure_loop(device: &File, backing: &File, name: &str) -> io::Result<()> {
    let mut file_name = [0; 64];
    let length = name.len().min(63);
    file_name[..length].copy_from_slice(&name.as_bytes()[..length]);
    let config = LoopConfig {
        fd: backing.as_raw_fd().unsigned_abs(),
        block_size: 0,
        info: LoopInfo64 {
            device: 0,
            inode: 0,
            rdevice: 0,
            offset: 0,
            sizelimit: 0,
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN,
            file_name,
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    };
    // SAFETY: both descriptors are open, and `config` has the layout of struct loop_config and outlives the call; the
    // kernel only reads it.
    result(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) }).map(drop)
}

/// Takes the file from behind a loop device. While others have it open it happens when the last one closes it.
pub(super) fn clear_loop(device: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open, and LOOP_CLR_FD takes no argument.
    result(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CLR_FD) }).map(drop)
}

fn partition(device: &File, op: libc::c_int, number: u32, start: u64, length: u64) -> io::Result<()> {
    let mut partition = BlkpgPartition {
        start: i64::try_from(start).map_err(io::Error::other)?,
        length: i64::try_from(length).map_err(io::Error::other)?,
        number: i32::try_from(number).map_err(io::Error::other)?,
        device_name: [0; 64],
        volume_name: [0; 64],
    };
    let argument = BlkpgArgument {
        op,
        flags: 0,
        // The size of the struct; the kernel does not look at it, but it is documented.
        length: size_of::<BlkpgPartition>() as libc::c_int,
        data: &raw mut partition,
    };
    // SAFETY: the descriptor is open; `argument` and the partition it points to have the layout of linux/blkpg.h and
    // outlive the call.
    result(unsafe { libc::ioctl(device.as_raw_fd(), BLKPG, &raw const argument) }).map(drop)
}

/// Tells the kernel of a partition, in bytes.
pub(super) fn add_partition(device: &File, number: u32, start: u64, length: u64) -> io::Result<()> {
    partition(device, BLKPG_ADD_PARTITION, number, start, length)
}

/// Makes the kernel forget a partition; EBUSY while it is in use.
pub(super) fn remove_partition(device: &File, number: u32) -> io::Result<()> {
    partition(device, BLKPG_DEL_PARTITION, number, 0, 0)
}
