//! Which file system (or other content) a disk or partition has, by its superblock. The offsets of the magic numbers
//! are those of util-linux's libblkid, and so are the names of the kinds.

use std::io::{Read, Seek};

use crate::bytes::{le32, read_at, uuid};

/// A superblock that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// `ext2`, `ext3`, `ext4`, `xfs`, `btrfs`, `f2fs`, `vfat`, `exfat`, `ntfs`, `squashfs`, `erofs`, `iso9660`, `swap`,
    /// `LVM2_member`, `crypto_LUKS` or `linux_raid_member`.
    pub kind: &'static str,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// Its UUID, or what the format has instead, if it has one.
    pub uuid: Option<String>,
}

impl Filesystem {
    /// Whether a Linux root can be on such a file system.
    pub fn is_linux_root_kind(&self) -> bool {
        matches!(self.kind, "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "f2fs" | "squashfs" | "erofs")
    }
}

/// Probes a disk or partition; `None` if its content is unknown or can't be read.
pub fn filesystem(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    // Containers first: the superblock of their content may be visible.
    luks(disk)
        .or_else(|| lvm(disk))
        .or_else(|| raid(disk))
        .or_else(|| xfs(disk))
        .or_else(|| btrfs(disk))
        .or_else(|| ext(disk))
        .or_else(|| kind_only(disk))
        .or_else(|| swap(disk))
        .or_else(|| fat(disk))
}

fn at<const N: usize>(disk: &mut (impl Read + Seek + ?Sized), offset: u64) -> Option<[u8; N]> {
    read_at(disk, offset).ok().flatten()
}

fn found(kind: &'static str, label: &[u8], id: Option<String>) -> Option<Filesystem> {
    let end = label.iter().position(|&b| b == 0).unwrap_or(label.len());
    let label = String::from_utf8_lossy(&label[..end]).trim_end().to_owned();
    Some(Filesystem { kind, label: (!label.is_empty()).then_some(label), uuid: id })
}

/// The UUID in 16 bytes of a superblock, unless it is all zero.
fn id(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    (bytes != &[0; 16]).then(|| uuid(bytes))
}

fn text(bytes: &[u8]) -> Option<String> {
    let text: String = bytes.iter().take_while(|&&b| b != 0).map(|&b| char::from(b)).collect();
    (!text.is_empty() && text.is_ascii()).then_some(text)
}

fn luks(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    let head = at::<208>(disk, 0)?;
    if &head[..6] != b"LUKS\xba\xbe" {
        return None;
    }
    // LUKS1 has the name of a cipher where LUKS2 has its label.
    let label = if head[7] == 2 { &head[24..72] } else { &[][..] };
    found("crypto_LUKS", label, text(&head[168..208]))
}

fn lvm(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    let head = at::<2048>(disk, 0)?;
    let label = head.chunks(512).find(|s| s.starts_with(b"LABELONE") && &s[24..32] == b"LVM2 001");
    label.and_then(|_| found("LVM2_member", &[], None))
}

fn raid(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    // Versions 1.1 and 1.2. Versions 1.0 and 0.9 are at the end, so that the content can be read without them.
    for offset in [0, 4096] {
        if let Some(head) = at::<64>(disk, offset)
            && le32(&head, 0) == 0xa92b_4efc
            && le32(&head, 4) == 1
        {
            return found("linux_raid_member", &head[32..64], id(&head[16..32]));
        }
    }
    None
}

fn xfs(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    let head = at::<120>(disk, 0)?;
    if &head[..4] != b"XFSB" {
        return None;
    }
    found("xfs", &head[108..120], id(&head[32..48]))
}

fn btrfs(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    let head = at::<555>(disk, 0x1_0000)?;
    if &head[64..72] != b"_BHRfS_M" {
        return None;
    }
    found("btrfs", &head[299..555], id(&head[32..48]))
}

fn ext(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    let head = at::<136>(disk, 1024)?;
    if head[56..58] != [0x53, 0xef] {
        return None;
    }
    let (compat, incompat, ro_compat) = (le32(&head, 92), le32(&head, 96), le32(&head, 100));
    // The features of ext3: incompat filetype, recover, meta_bg; ro_compat sparse_super, large_file, btree_dir.
    let kind = if incompat & !0x16 != 0 || ro_compat & !0x7 != 0 {
        "ext4"
    } else if compat & 0x4 != 0 {
        "ext3"
    } else {
        "ext2"
    };
    found(kind, &head[120..136], id(&head[104..120]))
}

/// Formats of which only the kind matters.
fn kind_only(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    if at::<4>(disk, 0).is_some_and(|head| &head == b"hsqs") {
        return found("squashfs", &[], None);
    }
    if let Some(head) = at::<80>(disk, 1024) {
        match le32(&head, 0) {
            0xf2f5_2010 => return found("f2fs", &[], None),
            0xe0f5_e1e2 => return found("erofs", &head[64..80], id(&head[48..64])),
            _ => {}
        }
    }
    if let Some(head) = at::<72>(disk, 32_768)
        && &head[1..6] == b"CD001"
    {
        return found("iso9660", &head[40..72], None);
    }
    None
}

fn swap(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    let head = at::<44>(disk, 1024)?;
    for page in [4096, 16_384, 65_536] {
        if at::<10>(disk, page - 10).is_some_and(|magic| &magic == b"SWAPSPACE2") {
            return found("swap", &head[28..44], id(&head[12..28]));
        }
    }
    None
}

fn fat(disk: &mut (impl Read + Seek + ?Sized)) -> Option<Filesystem> {
    let head = at::<512>(disk, 0)?;
    if &head[3..11] == b"NTFS    " {
        return found("ntfs", &[], None);
    }
    if &head[3..11] == b"EXFAT   " {
        return found("exfat", &[], Some(serial(&head[100..104])));
    }
    if &head[82..87] == b"FAT32" {
        return fat_named(&head[71..82], &head[67..71]);
    }
    if matches!(&head[54..59], b"FAT12" | b"FAT16") {
        return fat_named(&head[43..54], &head[39..43]);
    }
    None
}

fn fat_named(label: &[u8], number: &[u8]) -> Option<Filesystem> {
    let label = if label == b"NO NAME    " { &[][..] } else { label };
    found("vfat", label, Some(serial(number)))
}

fn serial(bytes: &[u8]) -> String {
    let number = le32(bytes, 0);
    format!("{:04X}-{:04X}", number >> 16, number & 0xffff)
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
