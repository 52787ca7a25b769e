//! Reading a partition table: GPT, or MBR with its logical partitions.

use std::io::{Read, Seek, SeekFrom};

use gptman::{GPTHeader, GPTPartitionEntry};

use crate::{bytes, mbr};

pub use crate::partition::{Partition, Table, TableError, TableKind};

/// Reads the partition table; `None` if the disk has none. As for the kernel, a GPT needs a protective MBR, and the
/// boot sector of a file system is not a table.
///
/// # Errors
/// [`TableError`] if the disk can't be read or the table is invalid.
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

/// A valid GPT, from either of its copies.
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

/// Reads the first valid copy of the GPT, with both sector sizes.
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
    Err(first_error.unwrap_or(TableError::GptInvalid("the disk is too small for one")))
}

fn read_copy(
    disk: &mut (impl Read + Seek + ?Sized),
    sector_size: u64,
    lba: u64,
    length: u64,
) -> Result<Gpt, TableError> {
    disk.seek(SeekFrom::Start(lba.saturating_mul(sector_size))).map_err(TableError::Read)?;
    let header = GPTHeader::read_from(disk).map_err(TableError::Gpt)?;
    // gptman does not check these numbers: it allocates by the first one and multiplies the others.
    if header.number_of_partition_entries == 0 || header.number_of_partition_entries > 4096 {
        return Err(TableError::GptInvalid("its number of entries is not from 1 to 4096"));
    }
    if !(128..=4096).contains(&header.size_of_partition_entry) {
        return Err(TableError::GptInvalid("the size of an entry is not from 128 to 4096 bytes"));
    }
    if header.partition_entry_lba > length / sector_size {
        return Err(TableError::GptInvalid("its entries are beyond the end of the disk"));
    }
    let entries = header.read_partitions(disk, sector_size).map_err(TableError::Gpt)?;
    Ok(Gpt { header, entries, sector_size })
}

#[cfg(test)]
#[path = "table_tests.rs"]
pub(crate) mod tests;
