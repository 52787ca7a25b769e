//! Growing a partition to the end of its disk, for a volume that is larger than its snapshot.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::{
    Table, TableError, TableKind,
    bytes::read_at,
    mbr,
    table::{self, Gpt},
};

/// How a partition was grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Its number.
    pub number: u32,
    /// Where it begins, in bytes.
    pub start: u64,
    /// Its length before, in bytes.
    pub before: u64,
    /// Its length now, in bytes.
    pub after: u64,
}

/// A partition can't be grown.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// The table could not be read.
    #[error("reading the table before growing partition {number}")]
    Table {
        /// The partition.
        number: u32,
        /// Why.
        #[source]
        source: TableError,
    },
    /// No such partition.
    #[error("there is no partition {0} to grow")]
    NoPartition(u32),
    /// Another partition is between it and the end of the disk.
    #[error("partition {number} can't grow: partition {behind} is behind it")]
    NotLast {
        /// The partition.
        number: u32,
        /// The other one.
        behind: u32,
    },
    /// The new table could not be written.
    #[error("writing the table for the larger partition {number}")]
    Write {
        /// The partition.
        number: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The new GPT was refused.
    #[error("writing the GPT for the larger partition {number}")]
    WriteGpt {
        /// The partition.
        number: u32,
        /// Why.
        #[source]
        source: gptman::Error,
    },
}

/// Grows partition `number` to the end of the disk; `None` if it already ends there (to within 1 MiB, the usual
/// alignment). A GPT's second copy moves to the new end. The caller must update the kernel's partitions.
///
/// # Errors
/// [`GrowError`]. Nothing was written unless it is one of the two write errors.
pub fn grow_partition(
    disk: &mut (impl Read + Write + Seek + ?Sized),
    number: u32,
) -> Result<Option<Growth>, GrowError> {
    let table = table::read(disk)
        .map_err(|source| GrowError::Table { number, source })?
        .ok_or(GrowError::NoPartition(number))?;
    let partition =
        table.partitions.iter().find(|partition| partition.number == number).ok_or(GrowError::NoPartition(number))?;
    if let Some(behind) = table.partitions.iter().find(|other| other.start > partition.start && !other.is_extended()) {
        return Err(GrowError::NotLast { number, behind: behind.number });
    }
    let growth = Growth { number, start: partition.start, before: partition.length, after: partition.length };
    match table.kind {
        TableKind::Gpt => grow_gpt(disk, growth),
        TableKind::Mbr => grow_mbr(disk, growth, &table),
    }
}

/// The growth to `limit`, if that gains at least 1 MiB.
fn growth_to(growth: Growth, limit: u64) -> Option<Growth> {
    const MIB: u64 = 1 << 20;
    let after = limit.checked_sub(growth.start)?;
    (after >= growth.before + MIB).then_some(Growth { after, ..growth })
}

fn grow_gpt(disk: &mut (impl Read + Write + Seek + ?Sized), growth: Growth) -> Result<Option<Growth>, GrowError> {
    let number = growth.number;
    let write = |source| GrowError::Write { number, source };
    let Gpt { mut header, mut entries, sector_size } =
        table::read_gpt(disk).map_err(|source| GrowError::Table { number, source })?;
    let sectors = disk.seek(SeekFrom::End(0)).map_err(write)? / sector_size;
    let array = u64::from(header.number_of_partition_entries) * u64::from(header.size_of_partition_entry);
    let array_sectors = array.div_ceil(sector_size);
    // The second copy has its entries first and its header in the last sector.
    let Some(last_usable) = sectors.checked_sub(array_sectors + 2) else {
        return Ok(None);
    };
    // 4 KiB steps, so that a file system's blocks fit whatever the sector size.
    let limit = (last_usable + 1) * sector_size / 4096 * 4096;
    let Some(growth) = growth_to(growth, limit) else {
        return Ok(None);
    };

    if let Some(entry) = entries.get_mut(number as usize - 1) {
        entry.ending_lba = (growth.start + growth.after) / sector_size - 1;
    }
    // The header is that of the first copy, also if only the second one was valid.
    if !header.is_primary() {
        header.partition_entry_lba = 2;
    }
    header.primary_lba = 1;
    header.backup_lba = sectors - 1;
    header.last_usable_lba = last_usable;
    let mut backup = header.clone();
    backup.primary_lba = header.backup_lba;
    backup.backup_lba = header.primary_lba;
    backup.partition_entry_lba = last_usable + 1;
    // The second copy first: after a power loss in between, one of them is valid.
    for copy in [&mut backup, &mut header] {
        copy.write_into(disk, sector_size, &entries).map_err(|source| GrowError::WriteGpt { number, source })?;
    }
    widen_protective(disk, sectors).map_err(write)?;
    disk.flush().map_err(write)?;
    Ok(Some(growth))
}

/// Extends the protective entry to the new size of the disk. The boot code and hybrid entries stay.
fn widen_protective(disk: &mut (impl Read + Write + Seek + ?Sized), sectors: u64) -> io::Result<()> {
    let Some(sector) = read_at::<512>(disk, 0)? else {
        return Ok(());
    };
    let Some(entries) = mbr::entries(&sector) else {
        return Ok(());
    };
    let used = entries.iter().filter(|entry| !entry.is_empty()).count();
    if let Some(place) = entries.iter().position(|entry| entry.kind == mbr::PROTECTIVE)
        && used == 1
    {
        let size = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
        write_sectors(disk, 0, place, size)?;
    }
    Ok(())
}

fn grow_mbr(
    disk: &mut (impl Read + Write + Seek + ?Sized),
    growth: Growth,
    table: &Table,
) -> Result<Option<Growth>, GrowError> {
    let number = growth.number;
    let write = |source| GrowError::Write { number, source };
    let extended = table.partitions.iter().find(|partition| partition.is_extended());
    if number > 4 {
        // Its container and the record before it would have to grow, too.
        let behind = extended.map_or(number, |partition| partition.number);
        return Err(GrowError::NotLast { number, behind });
    }
    let length = disk.seek(SeekFrom::End(0)).map_err(write)?;
    // The number of sectors has 32 bits: an MBR reaches to 2 TiB.
    let most = growth.start + u64::from(u32::MAX) * mbr::SECTOR;
    let limit = length.min(most) / 4096 * 4096;
    let Some(growth) = growth_to(growth, limit) else {
        return Ok(None);
    };
    let sectors = u32::try_from(growth.after / mbr::SECTOR).unwrap_or(u32::MAX);
    write_sectors(disk, 0, number as usize - 1, sectors).map_err(write)?;
    disk.flush().map_err(write)?;
    Ok(Some(growth))
}

/// Writes an entry's number of sectors, and the highest CHS address as its end, which is not used any more.
fn write_sectors(disk: &mut (impl Write + Seek + ?Sized), record: u64, place: usize, sectors: u32) -> io::Result<()> {
    let entry = record + mbr::ENTRIES_AT as u64 + 16 * place as u64;
    disk.seek(SeekFrom::Start(entry + 5))?;
    disk.write_all(&[0xfe, 0xff, 0xff])?;
    disk.seek(SeekFrom::Start(entry + 12))?;
    disk.write_all(&sectors.to_le_bytes())
}

#[cfg(test)]
#[path = "grow_tests.rs"]
mod tests;
