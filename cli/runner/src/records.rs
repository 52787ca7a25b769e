//! Build records as files: `builds/<id>/record.json`, replaced whole (written beside, synced, renamed), so that a record
//! is never half-written whatever dies when. Beside it lie `owner.lock`, held by the process that drives the build,
//! `cancel`, whose existence asks that process to end it, `output.log`, what the agent said, and for a build in AWS whose
//! template says how that is reached `access.json`, without the secrets, for whoever must undo it.

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

/// How the name of the directory of a build begins that is just being created, and after how long it has been given up.
const NEW: &str = ".new-";
const UNBORN: Duration = Duration::from_secs(2);

/// A build in a listing, or why its record can't be read.
pub type Listed = (BuildId, Result<Build, StoreError>);

/// Holds a build for this process. The kernel lets go of it when the process dies, however it dies.
#[derive(Debug)]
pub struct Owner(#[allow(dead_code)] Flock<File>);

impl Records {
    /// The records under a state directory; made if need be.
    ///
    /// # Errors
    /// [`StoreError::Failed`] naming the directory.
    pub fn open(state: &Path) -> Result<Self, StoreError> {
        let dir = state.join("builds");
        if dir.is_dir() {
            let records = Self { dir };
            records.remove_unborn();
            return Ok(records);
        }
        // Records hold what the template holds, secrets too: they are for their owner only.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(failed(format!("making the directory {}", dir.display())))?;
        Ok(Self { dir })
    }

    fn file(&self, id: &BuildId, file: &str) -> PathBuf {
        self.path(id).join(file)
    }

    /// The directory of one build, whether it is there or not.
    pub fn path(&self, id: &BuildId) -> PathBuf {
        self.dir.join(id.as_str())
    }

    /// Where the agent's output is kept.
    pub fn log(&self, id: &BuildId) -> PathBuf {
        self.file(id, "output.log")
    }

    /// Takes down a new build, in this process's hands from the first moment.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; [`StoreError::Conflict`] if there is one of that name.
    pub fn create(&self, build: &Build) -> Result<Owner, StoreError> {
        self.create_with(build, &PersistedAccess::default())
    }

    /// The same, with how AWS is reached for it.
    ///
    /// # Errors
    /// Those of [`Self::create`].
    pub fn create_with(&self, build: &Build, access: &PersistedAccess) -> Result<Owner, StoreError> {
        let new = self.dir.join(format!("{NEW}{}", build.id));
        let dir = self.dir.join(build.id.as_str());
        fs::create_dir(&new).map_err(failed(format!("making the directory {}", new.display())))?;
        let path = new.join("owner.lock");
        let held =
            lock(&path, FlockArg::LockExclusiveNonblock).map_err(failed(format!("locking {}", path.display())))?;
        access::write(&new, access)?;
        write(&new.join("record.json"), build, 1)?;
        // Complete from the first moment that anybody can see it.
        fs::rename(&new, &dir).map_err(failed(format!("making the directory {}", dir.display())))?;
        Ok(Owner(held))
    }

    /// Removes what a process that was killed while it took a build down has left. Its lock is free; a living one's is
    /// not, but for the instant before it is taken, which a little age rules out.
    fn remove_unborn(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_new = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NEW));
            let age = fs::metadata(&path).and_then(|facts| facts.modified()).ok().and_then(|at| at.elapsed().ok());
            let is_held = || matches!(look(&path.join("owner.lock")), Ok(true));
            if is_new && age.is_some_and(|age| age > UNBORN) && !is_held() {
                // One that will not go stands in nobody's way.
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// Returns how AWS is reached for a build, as far as its template says and it may be written down.
    ///
    /// # Errors
    /// [`StoreError::Failed`] if that can't be read.
    pub fn access(&self, id: &BuildId) -> Result<PersistedAccess, StoreError> {
        access::read(&self.path(id))
    }

    /// A record and its version.
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

    /// Saves a record over the version that it was loaded as.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another was saved since.
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

    /// The builds that a dead process has left unfinished, oldest first. A record that can't be read is passed over.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn unfinished(&self) -> Result<Vec<Build>, StoreError> {
        let mut left = Vec::new();
        for (id, build) in self.all()? {
            if build.is_ok_and(|build| build.phase.has_ended()) || self.is_owned(&id)? {
                continue;
            }
            // Read again: it may have ended between the first look at it and the look at its lock.
            if let Ok((build, _)) = self.load(&id)
                && !build.phase.has_ended()
            {
                left.push(build);
            }
        }
        Ok(left)
    }

    /// Takes a build into this process's hands. `None`: another living process has it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn own(&self, id: &BuildId) -> Result<Option<Owner>, StoreError> {
        let path = self.file(id, "owner.lock");
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
        let path = self.file(id, "owner.lock");
        look(&path).map_err(failed(format!("locking {}", path.display())))
    }

    /// Asks the process that has a build to end it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn ask_to_cancel(&self, id: &BuildId) -> Result<(), StoreError> {
        let path = self.file(id, "cancel");
        File::create(&path).map(drop).map_err(failed(format!("writing {}", path.display())))
    }

    /// Whether somebody has asked for the end of a build.
    pub fn is_asked_to_cancel(&self, id: &BuildId) -> bool {
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

/// Whether somebody holds a lock. It works where nothing can be written, too.
fn look(path: &Path) -> io::Result<bool> {
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

/// A lock on a file, made if need be.
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
    fn of_two_who_save_one_version_one_is_refused() {
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
    fn a_build_is_in_one_pair_of_hands_and_free_when_they_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let owner = records.create(&build(1)).unwrap();
        let id = build(1).id;
        assert!(records.is_owned(&id).unwrap() && records.own(&id).unwrap().is_none());
        drop(owner);
        assert!(!records.is_owned(&id).unwrap() && records.own(&id).unwrap().is_some());
    }

    #[test]
    fn what_a_process_left_that_died_while_it_took_a_build_down_is_no_build_and_goes_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path()).unwrap();
        let unborn = dir.path().join("builds/.new-b-00000001-00000009");
        fs::create_dir(&unborn).unwrap();
        assert!(records.all().unwrap().is_empty());
        Records::open(dir.path()).unwrap();
        assert!(unborn.exists(), "it may be a living process's");
        let held = lock(&unborn.join("owner.lock"), FlockArg::LockExclusiveNonblock).unwrap();
        let old = std::time::UNIX_EPOCH + Duration::from_secs(1);
        File::open(&unborn).unwrap().set_modified(old).unwrap();
        Records::open(dir.path()).unwrap();
        assert!(unborn.exists(), "it is a living process's");
        drop(held);
        Records::open(dir.path()).unwrap();
        assert!(!unborn.exists());
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
