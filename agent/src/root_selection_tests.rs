use super::*;
use bakehouse_disk::TableKind;

const LINUX: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

fn fs(kind: &'static str, label: &str) -> Option<Filesystem> {
    Some(Filesystem { kind, label: (!label.is_empty()).then(|| label.to_owned()), uuid: None })
}

fn disk(partitions: &[(u32, &str, Option<Filesystem>)]) -> Seen {
    let partition = |(number, type_id, _): &(u32, &str, Option<Filesystem>)| Partition {
        number: *number,
        start: 1 << 20,
        length: 100 << 20,
        type_id: (*type_id).to_owned(),
        name: None,
        guid: None,
    };
    Seen {
        table: Some(Table {
            kind: TableKind::Gpt,
            sector_size: 512,
            partitions: partitions.iter().map(partition).collect(),
        }),
        whole: None,
        contents: partitions.iter().map(|p| p.2.clone()).collect(),
    }
}

fn bare(content: Option<Filesystem>) -> Seen {
    Seen { whole: content, ..Seen::default() }
}

fn hvm(seen: &Seen, asked: Option<MountPartition>) -> Result<Option<u32>, String> {
    root(seen, asked, Virtualization::Hvm).map(|choice| choice.partition).map_err(|fault| fault.to_string())
}

#[test]
fn the_type_beats_the_label_beats_being_alone() {
    let typed = disk(&[(1, LINUX, fs("ext4", "root")), (2, ROOT_TYPES[1], fs("xfs", "data"))]);
    assert_eq!(hvm(&typed, None), Ok(Some(2)));
    let ubuntu = disk(&[
        (14, "x", None),
        (15, "x", fs("vfat", "UEFI")),
        (16, LINUX, fs("ext4", "BOOT")),
        (1, LINUX, fs("ext4", "cloudimg-rootfs")),
    ]);
    assert_eq!(hvm(&ubuntu, None), Ok(Some(1)));
    let alone = disk(&[(1, "x", fs("vfat", "")), (9, LINUX, fs("xfs", ""))]);
    assert_eq!(hvm(&alone, None), Ok(Some(9)));
}

#[test]
fn when_unclear_it_lists_what_is_there() {
    let two = disk(&[(1, LINUX, fs("ext4", "a")), (2, LINUX, fs("btrfs", "")), (3, LINUX, None)]);
    assert_eq!(
        hvm(&two, None).unwrap_err(),
        "it is not clear which partition is the root; GPT table: 1: 100.0 MiB ext4 \"a\"; 2: 100.0 MiB btrfs; 3: \
         100.0 MiB no file system"
    );
    assert_eq!(hvm(&two, Some(MountPartition::Number(2))), Ok(Some(2)));
    assert!(
        hvm(&two, Some(MountPartition::Number(3))).unwrap_err().starts_with("there is no file system on partition 3")
    );
    assert!(hvm(&two, Some(MountPartition::Number(7))).unwrap_err().starts_with("there is no partition 7"));
    assert!(hvm(&two, Some(MountPartition::WholeDisk)).unwrap_err().starts_with("there is no file system on the disk"));
}

#[test]
fn a_disk_without_a_table_is_the_root_itself() {
    assert_eq!(hvm(&bare(fs("xfs", "")), None), Ok(None));
    assert_eq!(
        hvm(&bare(None), None).unwrap_err(),
        "there is no file system on the disk; no partition table; the disk holds nothing known"
    );
    let typed = Seen { whole: fs("ext3", ""), ..disk(&[(1, LINUX, fs("ext4", "root"))]) };
    assert_eq!(root(&typed, Some(MountPartition::Number(1)), Virtualization::Paravirtual).unwrap().partition, None);
}

#[test]
fn containers_are_named() {
    assert!(hvm(&bare(fs("crypto_LUKS", "")), None).unwrap_err().starts_with("the disk holds crypto_LUKS"));
    let lvm = disk(&[(1, "x", fs("vfat", "")), (2, LINUX, fs("LVM2_member", ""))]);
    assert!(hvm(&lvm, None).unwrap_err().starts_with("partition 2 holds LVM2_member"));
}
