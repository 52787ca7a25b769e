//! What processes that died left behind.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use bakehouse_protocol::{SnapshotId, VolumeId};

use super::{LocalCloud, LocalError, copy, device, process};
use crate::{
    Model,
    model::{Held, Owner},
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
    /// A disk that the state knows nothing of.
    Orphan(PathBuf),
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loop { device, backing } => {
                write!(f, "loop device {} with {} behind it", device.display(), backing.display())
            }
            Self::Link(path) => write!(f, "stale link {}", path.display()),
            Self::Partial(path) => write!(f, "half-written file {}", path.display()),
            Self::Orphan(path) => write!(f, "disk {}, which belongs to nothing", path.display()),
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
                Held::Volume(id) => model.drop_volume(&region, &id),
                Held::Snapshot(id) => {
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

    /// Removes half-written files whose process is gone.
    pub(super) fn remove_dead_partials(&self) {
        for path in self.dead_partials() {
            // Left to a sweep if it can't be removed.
            let _ = fs::remove_file(path);
        }
    }

    fn dead_partials(&self) -> Vec<PathBuf> {
        let boot = self.owner.boot.clone();
        let dead = |path: &PathBuf| {
            let owner = path.file_name().and_then(|name| copy::partial_owner(name.to_str()?));
            owner.is_some_and(|(pid, start)| !process::alive(&Owner { pid, start, boot: boot.clone() }))
        };
        self.disks().into_iter().filter(dead).collect()
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

    /// What is left behind. What a live process keeps is not.
    ///
    /// # Errors
    /// As [`LocalCloud::open`].
    pub fn leftovers(&self) -> Result<Vec<Leftover>, LocalError> {
        // Under the lock, so that nothing that is just being made looks like an orphan.
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
        left.extend(self.dead_partials().into_iter().map(Leftover::Partial));
        let known = super::resources(&model, now);
        let orphan = |path: &PathBuf| {
            let stem = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".raw"));
            stem.is_some_and(|stem| {
                let resource = match (VolumeId::new(stem), SnapshotId::new(stem)) {
                    (Ok(id), _) => Held::Volume(id),
                    (_, Ok(id)) => Held::Snapshot(id),
                    _ => return false,
                };
                !known.contains(&resource)
            })
        };
        left.extend(self.disks().into_iter().filter(orphan).map(Leftover::Orphan));
        Ok(left)
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
            Leftover::Link(path) | Leftover::Partial(path) | Leftover::Orphan(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(LocalError::io("removing", path)(error))
                }
                _ => Ok(()),
            },
        }
    }
}
