//! Clearing what a killed agent left. Its mounts and processes ended with it; an empty cgroup, an empty mount point and
//! its directory may still be there.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::{cgroup::Cgroup, rundir::RunDir};

/// Something that an agent left when it was killed, and that is gone now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// A cgroup; what was in it was killed.
    Cgroup(PathBuf),
    /// An empty directory that had been a mount point.
    MountPoint(PathBuf),
    /// A job's own directory.
    JobDirectory(PathBuf),
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cgroup(path) => write!(f, "cgroup {}", path.display()),
            Self::MountPoint(path) => write!(f, "mount point {}", path.display()),
            Self::JobDirectory(path) => write!(f, "job directory {}", path.display()),
        }
    }
}

/// Something that could not be cleared.
#[derive(Debug, thiserror::Error)]
#[error("clearing {} of an agent that was killed", path.display())]
pub struct RecoverError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Removes what agents that were killed left, and says what it was. Jobs that are running are left alone.
///
/// # Errors
/// [`RecoverError`] with the first thing that could not be removed.
pub fn recover(run_dir: &Path) -> Result<Vec<Leftover>, RecoverError> {
    let error = |path: &Path| {
        let path = path.to_owned();
        move |source| RecoverError { path, source }
    };
    let entries = match fs::read_dir(run_dir) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(error(run_dir)(source)),
    };
    let mut cleared = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let Some(dir) = RunDir::take_over(&path).map_err(error(&path))? else {
            continue;
        };
        if let Some(group) = dir.cgroup() {
            Cgroup::at(group.clone()).remove().map_err(error(&group))?;
            cleared.push(Leftover::Cgroup(group));
        }
        for point in dir.mount_points().into_iter().rev() {
            match fs::remove_dir(&point) {
                Ok(()) => cleared.push(Leftover::MountPoint(point)),
                // Gone, or in use again.
                Err(_) => continue,
            }
        }
        dir.remove().map_err(error(&path))?;
        cleared.push(Leftover::JobDirectory(path));
    }
    Ok(cleared)
}
