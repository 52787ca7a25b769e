//! Finding and removing what processes that died left behind.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{SnapshotId, VolumeId};

use super::{
    cloud::{LocalCloud, disks_of},
    copy,
    device::{self, AttachedLoop},
    error::LocalError,
    partial, process, reconcile,
    state::Lock,
};
use crate::{
    Model,
    model::{DiskId, Owner},
};

/// Something that a dead process left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// A loop device with a file of this directory, which no live process keeps open.
    Loop {
        /// As `/dev/loop3`.
        device: PathBuf,
        /// The file.
        backing: PathBuf,
    },
    /// A link to a device that is no longer the volume's.
    Link(PathBuf),
    /// A file that a dead process was writing.
    Partial(PathBuf),
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop { device, backing } => {
                write!(f, "loop device {} with {} behind it", device.display(), backing.display())
            }
            Self::Link(path) => write!(f, "stale link {}", path.display()),
            Self::Partial(path) => write!(f, "half-written file {}", path.display()),
        }
    }
}

impl LocalCloud {
    /// Ends the copies and attachments of dead processes. Cheap if there are none.
    pub(super) fn reconcile(&self, model: &mut Model) {
        let now = self.now();
        reconcile::end_dead_copies(model, now, &self.owner);
        let dead: Vec<_> = model
            .attachments(now)
            .into_iter()
            .filter(|it| it.owner.as_ref().is_none_or(|owner| !process::is_alive(owner)))
            .collect();
        if dead.is_empty() {
            return;
        }
        let loops = device::loops_under(&self.dir);
        for attachment in dead {
            let path = self.volume_path(&attachment.volume);
            // A device that is still mounted stays attached.
            if loops.iter().filter(|it| it.backing == path).all(|it| device::detach_unused(it).is_ok()) {
                self.unlink(&attachment.volume);
                model.end_attachment(now, &attachment.region, &attachment.volume);
            }
        }
    }

    /// Removes files that dead processes were writing.
    pub(super) fn remove_dead_partials(&self, model: &Model) {
        for partial in self.dead_partials(model) {
            // One that can't be removed is left to a sweep.
            let _ = partial.remove();
        }
    }

    fn dead_partials(&self, model: &Model) -> Vec<DeadPartial> {
        let held: Vec<DiskId> = model.held().into_iter().map(|(_, resource, _)| resource).collect();
        let known = disks_of(model, self.now());
        let dead = |path: PathBuf| {
            let (name, pid, start) = partial::parse_name(path.file_name()?.to_str()?)?;
            let (linked, owner) = (path.with_file_name(name), Owner { pid, start, boot: self.owner.boot.clone() });
            let disk = disk_id(&linked);
            // One that the state still has as being copied is first removed from the state.
            if process::is_alive(&owner) || disk.as_ref().is_some_and(|it| held.contains(it)) {
                return None;
            }
            let is_finished = disk.is_some_and(|it| known.contains(&it));
            let linked = Some(linked).filter(|linked| !is_finished && copy::is_same_file(linked, &path));
            Some(DeadPartial { path, linked })
        };
        self.files().into_iter().filter_map(dead).collect()
    }

    /// All files in the directories of volumes and snapshots.
    fn files(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = ["volumes", "snapshots"]
            .into_iter()
            .flat_map(|name| fs::read_dir(self.dir.join(name)).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .collect();
        all.sort();
        all
    }

    /// What dead processes have left behind: nothing that a live process keeps, and no disk merely because the state
    /// does not know it ([`LocalCloud::unknown_disks`]).
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn leftovers(&self) -> Result<Vec<Leftover>, LocalError> {
        // Under the lock, so that nothing that is just being created counts.
        let _lock = self.state.lock()?;
        let model = self.view()?;
        let now = self.now();
        let kept: Vec<PathBuf> = model
            .attachments(now)
            .into_iter()
            .filter(|it| it.owner.as_ref().is_some_and(process::is_alive))
            .map(|it| self.volume_path(&it.volume))
            .collect();
        let loops = device::loops_under(&self.dir);
        let mut left: Vec<Leftover> = loops
            .iter()
            .filter(|it| !kept.contains(&it.backing))
            .map(|it| Leftover::Loop { device: Path::new("/dev").join(&it.name), backing: it.backing.clone() })
            .collect();
        left.extend(self.stale_links(&loops, &kept).into_iter().map(Leftover::Link));
        left.extend(self.dead_partials(&model).into_iter().map(|it| Leftover::Partial(it.path)));
        Ok(left)
    }

    /// Disks that the state does not know, because it is new or an older one was restored. They are kept until
    /// [`LocalCloud::remove_unknown`].
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn unknown_disks(&self) -> Result<Vec<PathBuf>, LocalError> {
        // Under the lock, so that nothing that is just being created counts.
        let lock = self.state.lock()?;
        self.unknown(&lock)
    }

    fn unknown(&self, _locked: &Lock) -> Result<Vec<PathBuf>, LocalError> {
        let state = self.load()?;
        let known = disks_of(&state.model, self.now());
        let is_unknown =
            |path: &PathBuf| disk_id(path).is_some_and(|it| !known.contains(&it) && !state.removed.contains(&it));
        Ok(self.files().into_iter().filter(is_unknown).collect())
    }

    /// Removes a disk that the state does not know.
    ///
    /// # Errors
    /// [`LocalError::Known`] if the state knows it now; [`LocalError::Io`].
    pub fn remove_unknown(&self, path: &Path) -> Result<(), LocalError> {
        let lock = self.state.lock()?;
        if self.unknown(&lock)?.iter().any(|unknown| unknown == path) {
            return remove(path);
        }
        Err(LocalError::Known { path: path.to_owned() })
    }

    fn stale_links(&self, loops: &[AttachedLoop], kept: &[PathBuf]) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.by_id()).into_iter().flatten().flatten();
        let current: Vec<(PathBuf, PathBuf)> = loops
            .iter()
            .filter(|it| kept.contains(&it.backing))
            .filter_map(|it| {
                let id = VolumeId::new(it.backing.file_stem()?.to_str()?).ok()?;
                Some((self.link_path(&id), Path::new("/dev").join(&it.name)))
            })
            .collect();
        let mut stale: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| {
                let target = fs::read_link(path).ok();
                !current.iter().any(|(link, device)| link == path && Some(device) == target.as_ref())
            })
            .collect();
        stale.sort();
        stale
    }

    /// Removes one leftover.
    ///
    /// # Errors
    /// [`LocalError::Busy`] for a device that is still mounted; [`LocalError::Io`].
    pub fn remove_leftover(&self, leftover: &Leftover) -> Result<(), LocalError> {
        match leftover {
            Leftover::Loop { device, backing } => {
                let found = device::loops_under(&self.dir).into_iter();
                let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
                // It may have been detached meanwhile, and even be used for another file.
                match found.into_iter().find(|it| it.name == name && it.backing == *backing) {
                    Some(found) => device::detach_unused(&found),
                    None => Ok(()),
                }
            }
            Leftover::Link(path) => remove(path),
            Leftover::Partial(path) => {
                let _lock = self.state.lock()?;
                let mut dead = self.dead_partials(&self.view()?).into_iter();
                dead.find(|it| it.path == *path).map_or(Ok(()), |it| it.remove())
            }
        }
    }
}

/// A file that a dead process was writing.
struct DeadPartial {
    /// Its temporary name.
    path: PathBuf,
    /// Its name, if it is linked there already.
    linked: Option<PathBuf>,
}

impl DeadPartial {
    /// The temporary name, by which it is found, is removed last.
    fn remove(&self) -> Result<(), LocalError> {
        self.linked.as_deref().map_or(Ok(()), remove)?;
        remove(&self.path)
    }
}

/// The volume or snapshot whose disk a file is, by its name.
fn disk_id(path: &Path) -> Option<DiskId> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".raw")?;
    let volume = VolumeId::new(stem).ok().map(DiskId::Volume);
    volume.or_else(|| SnapshotId::new(stem).ok().map(DiskId::Snapshot))
}

/// Removes a file, if it exists.
fn remove(path: &Path) -> Result<(), LocalError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LocalError::io("removing", path)(error)),
        _ => Ok(()),
    }
}
