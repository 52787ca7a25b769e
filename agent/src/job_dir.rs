//! The directory of a job on the host, `<run_dir>/<build>`. It holds the job's lock, and what must be known to clean up
//! after a killed agent.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bakehouse_protocol::BuildId;
use nix::fcntl::{Flock, FlockArg};

/// The file that the supervisor holds locked.
const LOCK: &str = "lock";
/// The file with the path of the job's cgroup.
const CGROUP: &str = "cgroup";
/// The file with the path of the job's disk.
const DEVICE: &str = "device";
/// How long a new job waits for the lock: another process may hold it for a moment to check whether the job is running.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The directory of a job, locked by this process.
pub(crate) struct JobDir {
    pub(crate) path: PathBuf,
    _lock: Option<Flock<File>>,
}

impl JobDir {
    /// Creates and locks it. The error is of kind `AlreadyExists` if the job is running.
    pub(crate) fn create(run_dir: &Path, build: &BuildId) -> io::Result<Self> {
        let path = run_dir.join(build.as_str());
        let end = Instant::now() + LOCK_TIMEOUT;
        loop {
            fs::create_dir_all(&path)?;
            match Self::lock(&path, true) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => return other,
            }
        }
    }

    /// Locks a directory that an earlier agent left; `None` if that agent is alive.
    pub(crate) fn take_over(path: &Path) -> io::Result<Option<Self>> {
        Self::unless_locked(Self::lock(path, true))
    }

    /// Like [`JobDir::take_over`], but changes nothing: a directory without a lock file is returned unlocked.
    pub(crate) fn inspect(path: &Path) -> io::Result<Option<Self>> {
        Self::unless_locked(match Self::lock(path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { path: path.to_owned(), _lock: None }),
            other => other,
        })
    }

    fn unless_locked(locked: io::Result<Self>) -> io::Result<Option<Self>> {
        match locked {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lock(path: &Path, create: bool) -> io::Result<Self> {
        let file = fs::OpenOptions::new().create(create).truncate(false).write(true).open(path.join(LOCK))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: Some(lock) }),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                Err(io::Error::new(io::ErrorKind::AlreadyExists, "another agent is running this job"))
            }
            Err((_, error)) => Err(error.into()),
        }
    }

    /// Records the path of the job's cgroup.
    pub(crate) fn record_cgroup(&self, path: &Path) -> io::Result<()> {
        fs::write(self.path.join(CGROUP), path.display().to_string())
    }

    /// Returns the recorded path of the cgroup.
    pub(crate) fn cgroup(&self) -> Option<PathBuf> {
        fs::read_to_string(self.path.join(CGROUP)).ok().filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Returns the recorded path of the disk that the job has opened or tried to open.
    pub(crate) fn device(&self) -> Option<PathBuf> {
        fs::read_to_string(self.path.join(DEVICE)).ok().filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Removes the directory.
    pub(crate) fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

/// Records the path of the disk that the job is about to open.
pub(crate) fn record_device(job_dir: &Path, device: &Path) -> io::Result<()> {
    fs::write(job_dir.join(DEVICE), device.display().to_string())
}
