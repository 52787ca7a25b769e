use super::*;
use std::{fs::File, io::Cursor, process::Command};

/// Makes an image with the given mkfs and probes it; `None`, said aloud, if the tool is missing.
fn made(mkfs: &[&str], mib: u64) -> Option<Filesystem> {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    File::create(&image).unwrap().set_len(mib << 20).unwrap();
    let made = Command::new(mkfs[0]).args(&mkfs[1..]).arg(&image).output();
    let Ok(output) = made else {
        println!("SKIP probing {}: it is not installed", mkfs[0]);
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(filesystem(&mut File::open(&image).unwrap()).unwrap())
}

#[test]
fn file_systems_made_by_their_tools_are_recognized() {
    let id = "01234567-89ab-cdef-0123-456789abcdef";
    let with_id = |kind, label: &str| Filesystem { kind, label: Some(label.into()), uuid: Some(id.into()) };
    let cases: [(&[&str], u64, Filesystem); 6] = [
        (&["mkfs.ext4", "-q", "-L", "cloudimg-rootfs", "-U", id], 8, with_id("ext4", "cloudimg-rootfs")),
        (&["mkfs.ext3", "-q", "-L", "root", "-U", id], 8, with_id("ext3", "root")),
        (&["mkfs.ext2", "-q", "-L", "/", "-U", id], 8, with_id("ext2", "/")),
        (&["mkfs.xfs", "-q", "-L", "root", "-m", &format!("uuid={id}")], 320, with_id("xfs", "root")),
        (&["mkfs.btrfs", "-q", "-L", "root", "-U", id], 128, with_id("btrfs", "root")),
        (&["mkswap", "-q", "-L", "swp", "-U", id], 8, with_id("swap", "swp")),
    ];
    for (mkfs, mib, expected) in cases {
        if let Some(found) = made(mkfs, mib) {
            assert_eq!(found, expected);
        }
    }
    if let Some(found) = made(&["mkfs.vfat", "-n", "EFI", "-i", "12345678"], 8) {
        assert_eq!(
            (found.kind, found.label.as_deref(), found.uuid.as_deref()),
            ("vfat", Some("EFI"), Some("1234-5678"))
        );
    }
}

#[test]
fn containers_are_not_file_systems() {
    let mut luks = vec![0; 8192];
    luks[..8].copy_from_slice(b"LUKS\xba\xbe\0\x02");
    luks[168..172].copy_from_slice(b"abcd");
    let found = filesystem(&mut Cursor::new(luks)).unwrap();
    assert_eq!((found.kind, found.uuid.as_deref()), ("crypto_LUKS", Some("abcd")));
    assert!(!found.is_linux_root_kind());
    let mut lvm = vec![0; 8192];
    lvm[512..520].copy_from_slice(b"LABELONE");
    lvm[536..544].copy_from_slice(b"LVM2 001");
    assert_eq!(filesystem(&mut Cursor::new(lvm)).unwrap().kind, "LVM2_member");
}

#[test]
fn nothing_known_is_none() {
    assert_eq!(filesystem(&mut Cursor::new(vec![0; 1 << 18])), None);
    assert_eq!(filesystem(&mut Cursor::new(vec![])), None);
}
