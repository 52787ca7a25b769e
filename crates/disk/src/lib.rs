//! The content of a disk: its partition table ([`table`]), the file systems in it ([`probe`]), and growing a partition
//! to the end of the disk ([`grow`]). These work on any `Read + Seek`, so they are tested on bytes in memory. The input
//! may be an untrusted image: sizes are checked before they are used, and no input causes a panic.
//!
//! Linux's view of a disk: its partitions and whether it is in use ([`kernel`]), mount tables ([`mountinfo`]), the
//! processes that see a mount ([`proc`]), the structures of its ioctls ([`uapi`]).
//!
//! [`file`](mod@file) replaces files so that a crash leaves the old content or the new one.

mod bytes;
pub mod file;
pub mod grow;
pub mod kernel;
mod mbr;
pub mod mountinfo;
mod partition;
pub mod probe;
pub mod proc;
pub mod table;
pub mod uapi;

pub use grow::{Growth, grow_partition};
pub use probe::Filesystem;
pub use table::{Partition, Table, TableError, TableKind};
