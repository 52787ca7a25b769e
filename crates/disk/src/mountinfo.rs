//! Reading `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)).

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::PathBuf,
};

use nix::sys::stat::makedev;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// Its id.
    pub id: u64,
    /// The id of its parent mount.
    pub parent: u64,
    /// The device's numbers, as `259:1`.
    pub device: String,
    /// The mount point.
    pub target: PathBuf,
    /// The file system's type.
    pub kind: String,
    /// The source, as it was given to mount(2).
    pub source: String,
}

/// Reads all lines; a line of another form is skipped.
pub fn parse(text: &[u8]) -> Vec<MountEntry> {
    text.split(|&b| b == b'\n').filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|&b| b == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let device = text(fields.next()?);
    let target = PathBuf::from(OsString::from_vec(unescape(fields.nth(1)?)));
    // There may be any number of optional fields before the dash.
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = text(rest.next()?);
    let source = text(rest.next()?);
    Some(MountEntry { id, parent, device, target, kind, source })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// Reverts the kernel's escapes: blank, tab, newline and backslash are `\` and three octal digits.
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        if *first == b'\\'
            && let Some([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7']) = tail.get(..3)
        {
            out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = &tail[3..];
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

/// The devices of this mount and of those below it, without devices that are also mounted elsewhere: a file or
/// directory of the host that is bound below it has the device of a file system of the host.
pub fn devices_only_below<'a>(mounts: &'a [MountEntry], root: &'a MountEntry) -> Vec<&'a str> {
    let entered: BTreeSet<u64> = below(mounts, root.id).into_iter().map(|mount| mount.id).chain([root.id]).collect();
    let (entered, outside): (Vec<_>, Vec<_>) = mounts.iter().partition(|mount| entered.contains(&mount.id));
    let outside: BTreeSet<&str> = outside.into_iter().map(|mount| mount.device.as_str()).collect();
    let only = entered.into_iter().map(|mount| mount.device.as_str()).filter(|device| !outside.contains(device));
    // The root itself may be mounted elsewhere, too.
    only.chain([root.device.as_str()]).collect()
}

/// The device number as in `stat`, from its form in the table.
pub fn device_number(device: &str) -> Option<u64> {
    let (major, minor) = device.split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// The mounts below the mount of this id, at any depth, the deepest last.
pub fn below(mounts: &[MountEntry], id: u64) -> Vec<MountEntry> {
    let mut on: BTreeMap<u64, Vec<&MountEntry>> = BTreeMap::new();
    for mount in mounts.iter().filter(|mount| mount.parent != mount.id) {
        on.entry(mount.parent).or_default().push(mount);
    }
    let mut found: Vec<MountEntry> = Vec::new();
    let mut level = on.remove(&id).unwrap_or_default();
    // A mount comes after its parent: by depth, then by age.
    while !level.is_empty() {
        level.sort_by_key(|mount| mount.id);
        found.extend(level.iter().map(|&mount| mount.clone()));
        level = level.iter().flat_map(|mount| on.remove(&mount.id).unwrap_or_default()).collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &[u8] = b"22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
41 27 7:1 / /mnt/a\\040b rw,nouuid shared:1 master:2 - xfs /dev/loop1 rw
42 41 0:5 / /mnt/a\\040b/dev rw - tmpfs dev rw
40 42 0:6 / /mnt/a\\040b/dev/pts rw - devpts devpts rw
nonsense
";

    #[test]
    fn optional_fields_and_escapes_are_read() {
        let mounts = parse(TABLE);
        assert_eq!(mounts.len(), 5);
        let disk = &mounts[2];
        assert_eq!((disk.id, disk.parent, disk.device.as_str()), (41, 27, "7:1"));
        assert_eq!(disk.target, PathBuf::from("/mnt/a b"));
        assert_eq!((disk.kind.as_str(), disk.source.as_str()), ("xfs", "/dev/loop1"));
    }

    #[test]
    fn mounts_below_a_mount_are_sorted_by_depth() {
        let ids: Vec<_> = below(&parse(TABLE), 41).into_iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [42, 40]);
    }

    #[test]
    fn devices_of_the_host_are_excluded() {
        let mut mounts = parse(TABLE);
        let bind = |id, target: &str| MountEntry {
            id,
            target: target.into(),
            parent: 41,
            device: "254:0".into(),
            ..mounts[0].clone()
        };
        let bound = bind(50, "/mnt/a b/etc/resolv.conf");
        mounts.push(bound);
        let root = &mounts[2].clone();
        assert_eq!(devices_only_below(&mounts, root), ["7:1", "0:5", "0:6", "7:1"]);
        mounts.push(MountEntry { id: 51, parent: 27, target: "/elsewhere".into(), ..root.clone() });
        assert_eq!(devices_only_below(&mounts, root), ["0:5", "0:6", "7:1"]);
        assert_eq!(device_number("7:1"), Some(0x701));
    }

    proptest! {
        /// In any table: on some kernels the root is its own parent, and a parent may be missing.
        #[test]
        fn every_mount_comes_after_its_parent(parents in proptest::collection::vec(0u64..12, 0..12)) {
            let entry = |(id, parent): (u64, &u64)| MountEntry {
                id, parent: *parent, device: String::new(), target: PathBuf::new(), kind: String::new(), source: String::new(),
            };
            let mounts: Vec<_> = (1..).zip(&parents).map(entry).collect();
            let found = below(&mounts, 0);
            for (at, mount) in found.iter().enumerate() {
                prop_assert!(mount.parent == 0 || found[..at].iter().any(|earlier| earlier.id == mount.parent));
            }
            let missing = mounts.iter().filter(|m| !found.contains(m));
            prop_assert!(missing.clone().all(|m| m.parent != 0 && !found.iter().any(|f| f.id == m.parent)));
        }
    }
}
