//! Who uses a block device.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::libc;

/// Who uses the loop device `name` or a partition of it, besides this process's open descriptors; waits up to
/// `patience` for it to end.
pub(super) fn users(name: &str, patience: Duration) -> Option<String> {
    let start = Instant::now();
    loop {
        let user = user(name);
        if user.is_none() || start.elapsed() >= patience {
            return user;
        }
        sleep(Duration::from_millis(10));
    }
}

fn user(name: &str) -> Option<String> {
    let device = Path::new("/dev").join(name);
    // Mounting a disk or a partition claims the whole disk, as opening it with O_EXCL does: this sees mounts in every
    // mount namespace, and swap, RAID and the like.
    let claimed = File::options().read(true).custom_flags(libc::O_EXCL).open(&device);
    if claimed.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY)) {
        return Some(mount(&device).unwrap_or_else(|| "the kernel has claimed it".to_owned()));
    }
    drop(claimed);
    let numbers = device_numbers(name);
    let me = std::process::id();
    processes().filter(|pid| *pid != me).find(|pid| has_open(*pid, &numbers)).map(|pid| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("process {pid} ({}) has it open", comm.trim_end())
    })
}

fn processes() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The device numbers of a disk and its partitions.
fn device_numbers(name: &str) -> Vec<u64> {
    let mut paths = vec![PathBuf::from("/dev").join(name)];
    let entries = fs::read_dir(Path::new("/sys/block").join(name)).into_iter().flatten().flatten();
    for entry in entries {
        if entry.path().join("partition").exists() {
            paths.push(Path::new("/dev").join(entry.file_name()));
        }
    }
    paths.iter().filter_map(|path| Some(fs::metadata(path).ok()?.rdev())).collect()
}

fn has_open(pid: u32, numbers: &[u64]) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        // The link's text is asked first: following links into sockets and the like costs more and says nothing.
        fs::read_link(entry.path()).is_ok_and(|target| target.starts_with("/dev"))
            && fs::metadata(entry.path()).is_ok_and(|it| numbers.contains(&it.rdev()) && it.rdev() != 0)
    })
}

/// Where a disk or a partition of it is mounted, in any mount namespace that a process lives in.
fn mount(device: &Path) -> Option<String> {
    let mut seen = Vec::new();
    let device = device.to_string_lossy();
    for pid in processes() {
        let Ok(namespace) = fs::read_link(format!("/proc/{pid}/ns/mnt")) else {
            continue;
        };
        if seen.contains(&namespace) {
            continue;
        }
        seen.push(namespace);
        let Ok(table) = fs::read_to_string(format!("/proc/{pid}/mountinfo")) else {
            continue;
        };
        if let Some(place) = mounted_at(&table, &device) {
            return Some(format!("mounted at {place} (seen by process {pid})"));
        }
    }
    None
}

/// The mount point of a disk or a partition of it in a mount table (proc_pid_mountinfo(5)).
fn mounted_at(table: &str, device: &str) -> Option<String> {
    table.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let source = right.split(' ').nth(1)?;
        let rest = source.strip_prefix(device)?;
        let partition = rest.strip_prefix('p').is_some_and(|number| number.parse::<u32>().is_ok());
        (rest.is_empty() || partition).then(|| left.split(' ').nth(4).unwrap_or_default().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_the_disk_or_of_a_partition_counts_and_one_of_another_disk_does_not() {
        let line = |source: &str| format!("36 35 7:0 / /mnt/x rw shared:1 - ext4 {source} rw\n");
        assert_eq!(mounted_at(&line("/dev/loop1"), "/dev/loop1").as_deref(), Some("/mnt/x"));
        assert_eq!(mounted_at(&line("/dev/loop1p2"), "/dev/loop1").as_deref(), Some("/mnt/x"));
        assert_eq!(mounted_at(&line("/dev/loop10"), "/dev/loop1"), None);
        assert_eq!(mounted_at(&line("/dev/loop10p1"), "/dev/loop1"), None);
    }
}
