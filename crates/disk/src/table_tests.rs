use super::*;
use proptest::prelude::*;
use std::io::Cursor;

const MIB: u64 = 1 << 20;

pub(crate) fn gpt_disk(mib: u64, partitions: &[(u64, u64, [u8; 16], &str)]) -> Cursor<Vec<u8>> {
    let mut disk = Cursor::new(vec![0; (mib * MIB) as usize]);
    gptman::GPT::write_protective_mbr_into(&mut disk, 512).unwrap();
    let mut gpt = gptman::GPT::new_from(&mut disk, 512, [7; 16]).unwrap();
    for (i, (start, length, kind, name)) in (1u8..).zip(partitions) {
        gpt[u32::from(i)] = gptman::GPTPartitionEntry {
            partition_type_guid: *kind,
            unique_partition_guid: [i; 16],
            starting_lba: start * 2048,
            ending_lba: (start + length) * 2048 - 1,
            attribute_bits: 0,
            partition_name: (*name).into(),
        };
    }
    gpt.write_into(&mut disk).unwrap();
    disk
}

#[test]
fn gpt_partitions_have_type_and_name() {
    // 0fc63daf-8483-4772-8e79-3d69d8477de4 as it lies on disk
    let linux = [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];
    let mut disk = gpt_disk(16, &[(1, 2, [3; 16], "boot"), (4, 8, linux, "")]);
    let table = read(&mut disk).unwrap().unwrap();
    assert_eq!((table.kind, table.sector_size), (TableKind::Gpt, 512));
    let [boot, root] = &table.partitions[..] else { panic!("{table:?}") };
    assert_eq!((boot.number, boot.start, boot.length), (1, MIB, 2 * MIB));
    assert_eq!(boot.name.as_deref(), Some("boot"));
    assert_eq!((root.number, root.start, root.end()), (2, 4 * MIB, 12 * MIB));
    assert_eq!(root.type_id, "0fc63daf-8483-4772-8e79-3d69d8477de4");
    assert_eq!(root.name, None);
}

#[test]
fn the_second_gpt_is_read_if_the_first_is_broken() {
    let mut disk = gpt_disk(16, &[(1, 2, [3; 16], "boot")]);
    let valid = read(&mut disk).unwrap();
    disk.get_mut()[512 + 20] ^= 1;
    assert_eq!(read(&mut disk).unwrap(), valid);
    let end = disk.get_ref().len() - 512;
    disk.get_mut()[end + 20] ^= 1;
    assert!(matches!(read(&mut disk), Err(TableError::Gpt(_))));
}

#[test]
fn a_gpt_without_its_protective_mbr_is_none() {
    let mut disk = gpt_disk(16, &[(1, 2, [3; 16], "boot")]);
    disk.get_mut()[..512].fill(0);
    assert_eq!(read(&mut disk).unwrap(), None);
}

pub(crate) fn mbr_disk() -> Cursor<Vec<u8>> {
    let mut disk = Cursor::new(vec![0; 32 << 20]);
    let mut mbr = mbrman::MBR::new_from(&mut disk, 512, [1, 2, 3, 4]).unwrap();
    let entry = |sys, starting_lba, sectors| mbrman::MBRPartitionEntry {
        boot: mbrman::BOOT_INACTIVE,
        first_chs: mbrman::CHS::empty(),
        sys,
        last_chs: mbrman::CHS::empty(),
        starting_lba,
        sectors,
    };
    mbr[1] = entry(0x83, 2048, 4096);
    mbr[2] = entry(0x05, 8192, 40_960);
    mbr.write_into(&mut disk).unwrap();
    // The chain: each record has its partition, relative to itself, and its successor, relative to the container.
    let bytes = disk.get_mut();
    for (record, place, sys, start, sectors) in
        [(8192, 0, 0x83, 2048u32, 4096u32), (8192, 1, 5, 10_240, 4096), (18_432, 0, 0x82, 2048, 2048)]
    {
        let entry = record * 512 + 446 + 16 * place;
        bytes[entry + 4] = sys;
        bytes[entry + 8..entry + 12].copy_from_slice(&start.to_le_bytes());
        bytes[entry + 12..entry + 16].copy_from_slice(&sectors.to_le_bytes());
        bytes[record * 512 + 510..record * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
    }
    disk
}

#[test]
fn mbr_logical_partitions_agree_with_mbrman() {
    let mut disk = mbr_disk();
    let ours = read(&mut disk).unwrap().unwrap();
    let theirs = mbrman::MBR::read_from(&mut disk, 512).unwrap();
    assert_eq!(ours.kind, TableKind::Mbr);
    let ours: Vec<_> = ours.partitions.iter().map(|p| (p.number, p.start, p.length, p.type_id.clone())).collect();
    let theirs: Vec<_> = theirs
        .iter()
        .filter(|(_, p)| p.is_used())
        .map(|(i, p)| {
            (i as u32, u64::from(p.starting_lba) * 512, u64::from(p.sectors) * 512, format!("0x{:02x}", p.sys))
        })
        .collect();
    assert_eq!(ours, theirs);
    assert_eq!(ours.len(), 4);
}

#[test]
fn a_file_system_is_not_a_table() {
    let mut fat = vec![0u8; 1 << 16];
    fat[510..512].copy_from_slice(&[0x55, 0xaa]);
    fat[54..62].copy_from_slice(b"FAT16   ");
    assert_eq!(read(&mut Cursor::new(fat)).unwrap(), None);
    let mut ext = vec![0u8; 1 << 16];
    ext[510..512].copy_from_slice(&[0x55, 0xaa]);
    ext[1080..1082].copy_from_slice(&[0x53, 0xef]);
    assert_eq!(read(&mut Cursor::new(ext)).unwrap(), None);
    assert_eq!(read(&mut Cursor::new(vec![0u8; 1 << 16])).unwrap(), None);
    assert_eq!(read(&mut Cursor::new(vec![])).unwrap(), None);
}

#[test]
fn a_chain_that_goes_back_is_an_error() {
    let mut disk = mbr_disk();
    let second = 18_432 * 512;
    // The first record becomes the successor of the last one.
    let entry = &mut disk.get_mut()[second + 462..second + 478];
    entry[4] = 5;
    entry[12] = 1;
    assert!(matches!(read(&mut disk), Err(TableError::MbrChain { .. })));
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(entries in proptest::collection::vec(any::<u8>(), 64), rest in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let mut disk = vec![0; 446];
        disk.extend(entries);
        for flag in [446, 462, 478, 494] {
            disk[flag] &= 0x80;
        }
        disk.extend([0x55, 0xaa]);
        disk.extend(rest);
        let _ = read(&mut Cursor::new(disk));
    }

    #[test]
    fn random_chains_do_not_panic(start in 1u32..8, chain in proptest::collection::vec(any::<u8>(), 32 * 8)) {
        let mut disk = vec![0; 16 * 512];
        disk[446 + 4] = 5;
        disk[446 + 8..446 + 12].copy_from_slice(&start.to_le_bytes());
        disk[446 + 12] = 1;
        for (sector, entry) in disk.chunks_mut(512).zip(std::iter::once(&[][..]).chain(chain.chunks(32))) {
            if !entry.is_empty() {
                sector[446..478].copy_from_slice(entry);
            }
            sector[510..].copy_from_slice(&[0x55, 0xaa]);
        }
        let _ = read(&mut Cursor::new(disk));
    }
}
