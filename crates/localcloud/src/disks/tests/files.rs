//! Copies of disks and files that are being written.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use super::fixture::Dir;
use crate::disks::{
    changed_bytes,
    copy::{GIB, Holes},
    partial::{self, Partial},
    process,
};

fn allocated(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn a_copy_keeps_content_size_and_holes() {
    let dir = Dir::new();
    let source = File::options().create_new(true).read(true).write(true).open(dir.path().join("a")).unwrap();
    source.set_len(256 << 20).unwrap();
    source.write_all_at(b"begin", 0).unwrap();
    source.write_all_at(&[7; 100_000], 77_777_777).unwrap();
    source.write_all_at(&[0; 1 << 20], 10 << 20).unwrap();
    for holes in [Holes::Keep, Holes::AndZeroes] {
        let target = dir.path().join(format!("{holes:?}"));
        let partial = Partial::create(&target, &process::current()).unwrap();
        partial.fill(&source, 300 << 20, holes).unwrap();
        assert!(!target.exists());
        partial.rename_to(&target).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().len(), 300 << 20);
        assert_eq!(changed_bytes(&dir.path().join("a"), &target).unwrap(), 0);
        assert!(allocated(&target) < 4 << 20, "{holes:?}: {} bytes are in use", allocated(&target));
        if holes == Holes::AndZeroes {
            assert!(allocated(&target) < 1 << 20, "zeroes became data");
        }
    }
}

#[test]
fn changed_bytes_counts_the_blocks_that_differ() {
    let dir = Dir::new();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let make = |path: &Path| {
        let file = File::options().create_new(true).read(true).write(true).open(path).unwrap();
        file.set_len(GIB).unwrap();
        file
    };
    let (file_a, file_b) = (make(&a), make(&b));
    assert_eq!(changed_bytes(&a, &b).unwrap(), 0);
    // One block in one, one in the other, one that is equal, one across a boundary (two blocks).
    file_a.write_all_at(b"x", 5 << 20).unwrap();
    file_b.write_all_at(b"x", 900 << 20).unwrap();
    file_a.write_all_at(b"same", 100 << 20).unwrap();
    file_b.write_all_at(b"same", 100 << 20).unwrap();
    file_b.write_all_at(b"xx", (200 << 20) + (64 << 10) - 1).unwrap();
    assert_eq!(changed_bytes(&a, &b).unwrap(), 4 * 64 * 1024);
    assert_eq!(changed_bytes(&b, &a).unwrap(), 4 * 64 * 1024);
}

#[test]
fn a_partial_file_names_its_process_and_is_removed_on_drop() {
    let dir = Dir::new();
    let owner = process::current();
    let partial = Partial::create(&dir.path().join("vol-0.raw"), &owner).unwrap();
    let path = partial.path().to_owned();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(partial::parse_name(name), Some(("vol-0.raw", owner.pid, owner.start)));
    assert_eq!(partial::parse_name("vol-0.raw"), None);
    drop(partial);
    assert!(!path.exists());
}

#[test]
fn a_new_disk_never_replaces_an_existing_one() {
    let dir = Dir::new();
    let target = dir.path().join("snap-0.raw");
    fs::write(&target, "precious").unwrap();
    let mut partial = Partial::create(&target, &process::current()).unwrap();
    let path = partial.path().to_owned();
    assert!(partial.link_to(&target).is_err());
    drop(partial);
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert!(!path.exists());
}
