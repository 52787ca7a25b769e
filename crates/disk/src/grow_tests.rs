use super::*;
use crate::table::tests::{gpt_disk, mbr_disk};

const MIB: u64 = 1 << 20;

#[test]
fn the_last_gpt_partition_grows_and_the_second_copy_moves() {
    let mut disk = gpt_disk(16, &[(8, 7, [3; 16], "root"), (1, 1, [4; 16], "boot")]);
    let old_end = disk.get_ref().len();
    disk.get_mut().resize(64 << 20, 0);
    let growth = grow_partition(&mut disk, 1).unwrap().unwrap();
    assert_eq!((growth.start, growth.before), (8 * MIB, 7 * MIB));
    assert_eq!((growth.start + growth.after) % 4096, 0);
    assert!(growth.start + growth.after > 64 * MIB - 64 * 1024);
    let first = table::read(&mut disk).unwrap().unwrap();
    assert_eq!(first.partitions[0].length, growth.after);
    assert_eq!(first.partitions[0].name.as_deref(), Some("root"));
    // The second copy at the new end is valid by itself.
    let mut without_first = disk.clone();
    without_first.get_mut()[512..1024].fill(0);
    assert_eq!(table::read(&mut without_first).unwrap().unwrap(), first);
    // gptman, which checks bounds strictly, accepts it, too.
    let gpt = gptman::GPT::find_from(&mut disk).unwrap();
    assert!(gpt[1].ending_lba <= gpt.header.last_usable_lba);
    assert_eq!(&disk.get_ref()[446 + 12..450 + 12], &((64u32 << 11) - 1).to_le_bytes());
    assert!(old_end < disk.get_ref().len());
    assert_eq!(grow_partition(&mut disk, 1).unwrap(), None);
}

#[test]
fn a_partition_with_another_behind_it_does_not_grow() {
    let mut disk = gpt_disk(16, &[(1, 2, [3; 16], ""), (4, 8, [4; 16], "")]);
    disk.get_mut().resize(64 << 20, 0);
    let before = disk.get_ref().clone();
    let error = grow_partition(&mut disk, 1).unwrap_err();
    assert_eq!(error.to_string(), "partition 1 can't grow: partition 2 is behind it");
    assert!(matches!(grow_partition(&mut disk, 9), Err(GrowError::NoPartition(9))));
    assert!(*disk.get_ref() == before);
}

#[test]
fn the_last_mbr_partition_grows() {
    let mut disk = mbr_disk();
    assert!(matches!(grow_partition(&mut disk, 1), Err(GrowError::NotLast { number: 1, behind: 5 })));
    // Without the extended partition, the first is the last.
    disk.get_mut()[446 + 16..446 + 32].fill(0);
    let growth = grow_partition(&mut disk, 1).unwrap().unwrap();
    assert_eq!((growth.start, growth.after), (MIB, 31 * MIB));
    let theirs = mbrman::MBR::read_from(&mut disk, 512).unwrap();
    assert_eq!(theirs[1].sectors, 31 * 2048);
    assert_eq!(grow_partition(&mut disk, 1).unwrap(), None);
}
