//! The state file: replaced as a whole, under a lock that all processes share. The state before the last change is kept
//! beside it, to restore a file that was damaged or lost.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use bakehouse_disk::file;
use serde::{Deserialize, Serialize};

use super::error::LocalError;
use crate::{Model, model::DiskId};

/// The version of the state file.
const VERSION: u64 = 1;

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The model.
    pub(super) model: Model,
    /// Disks that were removed from the model, but whose files may still exist, because the process died before.
    #[serde(default)]
    pub(super) removed: Vec<DiskId>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    #[serde(flatten)]
    state: &'a State,
}

#[derive(Deserialize)]
struct Header {
    version: u64,
}

/// The state file of a directory.
#[derive(Clone, Debug)]
pub(super) struct StateFile {
    dir: PathBuf,
}

/// The lock. It is released when this is dropped or the process dies.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code)] File);

impl StateFile {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// The state before the last change.
    fn previous(&self) -> PathBuf {
        self.dir.join("state.json.1")
    }

    /// Waits for the lock. Each call opens the file, so that the lock also excludes other threads.
    pub(super) fn lock(&self) -> Result<Lock, LocalError> {
        let path = self.dir.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(LocalError::io("opening", &path))?;
        file.lock().map_err(LocalError::io("locking", &path))?;
        Ok(Lock(file))
    }

    /// Reads the state; `None` if none has been written yet. Needs no lock, because the file is replaced as a whole.
    ///
    /// # Errors
    /// [`LocalError::State`] and [`LocalError::StateGone`], with the previous state if it can be restored.
    pub(super) fn load(&self) -> Result<Option<State>, LocalError> {
        let path = self.path();
        match read(&path) {
            Ok(None) => match self.restorable() {
                None if !self.previous().exists() => Ok(None),
                previous => Err(LocalError::StateGone { path, previous }),
            },
            Err(LocalError::State { path, source, .. }) => {
                Err(LocalError::State { path, source, previous: self.restorable() })
            }
            other => other,
        }
    }

    /// The path of the state before the last change, if it can be read.
    fn restorable(&self) -> Option<PathBuf> {
        let path = self.previous();
        matches!(read(&path), Ok(Some(_))).then_some(path)
    }

    /// Replaces the file and keeps the previous one. After a crash at any point the file is the old one or the new one:
    /// it always exists, and its content was synced before it got its name. Only called after [`StateFile::load`] has
    /// read the file, so that a damaged one never replaces a good previous one.
    pub(super) fn save(&self, state: &State, _locked: &Lock) -> Result<(), LocalError> {
        let (path, previous) = (self.path(), self.previous());
        let temporary = self.dir.join("state.json.new");
        let bytes = serde_json::to_vec(&Written { version: VERSION, state }).map_err(|source| LocalError::State {
            path: path.clone(),
            source,
            previous: None,
        })?;
        file::write_synced(&temporary, &bytes, 0o666).map_err(LocalError::io("writing", &temporary))?;
        if path.exists() {
            // A second name for the old file, not a copy: it needs no space on a full disk.
            match fs::remove_file(&previous) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LocalError::io("removing", &previous)(error));
                }
                _ => fs::hard_link(&path, &previous).map_err(LocalError::io("creating", &previous))?,
            }
        }
        fs::rename(&temporary, &path).map_err(LocalError::io("replacing", &path))?;
        sync_dir(&self.dir)
    }
}

/// Reads a state file; `None` if there is none.
fn read(path: &Path) -> Result<Option<State>, LocalError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LocalError::io("reading", path)(error)),
    };
    let unreadable = |source| LocalError::State { path: path.to_owned(), source, previous: None };
    let header: Header = serde_json::from_slice(&bytes).map_err(unreadable)?;
    if header.version != VERSION {
        return Err(LocalError::Version { path: path.to_owned(), found: header.version, expected: VERSION });
    }
    Ok(Some(serde_json::from_slice(&bytes).map_err(unreadable)?))
}

/// Syncs a directory.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LocalError> {
    file::sync_dir(dir).map_err(LocalError::io("syncing", dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Delays;
    use bakehouse_protocol::VolumeId;

    #[test]
    fn a_state_of_another_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFile::new(dir.path());
        assert!(state.load().unwrap().is_none());
        fs::write(dir.path().join("state.json"), "{\"version\":9,\"other\":1}").unwrap();
        let error = state.load().unwrap_err().to_string();
        assert!(error.ends_with("state.json has version 9; this bakehouse reads version 1"), "{error}");
        fs::write(dir.path().join("state.json"), "{\"version\":1,").unwrap();
        assert!(matches!(state.load(), Err(LocalError::State { .. })));
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFile::new(dir.path());
        let model = Model::new("000000000000", [], 1, Delays::default());
        let saved = State { model, removed: vec![DiskId::Volume(VolumeId::new("vol-00000001").unwrap())] };
        let lock = state.lock().unwrap();
        state.save(&saved, &lock).unwrap();
        assert_eq!(state.load().unwrap(), Some(saved));
        assert!(!dir.path().join("state.json.new").exists());
    }

    #[test]
    fn a_crash_while_saving_leaves_a_good_state() {
        let model = |account| State { model: Model::new(account, [], 1, Delays::default()), removed: vec![] };
        // The steps of a save; each may be the last one before the crash.
        let steps: [&dyn Fn(&StateFile); 4] = [
            &|_| {},
            &|state| fs::write(state.dir.join("state.json.new"), "{\"version\":1,").unwrap(),
            &|state| fs::remove_file(state.previous()).unwrap(),
            &|state| fs::hard_link(state.path(), state.previous()).unwrap(),
        ];
        for done in 1..=steps.len() {
            let dir = tempfile::tempdir().unwrap();
            let state = StateFile::new(dir.path());
            let lock = state.lock().unwrap();
            state.save(&model("1"), &lock).unwrap();
            assert_eq!(state.restorable(), None);
            state.save(&model("2"), &lock).unwrap();
            assert_eq!(read(&state.previous()).unwrap(), Some(model("1")));
            steps[..done].iter().for_each(|step| step(&state));
            assert_eq!(state.load().unwrap(), Some(model("2")), "after {done} steps");
            state.save(&model("3"), &lock).unwrap();
            assert_eq!(state.load().unwrap(), Some(model("3")), "after {done} steps");
            assert_eq!(read(&state.previous()).unwrap(), Some(model("2")), "after {done} steps");
        }
    }
}
