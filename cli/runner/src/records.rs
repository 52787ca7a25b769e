//! Build records as files: `builds/<id>/record.json`, replaced atomically (written beside, synced, renamed). In the
//! same directory are `owner.lock`, held by the process that drives the build; `cancel`, whose existence requests
//! cancelling; `output.log`, the agent's reports; and for a build in AWS with access options `access.json`, without the
//! secrets, for a later process that must undo the build.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bakehouse_disk::file;
use bakehouse_machine::Build;
use bakehouse_protocol::{BuildId, access::PersistedAccess};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::{access, files::failed};
use bakehouse_controller::ports::{StoreError, Version};

/// How often, and at which interval, a lock is tried: another process may hold it for a moment to check it.
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(10);

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

/// The prefix of the directory of a build that is being created, and the age after which it counts as abandoned.
const NEW_PREFIX: &str = ".new-";
const NEW_EXPIRY: Duration = Duration::from_secs(2);

/// A build's id and its record, or why the record can't be read.
pub type LoadedBuild = (BuildId, Result<Build, StoreError>);

/// The lock of a build that this process drives. The kernel releases it when the process ends.
#[derive(Debug)]
pub struct OwnerLock(#[allow(dead_code)] Flock<File>);

impl Records {
    /// Opens the records in a state directory, which is created if missing.
    ///
    /// # Errors
    /// [`StoreError::Failed`] naming the directory.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let dir = state.join("builds");
        if dir.is_dir() {
            let records = Self { dir };
            records.remove_abandoned();
            return Ok(records);
        }
        // Records contain the template's secrets: only their owner may read them.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(failed(format!("making the directory {}", dir.display())))?;
        Ok(Self { dir })
    }

    fn file(&self, id: &BuildId, file: &str) -> PathBuf {
        self.path(id).join(file)
    }

    /// Returns the directory of a build, which may not exist.
    pub fn path(&self, id: &BuildId) -> PathBuf {
        self.dir.join(id.as_str())
    }

    /// Returns the file of the agent's reports.
    pub fn log(&self, id: &BuildId) -> PathBuf {
        self.file(id, "output.log")
    }

    /// Saves a new build, which this process owns from the start.
    ///
    /// # Errors
    /// [`StoreError::Failed`], also if there is a build of this id.
    pub fn create(&self, build: &Build) -> Result<OwnerLock, StoreError> {
        self.create_with(build, &PersistedAccess::default())
    }

    /// Saves a new build with its access to AWS.
    ///
    /// # Errors
    /// Those of [`Self::create`].
    pub fn create_with(&self, build: &Build, access: &PersistedAccess) -> Result<OwnerLock, StoreError> {
        let new = self.dir.join(format!("{NEW_PREFIX}{}", build.id));
        let dir = self.dir.join(build.id.as_str());
        fs::create_dir(&new).map_err(failed(format!("making the directory {}", new.display())))?;
        let path = new.join("owner.lock");
        let held =
            lock(&path, FlockArg::LockExclusiveNonblock).map_err(failed(format!("locking {}", path.display())))?;
        access::write(&new, access)?;
        write(&new.join("record.json"), build, 1)?;
        // Renamed only when complete.
        fs::rename(&new, &dir).map_err(failed(format!("making the directory {}", dir.display())))?;
        Ok(OwnerLock(held))
    }

    /// Removes directories of processes that were killed while they created a build. Their locks are free; that of a
    /// living process is held except for a moment after its creation, which the age excludes.
    fn remove_abandoned(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_new =
                path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NEW_PREFIX));
            let age =
                fs::metadata(&path).and_then(|metadata| metadata.modified()).ok().and_then(|at| at.elapsed().ok());
            let is_held = || matches!(is_locked(&path.join("owner.lock")), Ok(true));
            if is_new && age.is_some_and(|age| age > NEW_EXPIRY) && !is_held() {
                // A directory that can't be removed does no harm.
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// Returns a build's access to AWS, without secrets.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if that can't be read.
    pub fn access(&self, id: &BuildId) -> Result<PersistedAccess, StoreError> {
        access::read(&self.path(id))
    }

    /// Returns a record and its version.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or Failed if it can't be read or was written by another version of Bakehouse.
    pub fn load(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        let path = self.file(id, "record.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::NotFound(id.clone())),
            Err(error) => return Err(failed(format!("reading {}", path.display()))(error)),
        };
        let saved: Saved<Build> = serde_json::from_slice(&text).map_err(|error| StoreError::Failed {
            operation: format!("reading the record {} (perhaps of another version of Bakehouse)", path.display()),
            source: Box::new(error),
        })?;
        if saved.build.format != bakehouse_protocol::VERSION {
            let (is, knows) = (saved.build.format, bakehouse_protocol::VERSION);
            let source = format!("it is of format {is}, and this program knows {knows}").into();
            return Err(StoreError::Failed { operation: format!("reading the record {}", path.display()), source });
        }
        Ok((saved.build, Version(saved.version)))
    }

    /// Saves a record in place of the version that was loaded.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another version was saved since.
    pub fn save(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        let guard = self.file(&build.id, "record.lock");
        let _held = lock(&guard, FlockArg::LockExclusive).map_err(failed(format!("locking {}", guard.display())))?;
        let (_, current) = self.load(&build.id)?;
        if current != version {
            return Err(StoreError::Conflict(build.id.clone()));
        }
        write(&self.file(&build.id, "record.json"), build, version.0 + 1)?;
        Ok(Version(version.0 + 1))
    }

    /// Returns all builds, oldest first. A record that can't be read is an error in its place.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if the directory can't be read.
    pub fn all(&self) -> Result<Vec<LoadedBuild>, StoreError> {
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

    /// Returns the unfinished builds of dead processes, oldest first. Unreadable records are skipped.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn unfinished(&self) -> Result<Vec<Build>, StoreError> {
        let mut left = Vec::new();
        for (id, build) in self.all()? {
            if build.is_ok_and(|build| build.phase.has_ended()) || self.is_owned(&id)? {
                continue;
            }
            // Read again: it may have ended before its lock was checked.
            if let Ok((build, _)) = self.load(&id)
                && !build.phase.has_ended()
            {
                left.push(build);
            }
        }
        Ok(left)
    }

    /// Returns the builds that have ended and have left something, oldest first. Unreadable records are skipped.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn with_leftovers(&self) -> Result<Vec<Build>, StoreError> {
        let builds = self.all()?.into_iter().filter_map(|(_, build)| build.ok());
        Ok(builds.filter(|build| build.phase.has_ended() && !build.leftovers.is_empty()).collect())
    }

    /// Takes ownership of a build. `None`: another living process owns it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn own(&self, id: &BuildId) -> Result<Option<OwnerLock>, StoreError> {
        let path = self.file(id, "owner.lock");
        for _ in 0..LOCK_ATTEMPTS {
            match lock(&path, FlockArg::LockExclusiveNonblock) {
                Ok(held) => return Ok(Some(OwnerLock(held))),
                // Owned, or held for a moment by a process that checks it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(LOCK_RETRY_INTERVAL),
                Err(error) => return Err(failed(format!("locking {}", path.display()))(error)),
            }
        }
        Ok(None)
    }

    /// Whether a living process owns a build.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn is_owned(&self, id: &BuildId) -> Result<bool, StoreError> {
        let path = self.file(id, "owner.lock");
        is_locked(&path).map_err(failed(format!("locking {}", path.display())))
    }

    /// Requests the owner of a build to cancel it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn request_cancel(&self, id: &BuildId) -> Result<(), StoreError> {
        let path = self.file(id, "cancel");
        File::create(&path).map(drop).map_err(failed(format!("writing {}", path.display())))
    }

    /// Whether the cancellation of a build was requested.
    pub fn is_cancel_requested(&self, id: &BuildId) -> bool {
        self.file(id, "cancel").exists()
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

fn write(path: &Path, build: &Build, version: u64) -> Result<(), StoreError> {
    let operation = || format!("writing {}", path.display());
    let text = serde_json::to_vec(&Saved { version, build })
        .map_err(|error| StoreError::Failed { operation: operation(), source: Box::new(error) })?;
    file::replace(path, &text).map_err(failed(operation()))
}

/// Whether a process holds a lock. Needs no write access.
fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(false),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Locks a file, which is created if missing.
pub(crate) fn lock(path: &Path, kind: FlockArg) -> io::Result<Flock<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    Flock::lock(file, kind).map_err(|(_, errno)| errno.into())
}

#[cfg(test)]
pub(crate) mod tests {
    use bakehouse_machine::{Timing, build::NewBuild};
    use bakehouse_protocol::{BuildSpec, Region, Timestamp, spec::Source};

    use super::*;

    pub(crate) fn build(n: u32) -> Build {
        let spec = BuildSpec::minimal("web", Source::Scratch { size: 1 });
        let new = NewBuild {
            id: BuildId::from_parts(1, n),
            spec,
            region: Region::new("us-east-1").unwrap(),
            recipe: "web".into(),
            files: "/".into(),
            bundle: None,
            timing: Timing::LOCAL,
        };
        Build::new(new, Timestamp(1000))
    }

    #[test]
    fn the_second_save_of_one_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let _owner = records.create(&build(1)).unwrap();
        let (loaded, version) = records.load(&build(1).id).unwrap();
        assert_eq!(loaded, build(1));
        let saved = records.save(&loaded, version).unwrap();
        assert!(matches!(records.save(&loaded, version), Err(StoreError::Conflict(_))));
        records.save(&loaded, saved).unwrap();
    }

    #[test]
    fn a_build_has_one_owner_until_the_lock_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let owner = records.create(&build(1)).unwrap();
        let id = build(1).id;
        assert!(records.is_owned(&id).unwrap() && records.own(&id).unwrap().is_none());
        drop(owner);
        assert!(!records.is_owned(&id).unwrap() && records.own(&id).unwrap().is_some());
    }

    #[test]
    fn the_directory_of_a_killed_create_is_removed_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let abandoned = dir.path().join("builds/.new-b-00000001-00000009");
        fs::create_dir(&abandoned).unwrap();
        assert!(records.all().unwrap().is_empty());
        Records::open(dir.path()).unwrap();
        assert!(abandoned.exists(), "it may be a living process's");
        let held = lock(&abandoned.join("owner.lock"), FlockArg::LockExclusiveNonblock).unwrap();
        let old = std::time::UNIX_EPOCH + Duration::from_secs(1);
        File::open(&abandoned).unwrap().set_modified(old).unwrap();
        Records::open(dir.path()).unwrap();
        assert!(abandoned.exists(), "it is a living process's");
        drop(held);
        Records::open(dir.path()).unwrap();
        assert!(!abandoned.exists());
    }

    #[test]
    fn a_record_that_is_damaged_or_of_another_version_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        drop(records.create(&build(1)).unwrap());
        let path = dir.path().join("builds").join(build(1).id.as_str()).join("record.json");
        fs::write(&path, "{").unwrap();
        let error = records.load(&build(1).id).unwrap_err().to_string();
        assert!(error.contains("record.json"), "{error}");
        assert!(records.all().unwrap()[0].1.is_err());
        let newer = Build { format: bakehouse_protocol::VERSION + 1, ..build(1) };
        write(&path, &newer, 1).unwrap();
        assert!(records.load(&build(1).id).is_err());
    }
}
