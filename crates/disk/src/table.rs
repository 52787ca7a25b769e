//! Reading a partition table: GPT, or MBR with its logical partitions.

use std::io::{self, Read, Seek, SeekFrom};

use gptman::{GPTHeader, GPTPartitionEntry};

use crate::{bytes, mbr};

/// A disk's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Which format the table has.
    pub kind: TableKind,
    /// Bytes per sector that the table counts in: 512 or 4096.
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
    /// Whether it is an MBR's extended partition: a container for logical ones, with no content of its own.
    pub fn is_extended(&self) -> bool {
        matches!(self.type_id.as_str(), "0x05" | "0x0f" | "0x85")
    }

    /// The first byte after it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// A partition table that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The disk could not be read.
    #[error("reading the partition table")]
    Read(#[source] io::Error),
    /// A protective MBR says GPT, but neither copy of the GPT is sound.
    #[error("reading the GUID partition table (GPT)")]
    Gpt(#[source] gptman::Error),
    /// A GPT that speaks of more or other entries than any real one.
    #[error("the GUID partition table (GPT) is not sound: {0}")]
    GptNotSound(&'static str),
    /// An MBR's chain of logical partitions is broken.
    #[error("the MBR's chain of logical partitions is broken at byte {at}")]
    MbrChain {
        /// Where the broken link is, in bytes.
        at: u64,
    },
}

/// Reads the partition table; `None` if the disk has none. As for the kernel, a GPT counts only behind a protective
/// MBR, and a boot sector that belongs to a bare file system is no table.
///
/// # Errors
/// [`TableError`] if the disk can't be read or the table contradicts itself.
pub fn read(disk: &mut (impl Read + Seek + ?Sized)) -> Result<Option<Table>, TableError> {
    let Some(sector) = bytes::read_at::<512>(disk, 0).map_err(TableError::Read)? else {
        return Ok(None);
    };
    let Some(entries) = mbr::entries(&sector) else {
        return Ok(None);
    };
    if entries.iter().any(|entry| entry.kind == mbr::PROTECTIVE) {
        let gpt = read_gpt(disk)?;
        return Ok(Some(Table { kind: TableKind::Gpt, sector_size: gpt.sector_size, partitions: gpt.partitions() }));
    }
    if entries.iter().all(|entry| entry.is_empty()) && crate::probe::filesystem(disk).is_some() {
        return Ok(None);
    }
    let partitions = mbr::partitions(disk, &entries)?;
    Ok(Some(Table { kind: TableKind::Mbr, sector_size: mbr::SECTOR, partitions }))
}

/// A sound GPT, from either of its copies.
pub(crate) struct Gpt {
    pub(crate) header: GPTHeader,
    pub(crate) entries: Vec<GPTPartitionEntry>,
    pub(crate) sector_size: u64,
}

impl Gpt {
    fn partitions(&self) -> Vec<Partition> {
        (1u32..)
            .zip(&self.entries)
            .filter(|(_, entry)| entry.is_used() && entry.ending_lba >= entry.starting_lba)
            .map(|(number, entry)| {
                let name = entry.partition_name.as_str();
                let sectors = (entry.ending_lba - entry.starting_lba).saturating_add(1);
                Partition {
                    number,
                    start: entry.starting_lba.saturating_mul(self.sector_size),
                    length: sectors.saturating_mul(self.sector_size),
                    type_id: bytes::guid(&entry.partition_type_guid),
                    name: (!name.is_empty()).then(|| name.to_owned()),
                    guid: Some(bytes::guid(&entry.unique_partition_guid)),
                }
            })
            .collect()
    }
}

/// Reads whichever copy of the GPT is sound, the first one first, at both sector sizes.
pub(crate) fn read_gpt(disk: &mut (impl Read + Seek + ?Sized)) -> Result<Gpt, TableError> {
    let length = disk.seek(SeekFrom::End(0)).map_err(TableError::Read)?;
    let mut first_error = None;
    for sector_size in [512, 4096] {
        let backup = (length / sector_size).saturating_sub(1);
        for lba in [1, backup] {
            match read_copy(disk, sector_size, lba, length) {
                Ok(gpt) => return Ok(gpt),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
    }
    Err(first_error.unwrap_or(TableError::GptNotSound("the disk is too small for one")))
}

fn read_copy(
    disk: &mut (impl Read + Seek + ?Sized),
    sector_size: u64,
    lba: u64,
    length: u64,
) -> Result<Gpt, TableError> {
    disk.seek(SeekFrom::Start(lba.saturating_mul(sector_size))).map_err(TableError::Read)?;
    let header = GPTHeader::read_from(disk).map_err(TableError::Gpt)?;
    // gptman believes these numbers: it allocates by the first and multiplies the others.
    if header.number_of_partition_entries == 0 || header.number_of_partition_entries > 4096 {
        return Err(TableError::GptNotSound("its number of entries is not from 1 to 4096"));
    }
    if !(128..=4096).contains(&header.size_of_partition_entry) {
        return Err(TableError::GptNotSound("the size of an entry is not from 128 to 4096 bytes"));
    }
    if header.partition_entry_lba > length / sector_size {
        return Err(TableError::GptNotSound("its entries lie beyond the end of the disk"));
    }
    let entries = header.read_partitions(disk, sector_size).map_err(TableError::Gpt)?;
    Ok(Gpt { header, entries, sector_size })
}

#[cfg(test)]
#[path = "table_tests.rs"]
pub(crate) mod tests;
