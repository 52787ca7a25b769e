//! Unmounting: whatever lies under the root, the deepest first, found by mount id and not by a path's first letters.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use nix::errno::Errno;

use crate::{
    host::{MountEntry, below},
    stop::{Doing, Fault},
    story::Context,
};

/// How long a busy mount is tried again: the kernel lets go of what ended processes held a moment after they ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// Unmounts everything that is mounted on the root or below, also what a provisioner mounted and what the same device
/// was mounted at by a host command, but not the root.
pub(crate) fn unmount_below(cx: &Context<'_>, root: &MountEntry) -> Result<(), Fault> {
    // A mount may hide another one, so look again until there is none.
    for _ in 0..64 {
        let all = cx.host.mounts().doing(|| "reading the mount table".to_owned())?;
        let mut mounts = below(&all, root.id);
        let known: Vec<u64> = mounts.iter().map(|mount| mount.id).collect();
        let again = all.iter().filter(|m| m.device == root.device && m.id != root.id && !known.contains(&m.id));
        mounts.extend(again.cloned());
        if mounts.is_empty() {
            return Ok(());
        }
        for mount in mounts.iter().rev() {
            unmount_one(cx, mount)?;
        }
    }
    Err(Fault::wrong(format!("new mounts keep appearing under {}", root.target.display())))
}

/// Unmounts one; if it stays busy, says who keeps it so.
pub(crate) fn unmount_one(cx: &Context<'_>, mount: &MountEntry) -> Result<(), Fault> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(2);
    loop {
        let error = match cx.host.unmount(&mount.target) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let name = format!("unmounting {} ({} from {})", mount.target.display(), mount.kind, mount.source);
        match error.raw_os_error().map(Errno::from_raw) {
            // Gone, or never seen by us: nothing to unmount here.
            Some(Errno::EINVAL | Errno::ENOENT) if !still_there(cx, mount) => return Ok(()),
            Some(Errno::EBUSY) if Instant::now() < end => {}
            Some(Errno::EBUSY) => {
                let holders = cx.host.holders(mount);
                let who = if holders.is_empty() { "nobody that can be seen".to_owned() } else { holders.join("; ") };
                return Err(Fault::Io { doing: format!("{name}, held by {who}"), source: error });
            }
            _ => {
                return Err(Fault::Io { doing: name, source: error });
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
pub(crate) fn sync(path: &Path) -> Result<(), Fault> {
    let root = File::open(path).doing(|| format!("opening {} to sync it", path.display()))?;
    nix::unistd::syncfs(&root).doing(|| format!("syncing the file system at {}", path.display()))
}
