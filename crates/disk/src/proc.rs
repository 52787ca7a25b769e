//! Other processes, through a `/proc` that is given by its descriptor: it still shows the processes of the host after
//! another one has been mounted over it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    dir::Dir,
    fcntl::{OFlag, open, openat, readlinkat},
    sys::stat::Mode,
};

use crate::{
    kernel,
    mountinfo::{self, MountEntry},
};

/// The `/proc` of now.
///
/// # Errors
/// It can't be opened.
pub fn open_proc() -> io::Result<OwnedFd> {
    Ok(open("/proc", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// The content of a file, as `12/stat`.
///
/// # Errors
/// It can't be read.
pub fn read(proc: BorrowedFd<'_>, path: &str) -> io::Result<Vec<u8>> {
    let file = openat(proc, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut content = Vec::new();
    File::from(file).read_to_end(&mut content)?;
    Ok(content)
}

/// The numbers that the entries of a directory have as their names: processes in `.`, descriptors in `12/fd`.
pub fn numbers(proc: BorrowedFd<'_>, path: &str) -> Vec<u32> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(mut dir) = Dir::openat(proc, path, flags, Mode::empty()) else {
        return Vec::new();
    };
    dir.iter().filter_map(|entry| entry.ok()?.file_name().to_str().ok()?.parse().ok()).collect()
}

/// The name of a process's program, cut to 15 bytes by the kernel; empty if the process is gone.
pub fn command(proc: BorrowedFd<'_>, pid: u32) -> String {
    let name = read(proc, &format!("{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// A mount that a process sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMount {
    /// The mount point.
    pub target: PathBuf,
    /// A process that sees it.
    pub pid: u32,
}

/// Where a disk or a partition of it is mounted, in any mount namespace of the host. Each namespace is read once.
pub fn mounts_of(proc: BorrowedFd<'_>, disk: &Path) -> Vec<SeenMount> {
    let nodes = kernel::nodes(disk);
    let devices = kernel::device_numbers(disk);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for pid in numbers(proc, ".") {
        let Ok(namespace) = readlinkat(proc, format!("{pid}/ns/mnt").as_str()) else {
            continue;
        };
        if !seen.insert(namespace) {
            continue;
        }
        let Ok(table) = read(proc, &format!("{pid}/mountinfo")) else {
            continue;
        };
        for mount in mountinfo::parse(&table) {
            if is_of(&mount, &nodes, &devices) {
                found.push(SeenMount { target: mount.target, pid });
            }
        }
    }
    found
}

/// Whether one of these devices is mounted there. btrfs has device numbers of its own, so the source is compared, too.
fn is_of(mount: &MountEntry, nodes: &[PathBuf], devices: &BTreeSet<u64>) -> bool {
    mountinfo::device_number(&mount.device).is_some_and(|number| devices.contains(&number))
        || nodes.iter().any(|node| node == Path::new(&mount.source))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn mounts_of_the_disk_and_of_its_partitions_count() {
        let nodes = ["/dev/loop1", "/dev/loop1p2"].map(PathBuf::from);
        let devices = BTreeSet::from([0x701, 0x10302]);
        let is_of = |device: &str, source: &str| {
            let line = format!("36 35 {device} / /mnt/x rw shared:1 - ext4 {source} rw\n");
            let mounts = mountinfo::parse(line.as_bytes());
            assert_eq!(mounts[0].target, Path::new("/mnt/x"));
            is_of(&mounts[0], &nodes, &devices)
        };
        assert!(is_of("0:40", "/dev/loop1"));
        assert!(is_of("0:40", "/dev/loop1p2"));
        assert!(is_of("7:1", "/dev/root"));
        assert!(!is_of("7:10", "/dev/loop10"));
        assert!(!is_of("7:10", "/dev/loop10p1"));
    }

    #[test]
    fn this_process_is_listed_with_its_name() {
        let proc = open_proc().unwrap();
        let proc = proc.as_fd();
        let pid = std::process::id();
        assert!(numbers(proc, ".").contains(&pid));
        assert!(!numbers(proc, &format!("{pid}/fd")).is_empty());
        assert!(read(proc, &format!("{pid}/stat")).unwrap().starts_with(format!("{pid} (").as_bytes()));
        assert!(!command(proc, pid).is_empty());
        assert_eq!(command(proc, u32::MAX), "");
    }
}
