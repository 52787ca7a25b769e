//! The master boot record. Written here and not with the `mbrman` crate, which adds sector numbers from the disk
//! without a check and so panics (or, optimized, wraps) on a hostile chain. The tests compare the two.

use std::io::{Read, Seek};

use crate::{
    bytes::{le16, le32, read_at},
    partition::{Partition, TableError},
};

/// Bytes per sector of an MBR, on every disk of EC2.
pub(crate) const SECTOR: u64 = 512;
/// The type of the protective entry of a GPT.
pub(crate) const PROTECTIVE: u8 = 0xee;
/// Where the four entries begin.
pub(crate) const ENTRIES_AT: usize = 446;
/// The most logical partitions. A longer chain is an attack.
const MAX_LOGICAL: u32 = 256;

/// One of the four entries of a boot record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: u8,
    pub(crate) start: u32,
    pub(crate) sectors: u32,
}

impl Entry {
    pub(crate) fn is_empty(self) -> bool {
        self.kind == 0 || self.sectors == 0
    }

    pub(crate) fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
}

/// The four entries, or `None` if this sector is not a boot record with a table: it has no signature, invalid flags, or
/// is the boot sector of a FAT, exFAT or NTFS file system (the checks of the kernel's `block/partitions/msdos.c`).
pub(crate) fn entries(sector: &[u8; 512]) -> Option<[Entry; 4]> {
    if le16(sector, 510) != 0xaa55 {
        return None;
    }
    let flags_valid = (0..4).all(|i| matches!(sector[ENTRIES_AT + 16 * i], 0 | 0x80));
    let is_filesystem = matches!(&sector[3..11], b"NTFS    " | b"EXFAT   ")
        || &sector[82..87] == b"FAT32"
        || matches!(&sector[54..59], b"FAT12" | b"FAT16");
    (flags_valid && !is_filesystem).then(|| std::array::from_fn(|i| entry(sector, i)))
}

fn entry(sector: &[u8; 512], i: usize) -> Entry {
    let at = ENTRIES_AT + 16 * i;
    Entry { kind: sector[at + 4], start: le32(sector, at + 8), sectors: le32(sector, at + 12) }
}

/// All partitions: the primary ones, then the logical ones.
pub(crate) fn partitions(
    disk: &mut (impl Read + Seek + ?Sized),
    entries: &[Entry; 4],
) -> Result<Vec<Partition>, TableError> {
    let mut found: Vec<Partition> = (1u32..)
        .zip(entries)
        .filter(|(_, entry)| !entry.is_empty())
        .map(|(number, entry)| partition(number, u64::from(entry.start), *entry))
        .collect();
    if let Some(extended) = entries.iter().find(|entry| entry.is_extended() && !entry.is_empty()) {
        logical(disk, u64::from(extended.start), &mut found)?;
    }
    Ok(found)
}

fn logical(disk: &mut (impl Read + Seek + ?Sized), base: u64, found: &mut Vec<Partition>) -> Result<(), TableError> {
    let mut record = base;
    let mut number = 5;
    for link in 0..MAX_LOGICAL {
        let at = record * SECTOR;
        let sector = read_at::<512>(disk, at).map_err(TableError::Read)?;
        let Some(sector) = sector.filter(|sector| le16(sector, 510) == 0xaa55) else {
            // An empty extended partition need not have a first record.
            return if link == 0 { Ok(()) } else { Err(TableError::MbrChain { at }) };
        };
        let (here, next) = (entry(&sector, 0), entry(&sector, 1));
        if !here.is_empty() {
            found.push(partition(number, record + u64::from(here.start), here));
            number += 1;
        }
        if next.is_empty() {
            return Ok(());
        }
        let following = base + u64::from(next.start);
        if following <= record {
            return Err(TableError::MbrChain { at });
        }
        record = following;
    }
    Err(TableError::MbrChain { at: record * SECTOR })
}

fn partition(number: u32, start: u64, entry: Entry) -> Partition {
    Partition {
        number,
        start: start * SECTOR,
        length: u64::from(entry.sectors) * SECTOR,
        type_id: format!("0x{:02x}", entry.kind),
        name: None,
        guid: None,
    }
}
