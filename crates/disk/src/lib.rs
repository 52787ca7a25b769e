//! What is on a disk: its partition table ([`table`]), the file systems in it ([`probe`]), and making a partition
//! reach to the end of a disk that grew ([`grow`]).
//!
//! Everything works on any `Read + Seek`, so it is tested on bytes in memory. What is read may come from a stranger's
//! image: sizes are checked before they are believed, and no input makes it panic.

mod bytes;
pub mod grow;
mod mbr;
mod partition;
pub mod probe;
pub mod table;

pub use grow::{Growth, grow_partition};
pub use probe::Filesystem;
pub use table::{Partition, Table, TableError, TableKind};
