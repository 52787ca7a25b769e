//! Structures and numbers of the kernel's headers that neither libc nor nix has: linux/loop.h and linux/blkpg.h. The
//! ioctl calls are in the packages that may have unsafe code.

use std::{
    ffi::{c_int, c_longlong},
    io,
};

/// Detaches the file of a loop device.
pub const LOOP_CLR_FD: u32 = 0x4C01;
/// Reads a loop device's [`LoopInfo64`].
pub const LOOP_GET_STATUS64: u32 = 0x4C05;
/// Attaches a file to a loop device, as a [`LoopConfig`] says.
pub const LOOP_CONFIGURE: u32 = 0x4C0A;
/// Asks `/dev/loop-control` for the number of a free loop device.
pub const LOOP_CTL_GET_FREE: u32 = 0x4C82;
/// The loop device detaches its file when its last user is gone.
pub const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// The kernel reads the partition table of the loop device.
pub const LO_FLAGS_PARTSCAN: u32 = 8;

/// Changes the kernel's partitions of a disk, as a [`BlkpgArgument`] says.
pub const BLKPG: u32 = 0x1269;
/// Adds a partition.
pub const BLKPG_ADD_PARTITION: c_int = 1;
/// Removes a partition.
pub const BLKPG_DEL_PARTITION: c_int = 2;
/// Changes a partition's length.
pub const BLKPG_RESIZE_PARTITION: c_int = 3;

/// `struct loop_info64`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LoopInfo64 {
    /// The number of the device with the file system that the file lies on.
    pub device: u64,
    /// The file's inode.
    pub inode: u64,
    /// The file's own number if it is a device, else 0.
    pub rdevice: u64,
    /// Where the content begins in the file.
    pub offset: u64,
    /// The most bytes of the file; 0: all.
    pub sizelimit: u64,
    /// The loop device's number.
    pub number: u32,
    /// Obsolete.
    pub encrypt_type: u32,
    /// Obsolete.
    pub encrypt_key_size: u32,
    /// `LO_FLAGS_…`.
    pub flags: u32,
    /// The file's name as it is shown, closed by a zero.
    pub file_name: [u8; 64],
    /// Obsolete.
    pub crypt_name: [u8; 64],
    /// Obsolete.
    pub encrypt_key: [u8; 32],
    /// Obsolete.
    pub init: [u64; 2],
}

impl LoopInfo64 {
    /// All zero.
    pub const ZERO: Self = Self {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        sizelimit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: 0,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
}

/// `struct loop_config`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct LoopConfig {
    /// The descriptor of the file.
    pub fd: u32,
    /// Bytes per block; 0: 512.
    pub block_size: u32,
    /// Everything else.
    pub info: LoopInfo64,
    /// Zero.
    pub reserved: [u64; 8],
}

/// `struct blkpg_partition`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct BlkpgPartition {
    start: c_longlong,
    length: c_longlong,
    number: c_int,
    device_name: [u8; 64],
    volume_name: [u8; 64],
}

impl BlkpgPartition {
    /// The partition of this number; start and length in bytes.
    ///
    /// # Errors
    /// One of them is too large for the kernel.
    pub fn new(number: u32, start: u64, length: u64) -> io::Result<Self> {
        Ok(Self {
            start: start.try_into().map_err(io::Error::other)?,
            length: length.try_into().map_err(io::Error::other)?,
            number: number.try_into().map_err(io::Error::other)?,
            device_name: [0; 64],
            volume_name: [0; 64],
        })
    }
}

/// `struct blkpg_ioctl_arg`. It holds a pointer, so it must not outlive the partition.
#[derive(Debug)]
#[repr(C)]
pub struct BlkpgArgument {
    op: c_int,
    flags: c_int,
    length: c_int,
    data: *mut BlkpgPartition,
}

impl BlkpgArgument {
    /// Does `op` (`BLKPG_…_PARTITION`) to a partition.
    pub fn new(op: c_int, partition: &mut BlkpgPartition) -> Self {
        // The kernel does not look at the length, but it is documented.
        Self { op, flags: 0, length: size_of::<BlkpgPartition>() as c_int, data: partition }
    }
}
