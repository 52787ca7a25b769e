//! Build records as files: `builds/<id>/record.json`, replaced whole (written beside, synced, renamed), so that a record
//! is never half-written whatever dies when. Beside it lie `owner.lock`, held by the process that drives the build,
//! `cancel`, whose existence asks that process to end it, and `output.log`, what the agent said.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bakehouse_machine::Build;
use bakehouse_protocol::BuildId;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::ports::{StoreError, Version};

/// How often, and how far apart, a lock that may only be looked at is tried.
const OWN_TRIES: u32 = 5;
const OWN_PAUSE: Duration = Duration::from_millis(10);

/// The directory of records.
#[derive(Clone, Debug)]
pub struct Records {
    dir: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Saved<B> {
    version: u64,
    build: B,
}

/// A build in a listing, or why its record can't be read.
pub type Listed = (BuildId, Result<Build, StoreError>);

/// Holds a build for this process. The kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub struct Owner(#[allow(dead_code)] Flock<File>);

fn failed(operation: String) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Failed { operation, source: Box::new(source) }
}

impl Records {
    /// The records under a state directory; made if need be.
    ///
    /// # Errors
    /// [`StoreError::Failed`] naming the directory.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let dir = state.join("builds");
        // Records hold what the template holds, secrets too: they are for their owner only.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(failed(format!("making the directory {}", dir.display())))?;
        Ok(Self { dir })
    }

    fn path(&self, id: &BuildId, file: &str) -> PathBuf {
        self.dir.join(id.as_str()).join(file)
    }

    /// Where the agent's output is kept.
    pub fn log(&self, id: &BuildId) -> PathBuf {
        self.path(id, "output.log")
    }

    /// Takes down a new build, in this process's hands from the first moment.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; [`StoreError::Conflict`] if there is one of that name.
    pub fn create(&self, build: &Build) -> Result<Owner, StoreError> {
        let dir = self.dir.join(build.id.as_str());
        fs::create_dir(&dir).map_err(failed(format!("making the directory {}", dir.display())))?;
        let owner = self.own(&build.id)?.ok_or_else(|| StoreError::Conflict(build.id.clone()))?;
        self.write(build, 1)?;
        Ok(owner)
    }

    /// A record and its version.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or Failed if it can't be read or was written by another version of Bakehouse.
    pub fn load(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        let path = self.path(id, "record.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::NotFound(id.clone())),
            Err(error) => return Err(failed(format!("reading {}", path.display()))(error)),
        };
        let saved: Saved<Build> = serde_json::from_slice(&text).map_err(|error| StoreError::Failed {
            operation: format!("reading the record {} (perhaps of another version of Bakehouse)", path.display()),
            source: Box::new(error),
        })?;
        Ok((saved.build, Version(saved.version)))
    }

    /// Saves a record over the version that it was loaded as.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another was saved since.
    pub fn save(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        let guard = self.path(&build.id, "record.lock");
        let _held = lock(&guard, FlockArg::LockExclusive).map_err(failed(format!("locking {}", guard.display())))?;
        let (_, current) = self.load(&build.id)?;
        if current != version {
            return Err(StoreError::Conflict(build.id.clone()));
        }
        self.write(build, version.0 + 1)?;
        Ok(Version(version.0 + 1))
    }

    fn write(&self, build: &Build, version: u64) -> Result<(), StoreError> {
        let path = self.path(&build.id, "record.json");
        let operation = || format!("writing {}", path.display());
        let text = serde_json::to_vec(&Saved { version, build })
            .map_err(|error| StoreError::Failed { operation: operation(), source: Box::new(error) })?;
        replace(&path, &text).map_err(failed(operation()))
    }

    /// All builds, oldest first. One whose record can't be read is an error in its place.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the directory can't be read.
    pub fn all(&self) -> Result<Vec<Listed>, StoreError> {
        let operation = || format!("reading {}", self.dir.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed(operation()))? {
            let entry = entry.map_err(failed(operation()))?;
            if let Some(id) = entry.file_name().to_str().and_then(|name| BuildId::new(name).ok()) {
                let build = self.load(&id).map(|(build, _)| build);
                found.push((id, build));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// Takes a build into this process's hands. `None`: another living process has it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn own(&self, id: &BuildId) -> Result<Option<Owner>, StoreError> {
        let path = self.path(id, "owner.lock");
        for _ in 0..OWN_TRIES {
            match lock(&path, FlockArg::LockExclusiveNonblock) {
                Ok(held) => return Ok(Some(Owner(held))),
                // Held, or only looked at: whoever looks holds it for an instant.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(OWN_PAUSE),
                Err(error) => return Err(failed(format!("locking {}", path.display()))(error)),
            }
        }
        Ok(None)
    }

    /// Whether a living process has a build.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn is_owned(&self, id: &BuildId) -> Result<bool, StoreError> {
        let path = self.path(id, "owner.lock");
        match lock(&path, FlockArg::LockSharedNonblock) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(format!("locking {}", path.display()))(error)),
        }
    }

    /// Asks the process that has a build to end it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn ask_to_cancel(&self, id: &BuildId) -> Result<(), StoreError> {
        let path = self.path(id, "cancel");
        File::create(&path).map(drop).map_err(failed(format!("writing {}", path.display())))
    }

    /// Whether somebody has asked for the end of a build.
    pub fn is_asked_to_cancel(&self, id: &BuildId) -> bool {
        self.path(id, "cancel").exists()
    }

    /// Removes a build that has ended, with its log.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn remove(&self, id: &BuildId) -> Result<(), StoreError> {
        let dir = self.dir.join(id.as_str());
        fs::remove_dir_all(&dir).map_err(failed(format!("removing {}", dir.display())))
    }
}

/// A lock on a file, made if need be.
pub(crate) fn lock(path: &Path, kind: FlockArg) -> io::Result<Flock<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    Flock::lock(file, kind).map_err(|(_, errno)| errno.into())
}

/// Replaces a file whole: whoever reads it finds the old text or the new one.
pub(crate) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(dir)?;
    new.write_all(text)?;
    new.as_file().sync_data()?;
    new.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}
