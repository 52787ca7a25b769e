//! What processes that died left behind.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{SnapshotId, VolumeId};

use super::{LocalCloud, LocalError, copy, device, process, state::Lock};
use crate::{
    Model,
    model::{DiskId, Owner},
};

/// Something that belongs to nothing any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// A loop device with a file of ours behind it that no live process keeps.
    Loop {
        /// As `/dev/loop3`.
        device: PathBuf,
        /// The file.
        backing: PathBuf,
    },
    /// A link to a device that is not the volume's any more.
    Link(PathBuf),
    /// A file that was being written by a process that is gone.
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
    /// Copies that died with their process: a volume is taken back with its client token, a snapshot is an error.
    pub(super) fn reconcile_held(&self, model: &mut Model) {
        let now = self.now();
        for (region, resource, owner) in model.held() {
            if owner == self.owner || process::alive(&owner) {
                continue;
            }
            match resource {
                DiskId::Volume(id) => model.drop_volume(&region, &id),
                DiskId::Snapshot(id) => {
                    let why = format!("Process {} ended while it was copying the volume", owner.pid);
                    // It is there: it was listed a moment ago.
                    let _ = model.fail_snapshot(now, &region, &id, why);
                }
            }
        }
    }

    /// All that died with its process, attachments included. Cheap if there is nothing to do.
    pub(super) fn reconcile(&self, model: &mut Model) {
        self.reconcile_held(model);
        let now = self.now();
        let dead: Vec<_> = model
            .attachments(now)
            .into_iter()
            .filter(|it| it.owner.as_ref().is_none_or(|owner| !process::alive(owner)))
            .collect();
        if dead.is_empty() {
            return;
        }
        let loops = device::under(&self.dir);
        for attachment in dead {
            let path = self.volume_path(&attachment.volume);
            // Still mounted somewhere: then it is still attached.
            if loops.iter().filter(|it| it.backing == path).all(|it| device::free(it).is_ok()) {
                self.unlink(&attachment.volume);
                model.end_attachment(now, &attachment.region, &attachment.volume);
            }
        }
    }

    /// Removes files that were being made by processes that are gone.
    pub(super) fn remove_dead_partials(&self, model: &Model) {
        for partial in self.dead_partials(model) {
            // Left to a sweep if it can't be removed.
            let _ = partial.remove();
        }
    }

    fn dead_partials(&self, model: &Model) -> Vec<DeadPartial> {
        let held: Vec<DiskId> = model.held().into_iter().map(|(_, resource, _)| resource).collect();
        let known = super::resources(model, self.now());
        let dead = |path: PathBuf| {
            let (name, pid, start) = copy::partial_of(path.file_name()?.to_str()?)?;
            let (named, owner) = (path.with_file_name(name), Owner { pid, start, boot: self.owner.boot.clone() });
            let resource = resource_of(&named);
            // One that the state still has as being made is first taken out of it.
            if process::alive(&owner) || resource.as_ref().is_some_and(|it| held.contains(it)) {
                return None;
            }
            let is_finished = resource.is_some_and(|it| known.contains(&it));
            let named = Some(named).filter(|named| !is_finished && copy::is_same_file(named, &path));
            Some(DeadPartial { path, named })
        };
        self.disks().into_iter().filter_map(dead).collect()
    }

    /// All files in the directories of volumes and snapshots.
    fn disks(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = ["volumes", "snapshots"]
            .into_iter()
            .flat_map(|name| fs::read_dir(self.dir.join(name)).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .collect();
        all.sort();
        all
    }

    /// What processes that died have left behind, by proof: what a live process keeps is not among it, and neither is a
    /// disk only because the state does not know it ([`LocalCloud::unknown_disks`]).
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn leftovers(&self) -> Result<Vec<Leftover>, LocalError> {
        // Under the lock, so that nothing that is just being made looks left behind.
        let _lock = self.state.lock()?;
        let model = self.view()?;
        let now = self.now();
        let kept: Vec<PathBuf> = model
            .attachments(now)
            .into_iter()
            .filter(|it| it.owner.as_ref().is_some_and(process::alive))
            .map(|it| self.volume_path(&it.volume))
            .collect();
        let loops = device::under(&self.dir);
        let mut left: Vec<Leftover> = loops
            .iter()
            .filter(|it| !kept.contains(&it.backing))
            .map(|it| Leftover::Loop { device: Path::new("/dev").join(&it.name), backing: it.backing.clone() })
            .collect();
        left.extend(self.stale_links(&loops, &kept).into_iter().map(Leftover::Link));
        left.extend(self.dead_partials(&model).into_iter().map(|it| Leftover::Partial(it.path)));
        Ok(left)
    }

    /// Disks that the state does not know: it was begun anew, or an older one was put back. They are kept until somebody
    /// asks for [`LocalCloud::remove_unknown`].
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn unknown_disks(&self) -> Result<Vec<PathBuf>, LocalError> {
        // Under the lock, so that nothing that is just being made looks unknown.
        let lock = self.state.lock()?;
        self.unknown(&lock)
    }

    fn unknown(&self, _locked: &Lock) -> Result<Vec<PathBuf>, LocalError> {
        let state = self.load()?;
        let known = super::resources(&state.model, self.now());
        let is_unknown =
            |path: &PathBuf| resource_of(path).is_some_and(|it| !known.contains(&it) && !state.removed.contains(&it));
        Ok(self.disks().into_iter().filter(is_unknown).collect())
    }

    /// Removes a disk that the state does not know.
    ///
    /// # Errors
    /// [`LocalError::Known`] if the state knows it by now; [`LocalError::Io`].
    pub fn remove_unknown(&self, path: &Path) -> Result<(), LocalError> {
        let lock = self.state.lock()?;
        if self.unknown(&lock)?.iter().any(|unknown| unknown == path) {
            return remove(path);
        }
        Err(LocalError::Known { path: path.to_owned() })
    }

    fn stale_links(&self, loops: &[device::Found], kept: &[PathBuf]) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.by_id()).into_iter().flatten().flatten();
        let good: Vec<(PathBuf, PathBuf)> = loops
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
                !good.iter().any(|(link, device)| link == path && Some(device) == target.as_ref())
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
                let found = device::under(&self.dir).into_iter();
                let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
                // It may have gone by itself meanwhile, or be somebody else's by now.
                match found.into_iter().find(|it| it.name == name && it.backing == *backing) {
                    Some(found) => device::free(&found),
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

/// A file that a process was making which is gone.
struct DeadPartial {
    /// The name that says so.
    path: PathBuf,
    /// The name that it was to have, if it has it already.
    named: Option<PathBuf>,
}

impl DeadPartial {
    /// The name that tells of it goes last.
    fn remove(&self) -> Result<(), LocalError> {
        self.named.as_deref().map_or(Ok(()), remove)?;
        remove(&self.path)
    }
}

/// The volume or snapshot that a file is the disk of, by its name.
fn resource_of(path: &Path) -> Option<DiskId> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".raw")?;
    let volume = VolumeId::new(stem).ok().map(DiskId::Volume);
    volume.or_else(|| SnapshotId::new(stem).ok().map(DiskId::Snapshot))
}

/// Removes a file; one that has gone meanwhile is as good.
fn remove(path: &Path) -> Result<(), LocalError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(LocalError::io("removing", path)(error)),
        _ => Ok(()),
    }
}
