//! A job's directory on the host: what it needs while it runs, and what the next start must know should it be killed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use bakehouse_protocol::BuildId;
use nix::fcntl::{Flock, FlockArg};

/// Held locked while the job's keeper lives.
const LOCK: &str = "lock";
/// The path of the job's cgroup.
const CGROUP: &str = "cgroup";
/// The disk that the job took.
const DEVICE: &str = "device";
/// Mount points that were made on the host, outermost first, one a line.
const MOUNT_POINTS: &str = "mount-points";

/// A job's directory, locked.
pub(crate) struct RunDir {
    pub(crate) path: PathBuf,
    _lock: Flock<File>,
}

impl RunDir {
    /// Makes it. An error of kind `AlreadyExists` if the job is running.
    pub(crate) fn make(run_dir: &Path, build: &BuildId) -> io::Result<Self> {
        Self::take(&run_dir.join(build.as_str()), true)
    }

    /// Takes over a directory that an earlier agent left; `None` if that one still lives.
    pub(crate) fn take_over(path: &Path) -> io::Result<Option<Self>> {
        match Self::take(path, false) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(path: &Path, make: bool) -> io::Result<Self> {
        if make {
            fs::create_dir_all(path)?;
        }
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                Err(io::Error::new(io::ErrorKind::AlreadyExists, "another agent is running this job"))
            }
            Err((_, error)) => Err(error.into()),
        }
    }

    pub(crate) fn remember_cgroup(&self, path: &Path) -> io::Result<()> {
        fs::write(self.path.join(CGROUP), path.display().to_string())
    }

    pub(crate) fn cgroup(&self) -> Option<PathBuf> {
        fs::read_to_string(self.path.join(CGROUP)).ok().filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    pub(crate) fn mount_points(&self) -> Vec<PathBuf> {
        let lines = fs::read_to_string(self.path.join(MOUNT_POINTS)).unwrap_or_default();
        lines.lines().map(PathBuf::from).collect()
    }

    /// The disk that the job took, or tried to take.
    pub(crate) fn device(&self) -> Option<PathBuf> {
        fs::read_to_string(self.path.join(DEVICE)).ok().filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Removes it.
    pub(crate) fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

/// Notes the disk that the job is about to take.
pub(crate) fn remember_device(dir: &Path, device: &Path) -> io::Result<()> {
    fs::write(dir.join(DEVICE), device.display().to_string())
}

/// Notes mount points that the job has made.
pub(crate) fn remember_mount_point(dir: &Path, made: &[PathBuf]) -> io::Result<()> {
    let lines: String = made.iter().map(|path| format!("{}\n", path.display())).collect();
    fs::write(dir.join(MOUNT_POINTS), lines)
}
