//! Files that are being written.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    copy::{self, Holes},
    error::LocalError,
};
use crate::model::Owner;

/// The suffix of temporary names.
const PARTIAL: &str = ".partial";

/// A file that is being written. It gets its name only when it is complete; if it is dropped before, it is removed.
#[derive(Debug)]
pub(super) struct Partial {
    file: File,
    /// Its temporary name.
    path: PathBuf,
    /// Its name, if it is linked there already.
    linked: Option<PathBuf>,
    renamed: bool,
}

impl Partial {
    /// Creates a file that will be `target`. Its temporary name has the process that writes it, so that a later process
    /// can tell whether it is still being written.
    pub(super) fn create(target: &Path, owner: &Owner) -> Result<Self, LocalError> {
        let path = Self::temporary_name(target, owner);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(LocalError::io("creating", &path))?;
        Ok(Self { file, path, linked: None, renamed: false })
    }

    /// Links an existing file that will be `target`, too.
    pub(super) fn link(source: &Path, target: &Path, owner: &Owner) -> Result<Self, LocalError> {
        let path = Self::temporary_name(target, owner);
        let file = File::open(source).map_err(LocalError::disk("opening", source))?;
        fs::hard_link(source, &path).map_err(LocalError::io("linking the snapshot to", &path))?;
        Ok(Self { file, path, linked: None, renamed: false })
    }

    fn temporary_name(target: &Path, owner: &Owner) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut name = target.file_name().unwrap_or_default().to_owned();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}.{}.{count}{PARTIAL}", owner.pid, owner.start));
        target.with_file_name(name)
    }

    /// Its temporary name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Copies a disk into it and sets its size, in bytes.
    pub(super) fn fill(&self, source: &File, size: u64, holes: Holes) -> Result<(), LocalError> {
        let copied = copy::copy(source, &self.file, holes);
        copied.and_then(|()| self.file.set_len(size)).map_err(LocalError::io("copying to", &self.path))
    }

    /// Makes it an empty disk of this size, in bytes.
    pub(super) fn make_empty(&self, size: u64) -> Result<(), LocalError> {
        self.file.set_len(size).map_err(LocalError::io("making room in", &self.path))
    }

    /// Syncs its content and makes it read-only.
    pub(super) fn seal(&self) -> Result<(), LocalError> {
        self.file
            .sync_data()
            .and_then(|()| self.file.set_permissions(fs::Permissions::from_mode(0o444)))
            .map_err(LocalError::io("writing", &self.path))
    }

    /// Changes the name that it will have.
    pub(super) fn set_target(&mut self, target: &Path, owner: &Owner) -> Result<(), LocalError> {
        let path = Self::temporary_name(target, owner);
        fs::rename(&self.path, &path).map_err(LocalError::io("creating", &path))?;
        self.path = path;
        Ok(())
    }

    /// Links it to its name, in addition to its temporary one; fails if that exists, because a disk is never replaced,
    /// not even an unknown one. As long as it has both names it is not finished: the temporary one has the process that
    /// was to finish it.
    pub(super) fn link_to(&mut self, target: &Path) -> Result<(), LocalError> {
        fs::hard_link(&self.path, target).map_err(LocalError::io("creating", target))?;
        self.linked = Some(target.to_owned());
        Ok(())
    }

    /// Finishes it: removes its temporary name.
    pub(super) fn finish(mut self) {
        self.linked = None;
    }

    /// Renames it to its name. An existing file is replaced.
    pub(super) fn rename_to(mut self, target: &Path) -> Result<(), LocalError> {
        fs::rename(&self.path, target).map_err(LocalError::io("creating", target))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // If this fails, a later sweep finds the file by its temporary name, which is therefore removed last.
        if let Some(linked) = &self.linked {
            let _ = fs::remove_file(linked);
        }
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Reads a temporary name: the name that the file will have, and the process (pid and start) that writes it; `None` if
/// it is another name.
pub(super) fn parse_name(name: &str) -> Option<(&str, u32, u64)> {
    let mut parts = name.strip_suffix(PARTIAL)?.rsplitn(4, '.');
    parts.next()?;
    let start = parts.next()?.parse().ok()?;
    let pid = parts.next()?.parse().ok()?;
    Some((parts.next()?, pid, start))
}
