//! Archives that `pack` does not make.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

use std::{fs, io::Write as _, path::Path};

use bakehouse_bundle::{Limits, Manifest, UnpackError, unpack};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tar::{EntryType, Header};

/// An archive with arbitrary headers.
struct Archive(Vec<u8>);

impl Archive {
    fn empty() -> Self {
        Self(Vec::new())
    }

    /// Returns an archive with a valid manifest and a valid template.
    fn valid() -> Self {
        Self::empty().manifest(1).file("home/web.json", b"{}")
    }

    fn manifest(self, version: u16) -> Self {
        let manifest = Manifest {
            bakehouse: version,
            template: "/home/web.json".into(),
            working_directory: "/home".into(),
            ..Manifest::default()
        };
        self.file("bakehouse.json", &serde_json::to_vec(&manifest).unwrap())
    }

    fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(name.as_bytes(), EntryType::Regular, b"", 0o644, content)
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.entry(name.as_bytes(), EntryType::Symlink, target.as_bytes(), 0o777, b"")
    }

    fn kind(self, name: &str, kind: EntryType) -> Self {
        self.entry(name.as_bytes(), kind, b"bakehouse.json", 0o644, b"")
    }

    fn entry(self, name: &[u8], kind: EntryType, target: &[u8], mode: u32, content: &[u8]) -> Self {
        self.sized(name, kind, target, mode, content, content.len() as u64)
    }

    fn sized(mut self, name: &[u8], kind: EntryType, target: &[u8], mode: u32, content: &[u8], size: u64) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        let bytes = header.as_gnu_mut().unwrap();
        bytes.name[..name.len()].copy_from_slice(name);
        bytes.linkname[..target.len()].copy_from_slice(target);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn packed(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        gzip(&self.0)
    }

    fn unpack(self) -> Result<(), UnpackError> {
        unpack_bytes(&self.packed(), &Limits::default())
    }

    /// Returns the error for this archive. Nothing of it may be left, in the directory or elsewhere.
    fn error(self) -> String {
        self.unpack().unwrap_err().to_string().replacen("the bundle cannot be unpacked: ", "", 1)
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = GzEncoder::new(Vec::new(), Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

fn unpack_bytes(bytes: &[u8], limits: &Limits) -> Result<(), UnpackError> {
    let host = tempfile::tempdir().unwrap();
    // Two levels down, so that an entry with ".." is found.
    fs::create_dir(host.path().join("deep")).unwrap();
    let dir = host.path().join("deep/bundle");
    let done = unpack(bytes, &dir, limits).map(drop);
    let left: Vec<_> = walk(host.path()).into_iter().filter(|path| !path.starts_with("deep")).collect();
    assert!(left.is_empty(), "something got out: {left:?}");
    let beside: Vec<_> = fs::read_dir(host.path().join("deep")).unwrap().map(|e| e.unwrap().file_name()).collect();
    if done.is_ok() {
        assert_eq!(beside, ["bundle"]);
    } else {
        assert!(beside.is_empty(), "something is left: {beside:?}");
    }
    done
}

fn walk(dir: &Path) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_valid_archive_is_unpacked() {
    Archive::valid().file("home/a/b/c", b"x").link("home/l", "a/b").unpack().unwrap();
    // A directory's entry after those of its content.
    Archive::valid().entry(b"home/", EntryType::Directory, b"", 0o755, b"").unpack().unwrap();
}

#[test]
fn paths_are_relative_and_normalized() {
    let told = |name: &str| Archive::valid().file(name, b"x").error();
    assert_eq!(told("/etc/x"), "/etc/x: the path is absolute");
    assert_eq!(told("//x"), "//x: the path is absolute");
    for climbing in ["../x", "home/../../x", "home/..", ".."] {
        assert_eq!(told(climbing), format!("{climbing}: the path contains \"..\""));
    }
    for odd in ["./x", "home/./x", "home//x", ".", "", "home/x/"] {
        assert_eq!(told(odd), format!("{odd}: the path is not normalized"), "{odd:?}");
    }
    let long = format!("{}/x", "n".repeat(90));
    Archive::valid().file(&long, b"x").unpack().unwrap();
    assert_eq!(
        Archive::valid().entry(b"caf\xe9", EntryType::Regular, b"", 0o644, b"").error(),
        "caf\u{fffd}: the name is not UTF-8"
    );
}

#[test]
fn entries_below_something_that_is_not_a_directory() {
    let told = Archive::valid().file("d/t", b"").link("l", "d").file("l/x", b"x").error();
    assert_eq!(told, "l/x: it is below l, which is not a directory");
    let told = Archive::valid().file("f", b"").file("f/g/x", b"x").error();
    assert_eq!(told, "f/g/x: it is below f, which is not a directory");
    let told = Archive::valid().file("bakehouse.json/x", b"x").error();
    assert_eq!(told, "bakehouse.json/x: it is below bakehouse.json, which is not a directory");
}

#[test]
fn links_do_not_lead_out() {
    for target in ["/etc/passwd", "..", "../x", "a/../../x", "", "."] {
        let told = Archive::valid().link("l", target).error();
        assert_eq!(told, format!("l: the link to \"{target}\" could lead out of the bundle"));
    }
}

#[test]
fn unsupported_entry_types() {
    for (kind, what) in [
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a FIFO"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::XHeader, "an extended header"),
        (EntryType::XGlobalHeader, "an extended header"),
        (EntryType::Continuous, "an entry of this kind"),
        (EntryType::new(b'V'), "an entry of this kind"),
    ] {
        assert_eq!(Archive::valid().kind("x", kind).error(), format!("x: {what} is not accepted"));
    }
    let told = Archive::valid().entry(b"d", EntryType::Directory, b"", 0o755, b"x").error();
    assert_eq!(told, "d: content of an entry that is not a file is not accepted");
}

#[test]
fn modes_with_more_than_permission_bits() {
    for mode in [0o4755, 0o2755, 0o1755, 0o100_644] {
        let told = Archive::valid().entry(b"x", EntryType::Regular, b"", mode, b"").error();
        assert_eq!(told, format!("x: the mode {mode:o} has more than permission bits"));
    }
    let told = Archive::valid().entry(b"x", EntryType::Directory, b"", 0o2755, b"").error();
    assert_eq!(told, "x: the mode 2755 has more than permission bits");
}

#[test]
fn duplicate_entries() {
    assert_eq!(Archive::valid().file("x", b"1").file("x", b"2").error(), "x: there are two entries of this name");
    assert_eq!(Archive::valid().link("x", "y").file("x", b"2").error(), "x: there are two entries of this name");
    assert_eq!(Archive::valid().file("x/y", b"1").link("x", "z").error(), "x: there are two entries of this name");
    assert_eq!(Archive::valid().manifest(1).error(), "bakehouse.json: there are two entries of this name");
    let directory = |archive: Archive| archive.entry(b"d/", EntryType::Directory, b"", 0o755, b"");
    assert_eq!(directory(directory(Archive::valid())).error(), "d/: there are two entries of this name");
}

#[test]
fn invalid_manifests() {
    let first = "its manifest cannot be used: ";
    assert_eq!(Archive::empty().error(), format!("{first}the archive is empty"));
    let told = Archive::empty().file("x", b"").manifest(1).error();
    assert_eq!(told, format!("{first}the first entry is not bakehouse.json"));
    let told = Archive::empty().manifest(2).file("home/web.json", b"").error();
    assert_eq!(told, format!("{first}it has version 2, and only 1 can be read"));
    let told = Archive::empty().manifest(1).error();
    assert_eq!(told, format!("{first}/home/web.json is not in the bundle"));
    let told = Archive::empty().file("bakehouse.json", b"[]").error();
    assert!(told.starts_with(first), "{told}");
    // Unknown fields, which a later version may add, are rejected.
    let told = Archive::empty().file("bakehouse.json", br#"{"bakehouse":1,"recipe":"","template":"","x":1}"#).error();
    assert!(told.contains("unknown field `x`"), "{told}");
}

#[test]
fn limits_are_enforced() {
    let limits = Limits { packed: 100_000, unpacked: 1_000_000, entries: 10 };
    let told = |archive: Archive| unpack_bytes(&archive.packed(), &limits).unwrap_err().to_string();
    // A decompression bomb.
    let bomb = Archive::valid().file("bomb", &vec![0; 2_000_000]);
    assert!(told(bomb).ends_with("bomb: the bundle has more than 976.5 KiB unpacked"));
    let many = (0..12).fold(Archive::valid(), |archive, n| archive.file(&format!("f{n}"), b""));
    assert!(told(many).ends_with("f9: the bundle has more than 10 entries"));
    // Data after the archive's end, whose size is in no header.
    let mut tail = Archive::valid();
    tail.0.extend_from_slice(&vec![0; 3_000_000]);
    assert!(told(tail).ends_with("the bundle has more than 976.5 KiB unpacked"));
    // A header with a wrong size.
    let liar = Archive::valid().sized(b"liar", EntryType::Regular, b"", 0o644, b"x", 1 << 60);
    assert!(told(liar).contains("liar: the bundle has more than"));
    // A very long name, which would be read into memory.
    let name = vec![b'n'; 900_000];
    let long = Archive::valid().entry(b"././@LongLink", EntryType::GNULongName, b"", 0o644, &name);
    assert!(told(long).ends_with("././@LongLink: such a long name is not accepted"));
    // Too large when packed.
    let noise: Vec<u8> = (0..120_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut plain = GzEncoder::new(Vec::new(), Compression::none());
    plain.write_all(&Archive::valid().file("noise", &noise).0).unwrap();
    let error = unpack_bytes(&plain.finish().unwrap(), &limits).unwrap_err();
    assert!(error.to_string().contains("the bundle has more than 97.6 KiB packed"), "{error}");
    assert!(error.kind.is_rejection());
}

#[test]
fn misplaced_long_names() {
    let name = |archive: Archive| archive.entry(b"././@LongLink", EntryType::GNULongName, b"", 0o644, b"../x\0");
    assert!(name(name(Archive::valid())).error().contains("such a long name"));
    assert_eq!(name(Archive::valid()).error(), "there is data after the archive's end");
    // They are checked like any other name.
    assert_eq!(name(Archive::valid()).file("y", b"").error(), "../x: the path contains \"..\"");
    let link = Archive::valid().entry(b"././@LongLink", EntryType::GNULongLink, b"", 0o644, b"../../x\0");
    assert_eq!(link.link("l", "fine").error(), "l: the link to \"../../x\" could lead out of the bundle");
}

#[test]
fn corrupt_archives() {
    let good = Archive::valid().file("x", &[7; 10_000]).packed();
    for cut in [0, 1, 10, good.len() / 2, good.len() - 9, good.len() - 1] {
        let error = unpack_bytes(&good[..cut], &Limits::default()).unwrap_err();
        assert!(error.kind.is_rejection(), "{cut}: {error}");
    }
    let mut wrong = good.clone();
    let checksum = wrong.len() - 5;
    wrong[checksum] ^= 1;
    assert!(unpack_bytes(&wrong, &Limits::default()).is_err());
    let mut tail = Archive::valid();
    tail.0.extend_from_slice(&[0; 1024]);
    tail.0.extend_from_slice(b"more");
    assert_eq!(tail.error(), "there is data after the archive's end");
}

#[test]
fn an_existing_directory_is_not_changed() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("mine"), "").unwrap();
    let error = unpack(&*Archive::valid().packed(), host.path(), &Limits::default()).unwrap_err();
    assert!(!error.kind.is_rejection(), "{error}");
    assert!(host.path().join("mine").exists());
}

fn names() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "..", ".", "", "home", "bakehouse.json"]), 1..5)
        .prop_map(|parts| parts.join("/"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// No entry is written outside the directory, and an error leaves nothing: [`unpack_bytes`] checks both.
    #[test]
    fn any_entries(entries in prop::collection::vec((names(), names(), 0..5_u8, any::<u16>()), 0..8)) {
        let archive = entries.into_iter().fold(Archive::valid(), |archive, (name, target, kind, mode)| {
            let kind = match kind {
                0 | 1 => EntryType::Regular,
                2 => EntryType::Symlink,
                3 => EntryType::Directory,
                _ => EntryType::Link,
            };
            let content: &[u8] = if kind == EntryType::Regular { b"content" } else { b"" };
            archive.entry(name.as_bytes(), kind, target.as_bytes(), u32::from(mode & 0o777), content)
        });
        let _ = archive.unpack();
    }

    /// No bytes cause a panic.
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000), zipped: bool) {
        let bytes = if zipped { gzip(&bytes) } else { bytes };
        prop_assert!(unpack_bytes(&bytes, &Limits::default()).is_err());
    }

    /// A flipped bit anywhere in a valid archive is an error or does no harm.
    #[test]
    fn any_flipped_bit(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut archive = Archive::valid().file("x", b"content").link("l", "x").0;
        archive.extend_from_slice(&[0; 1024]);
        let at = at.index(archive.len());
        archive[at] ^= 1 << bit;
        let _ = unpack_bytes(&gzip(&archive), &Limits::default());
    }
}
