//! Unmounts the root and everything below it, the deepest mounts first. They are found by the ids of their parent
//! mounts, not by their paths.

use std::{
    collections::BTreeSet,
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use bakehouse_disk::{kernel, mountinfo::device_number};
use nix::errno::Errno;

use crate::{
    context::Context,
    error::{ErrorContext, JobError},
    host::{MountEntry, below},
};

/// How long a busy mount is tried again: the kernel releases the files of a process shortly after it has ended.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many rounds there are at most. Each but the last unmounts something.
const MOST_ROUNDS: u32 = 10_000;

/// Unmounts everything that is mounted on the root or below it, and other mounts of the volume's disk and partitions,
/// which host commands may have made; but not the root itself.
pub(crate) fn unmount_below(cx: &Context<'_>, root: &MountEntry, disk: &Path) -> Result<(), JobError> {
    let disk = kernel::device_numbers(disk);
    let is_ours = |mount: &MountEntry| {
        mount.device == root.device || device_number(&mount.device).is_some_and(|number| disk.contains(&number))
    };
    for _ in 0..MOST_ROUNDS {
        let all = cx.host.mounts().context(|| "reading the mount table".to_owned())?;
        let mut mounts = below(&all, root.id);
        let known: Vec<u64> = mounts.iter().map(|mount| mount.id).collect();
        let elsewhere = all.iter().filter(|m| is_ours(m) && m.id != root.id && !known.contains(&m.id));
        mounts.extend(elsewhere.cloned());
        if mounts.is_empty() {
            return Ok(());
        }
        // A mount that another one covers can be unmounted only after that one: so in the next round, and its parents
        // after it.
        let (mut hidden, mut busy, mut progress) = (None, BTreeSet::new(), false);
        for mount in mounts.iter().rev() {
            if !busy.contains(&mount.id) {
                match try_unmount(cx, mount)? {
                    Unmounted::Gone => {
                        progress = true;
                        continue;
                    }
                    Unmounted::Hidden(error) => hidden = Some(error),
                }
            }
            busy.insert(mount.parent);
        }
        if let Some(error) = hidden.filter(|_| !progress) {
            return Err(error);
        }
    }
    Err(JobError::new(format!("new mounts keep appearing under {}", root.target.display())))
}

/// The result of unmounting one mount.
enum Unmounted {
    /// It is no longer mounted.
    Gone,
    /// It is still mounted, but its path does not lead to it: another mount covers it.
    Hidden(JobError),
}

/// Unmounts one mount. If it stays busy, the error names the processes that use it.
pub(crate) fn unmount_one(cx: &Context<'_>, mount: &MountEntry) -> Result<(), JobError> {
    match try_unmount(cx, mount)? {
        Unmounted::Gone => Ok(()),
        Unmounted::Hidden(error) => Err(error),
    }
}

fn try_unmount(cx: &Context<'_>, mount: &MountEntry) -> Result<Unmounted, JobError> {
    let end = Instant::now() + BUSY_TIMEOUT;
    let mut pause = Duration::from_millis(2);
    loop {
        let error = match cx.host.unmount(&mount.target) {
            Ok(()) => return Ok(Unmounted::Gone),
            Err(error) => error,
        };
        let name = format!("unmounting {} ({} from {})", mount.target.display(), mount.kind, mount.source);
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EINVAL | Errno::ENOENT | Errno::ENOTDIR) => {
                let hidden = Unmounted::Hidden(JobError::Io { operation: name, source: error });
                return Ok(if is_mounted(cx, mount) { hidden } else { Unmounted::Gone });
            }
            Some(Errno::EBUSY) if Instant::now() < end => {}
            Some(Errno::EBUSY) => {
                let holders = cx.host.holders(mount);
                let who =
                    if holders.is_empty() { "no process that can be seen".to_owned() } else { holders.join("; ") };
                return Err(JobError::Io { operation: format!("{name}, held by {who}"), source: error });
            }
            _ => {
                return Err(JobError::Io { operation: name, source: error });
            }
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

fn is_mounted(cx: &Context<'_>, mount: &MountEntry) -> bool {
    cx.host.mounts().is_ok_and(|mounts| mounts.iter().any(|other| other.id == mount.id))
}

/// Syncs the file system. This also returns errors of earlier writes (a full or broken disk).
pub(crate) fn sync(path: &Path) -> Result<(), JobError> {
    let root = File::open(path).context(|| format!("opening {} to sync it", path.display()))?;
    nix::unistd::syncfs(&root).context(|| format!("syncing the file system at {}", path.display()))
}
