//! The choice of the root for tables and file systems as real images have them.

use super::*;
use bakehouse_disk::TableKind;

const LINUX: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

fn fs(kind: &'static str, label: &str) -> Option<Filesystem> {
    Some(Filesystem { kind, label: (!label.is_empty()).then(|| label.to_owned()), uuid: None })
}

fn disk(partitions: &[(u32, &str, Option<Filesystem>)]) -> DiskContents {
    let partition = |(number, type_id, _): &(u32, &str, Option<Filesystem>)| Partition {
        number: *number,
        start: 1 << 20,
        length: 100 << 20,
        type_id: (*type_id).to_owned(),
        name: None,
        guid: None,
    };
    DiskContents {
        table: Some(Table {
            kind: TableKind::Gpt,
            sector_size: 512,
            partitions: partitions.iter().map(partition).collect(),
        }),
        whole: None,
        partitions: partitions.iter().map(|p| p.2.clone()).collect(),
    }
}

fn bare(content: Option<Filesystem>) -> DiskContents {
    DiskContents { whole: content, ..DiskContents::default() }
}

fn choose_hvm(disk: &DiskContents, requested: Option<MountPartition>) -> Result<Option<u32>, String> {
    choose(disk, requested, Virtualization::Hvm).map(|choice| choice.partition).map_err(|error| error.to_string())
}

#[test]
fn gpt_types_come_before_labels_and_a_single_file_system() {
    let typed = disk(&[(1, LINUX, fs("ext4", "root")), (2, ROOT_TYPES[1], fs("xfs", "data"))]);
    assert_eq!(choose_hvm(&typed, None), Ok(Some(2)));
    let ubuntu = disk(&[
        (14, "x", None),
        (15, "x", fs("vfat", "UEFI")),
        (16, LINUX, fs("ext4", "BOOT")),
        (1, LINUX, fs("ext4", "cloudimg-rootfs")),
    ]);
    assert_eq!(choose_hvm(&ubuntu, None), Ok(Some(1)));
    let alone = disk(&[(1, "x", fs("vfat", "")), (9, LINUX, fs("xfs", ""))]);
    assert_eq!(choose_hvm(&alone, None), Ok(Some(9)));
}

#[test]
fn an_unclear_choice_lists_the_partitions() {
    let two = disk(&[(1, LINUX, fs("ext4", "a")), (2, LINUX, fs("btrfs", "")), (3, LINUX, None)]);
    assert_eq!(
        choose_hvm(&two, None).unwrap_err(),
        "it is not clear which partition is the root; GPT table: 1: 100 MiB ext4 \"a\"; 2: 100 MiB btrfs; 3: 100 MiB \
         no file system"
    );
    assert_eq!(choose_hvm(&two, Some(MountPartition::Number(2))), Ok(Some(2)));
    assert!(
        choose_hvm(&two, Some(MountPartition::Number(3)))
            .unwrap_err()
            .starts_with("there is no file system on partition 3")
    );
    assert!(choose_hvm(&two, Some(MountPartition::Number(7))).unwrap_err().starts_with("there is no partition 7"));
    assert!(
        choose_hvm(&two, Some(MountPartition::WholeDisk))
            .unwrap_err()
            .starts_with("there is no file system on the disk")
    );
}

#[test]
fn a_disk_without_a_table_is_the_root() {
    assert_eq!(choose_hvm(&bare(fs("xfs", "")), None), Ok(None));
    assert_eq!(
        choose_hvm(&bare(None), None).unwrap_err(),
        "there is no file system on the disk; no partition table; the disk holds nothing known"
    );
    let typed = DiskContents { whole: fs("ext3", ""), ..disk(&[(1, LINUX, fs("ext4", "root"))]) };
    assert_eq!(choose(&typed, Some(MountPartition::Number(1)), Virtualization::Paravirtual).unwrap().partition, None);
}

#[test]
fn lvm_and_luks_are_named_in_the_error() {
    assert!(choose_hvm(&bare(fs("crypto_LUKS", "")), None).unwrap_err().starts_with("the disk holds crypto_LUKS"));
    let lvm = disk(&[(1, "x", fs("vfat", "")), (2, LINUX, fs("LVM2_member", ""))]);
    assert!(choose_hvm(&lvm, None).unwrap_err().starts_with("partition 2 holds LVM2_member"));
}
