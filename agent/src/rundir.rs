//! A job's directory on the host: what it needs while it runs, and what the next start must know should it be killed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bakehouse_protocol::BuildId;
use nix::fcntl::{Flock, FlockArg};

/// Held locked while the job's keeper lives.
const LOCK: &str = "lock";
/// The path of the job's cgroup.
const CGROUP: &str = "cgroup";
/// The disk that the job took.
const DEVICE: &str = "device";
/// How long a new job waits for the lock: somebody may just be looking whether the job lives.
const LOOKED_AT: Duration = Duration::from_secs(1);

/// A job's directory, locked.
pub(crate) struct RunDir {
    pub(crate) path: PathBuf,
    _lock: Option<Flock<File>>,
}

impl RunDir {
    /// Makes it. An error of kind `AlreadyExists` if the job is running.
    pub(crate) fn make(run_dir: &Path, build: &BuildId) -> io::Result<Self> {
        let path = run_dir.join(build.as_str());
        let end = Instant::now() + LOOKED_AT;
        loop {
            fs::create_dir_all(&path)?;
            match Self::take(&path, true) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => return other,
            }
        }
    }

    /// Takes over a directory that an earlier agent left; `None` if that one still lives.
    pub(crate) fn take_over(path: &Path) -> io::Result<Option<Self>> {
        Self::unless_held(Self::take(path, true))
    }

    /// The same for one who only looks and changes nothing.
    pub(crate) fn look(path: &Path) -> io::Result<Option<Self>> {
        Self::unless_held(match Self::take(path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { path: path.to_owned(), _lock: None }),
            other => other,
        })
    }

    fn unless_held(taken: io::Result<Self>) -> io::Result<Option<Self>> {
        match taken {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(path: &Path, make: bool) -> io::Result<Self> {
        let file = fs::OpenOptions::new().create(make).truncate(false).write(true).open(path.join(LOCK))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: Some(lock) }),
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
