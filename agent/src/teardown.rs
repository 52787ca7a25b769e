//! Unmounting: whatever lies under the root, the deepest first, found by mount id and not by a path's first letters.

use std::{
    collections::BTreeSet,
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use nix::errno::Errno;

use crate::{
    context::Context,
    error::{Doing, JobError},
    host::{MountEntry, below},
};

/// How long a busy mount is tried again: the kernel lets go of what ended processes held a moment after they ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the mount table is looked at for what is still to be unmounted. Each round but the last unmounts something.
const MOST_ROUNDS: u32 = 10_000;

/// Unmounts everything that is mounted on the root or below, also what a provisioner mounted and what the same device
/// was mounted at by a host command, but not the root.
pub(crate) fn unmount_below(cx: &Context<'_>, root: &MountEntry) -> Result<(), JobError> {
    for _ in 0..MOST_ROUNDS {
        let all = cx.host.mounts().doing(|| "reading the mount table".to_owned())?;
        let mut mounts = below(&all, root.id);
        let known: Vec<u64> = mounts.iter().map(|mount| mount.id).collect();
        let again = all.iter().filter(|m| m.device == root.device && m.id != root.id && !known.contains(&m.id));
        mounts.extend(again.cloned());
        if mounts.is_empty() {
            return Ok(());
        }
        // A mount may hide another one, which can be reached only when the first is gone: in the next round, and what it
        // lies on with it.
        let (mut hidden, mut busy, mut progress) = (None, BTreeSet::new(), false);
        for mount in mounts.iter().rev() {
            if !busy.contains(&mount.id) {
                match try_unmount(cx, mount)? {
                    Unmount::Gone => {
                        progress = true;
                        continue;
                    }
                    Unmount::Hidden(error) => hidden = Some(error),
                }
            }
            busy.insert(mount.parent);
        }
        if let Some(error) = hidden.filter(|_| !progress) {
            return Err(error);
        }
    }
    Err(JobError::wrong(format!("new mounts keep appearing under {}", root.target.display())))
}

/// What became of a mount.
enum Unmount {
    /// It is mounted no more.
    Gone,
    /// Its path does not lead to it: another mount lies over it.
    Hidden(JobError),
}

/// Unmounts one; if it stays busy, says who keeps it so.
pub(crate) fn unmount_one(cx: &Context<'_>, mount: &MountEntry) -> Result<(), JobError> {
    match try_unmount(cx, mount)? {
        Unmount::Gone => Ok(()),
        Unmount::Hidden(error) => Err(error),
    }
}

fn try_unmount(cx: &Context<'_>, mount: &MountEntry) -> Result<Unmount, JobError> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(2);
    loop {
        let error = match cx.host.unmount(&mount.target) {
            Ok(()) => return Ok(Unmount::Gone),
            Err(error) => error,
        };
        let name = format!("unmounting {} ({} from {})", mount.target.display(), mount.kind, mount.source);
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EINVAL | Errno::ENOENT | Errno::ENOTDIR) => {
                let hidden = Unmount::Hidden(JobError::Io { doing: name, source: error });
                return Ok(if still_there(cx, mount) { hidden } else { Unmount::Gone });
            }
            Some(Errno::EBUSY) if Instant::now() < end => {}
            Some(Errno::EBUSY) => {
                let holders = cx.host.holders(mount);
                let who = if holders.is_empty() { "nobody that can be seen".to_owned() } else { holders.join("; ") };
                return Err(JobError::Io { doing: format!("{name}, held by {who}"), source: error });
            }
            _ => {
                return Err(JobError::Io { doing: name, source: error });
            }
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

fn still_there(cx: &Context<'_>, mount: &MountEntry) -> bool {
    cx.host.mounts().is_ok_and(|mounts| mounts.iter().any(|other| other.id == mount.id))
}

/// Writes out the file system; an error of an earlier write (a full or broken disk) comes to light here.
pub(crate) fn sync(path: &Path) -> Result<(), JobError> {
    let root = File::open(path).doing(|| format!("opening {} to sync it", path.display()))?;
    nix::unistd::syncfs(&root).doing(|| format!("syncing the file system at {}", path.display()))
}
