//! Who uses a block device.

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use bakehouse_disk::{kernel, proc};

/// Returns who uses a loop device or a partition of it, besides this process's open descriptors; waits up to `patience`
/// for that to end.
pub(super) fn users(device: &Path, patience: Duration) -> Option<String> {
    let start = Instant::now();
    loop {
        let user = user(device);
        if user.is_none() || start.elapsed() >= patience {
            return user;
        }
        sleep(Duration::from_millis(10));
    }
}

fn user(device: &Path) -> Option<String> {
    let proc = match proc::open_proc() {
        Ok(proc) => proc,
        Err(error) => return Some(format!("/proc can't be opened: {error}")),
    };
    let proc = proc.as_fd();
    let claimed = kernel::open_exclusively(device);
    if claimed.as_ref().is_err_and(|error| error.kind() == ErrorKind::ResourceBusy) {
        let mount = proc::mounts_of(proc, device).into_iter().next();
        let mounted = mount.map(|it| format!("mounted at {} (seen by process {})", it.target.display(), it.pid));
        return Some(mounted.unwrap_or_else(|| "the kernel has claimed it".to_owned()));
    }
    drop(claimed);
    let devices = kernel::device_numbers(device);
    let me = std::process::id();
    let mut others = proc::numbers(proc, ".").into_iter().filter(|pid| *pid != me);
    let user = others.find(|pid| has_open(*pid, &devices));
    user.map(|pid| format!("process {pid} ({}) has it open", proc::command(proc, pid)))
}

fn has_open(pid: u32, devices: &BTreeSet<u64>) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries.flatten().any(|entry| {
        // The link's target is checked first: following links to sockets and the like is slower and useless.
        fs::read_link(entry.path()).is_ok_and(|target| target.starts_with("/dev"))
            && fs::metadata(entry.path()).is_ok_and(|it| devices.contains(&it.rdev()))
    })
}
