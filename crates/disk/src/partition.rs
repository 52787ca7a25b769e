//! Partition tables as data, whichever format they have on the disk.

use std::io;

/// A disk's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The format of the table.
    pub kind: TableKind,
    /// Bytes per sector of the table: 512 or 4096.
    pub sector_size: u64,
    /// The partitions, by number.
    pub partitions: Vec<Partition>,
}

/// The format of a partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// GUID partition table.
    Gpt,
    /// Master boot record.
    Mbr,
}

impl TableKind {
    /// Its usual name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gpt => "GPT",
            Self::Mbr => "MBR",
        }
    }
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1; an MBR's logical partitions begin at 5.
    pub number: u32,
    /// Where it begins, in bytes from the start of the disk.
    pub start: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// GPT: the type GUID, in lower case. MBR: the type byte, as `0x83`.
    pub type_id: String,
    /// GPT: the partition's name, if it has one.
    pub name: Option<String>,
    /// GPT: the partition's own GUID, in lower case.
    pub guid: Option<String>,
}

impl Partition {
    /// Whether it is the extended partition of an MBR: a container of logical ones, without content of its own.
    pub fn is_extended(&self) -> bool {
        matches!(self.type_id.as_str(), "0x05" | "0x0f" | "0x85")
    }

    /// The first byte after it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// A partition table can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The disk could not be read.
    #[error("reading the partition table")]
    Read(#[source] io::Error),
    /// There is a protective MBR, but neither copy of the GPT is valid.
    #[error("reading the GUID partition table (GPT)")]
    Gpt(#[source] gptman::Error),
    /// A GPT has more entries, or other ones, than any real one.
    #[error("the GUID partition table (GPT) is invalid: {0}")]
    GptInvalid(&'static str),
    /// The chain of logical partitions of an MBR is broken.
    #[error("the MBR's chain of logical partitions is broken at byte {at}")]
    MbrChain {
        /// Where the broken link is, in bytes.
        at: u64,
    },
}
