//! The state file: replaced as a whole, under a lock that all processes share.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::LocalError;
use crate::Model;

/// The version of the state file.
const VERSION: u64 = 1;

#[derive(Serialize)]
struct Written<'a> {
    version: u64,
    model: &'a Model,
}

#[derive(Deserialize)]
struct Header {
    version: u64,
}

#[derive(Deserialize)]
struct Read {
    model: Model,
}

/// Where the state is.
#[derive(Clone, Debug)]
pub(super) struct StateFile {
    dir: PathBuf,
}

/// The lock; it is given back when this is dropped, or when the process dies.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code)] File);

impl StateFile {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    fn path(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Waits for the lock. Each call opens the file anew, so that it keeps threads apart as well as processes.
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

    /// What is there; `None` in a fresh directory. Needs no lock, because the file is replaced as a whole.
    pub(super) fn load(&self) -> Result<Option<Model>, LocalError> {
        let path = self.path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LocalError::io("reading", &path)(error)),
        };
        let unreadable = |source| LocalError::State { path: path.clone(), source };
        let header: Header = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if header.version != VERSION {
            return Err(LocalError::Version { path, found: header.version, expected: VERSION });
        }
        let read: Read = serde_json::from_slice(&bytes).map_err(unreadable)?;
        Ok(Some(read.model))
    }

    /// Replaces it. After a crash at any point the file is the old one or the new one.
    pub(super) fn save(&self, model: &Model, _locked: &Lock) -> Result<(), LocalError> {
        let path = self.path();
        let temporary = self.dir.join("state.json.new");
        let bytes = serde_json::to_vec(&Written { version: VERSION, model })
            .map_err(|source| LocalError::State { path: path.clone(), source })?;
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_data()
        });
        if let Err(error) = written {
            // What could not be written is of no use; the error to tell is the first one.
            let _ = fs::remove_file(&temporary);
            return Err(LocalError::io("writing", &temporary)(error));
        }
        fs::rename(&temporary, &path).map_err(LocalError::io("replacing", &path))?;
        sync_dir(&self.dir)
    }
}

/// Makes renames and removals in a directory last.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LocalError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(LocalError::io("syncing", dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Delays;

    #[test]
    fn a_state_of_another_version_is_refused_by_name() {
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
        let lock = state.lock().unwrap();
        state.save(&model, &lock).unwrap();
        assert_eq!(state.load().unwrap(), Some(model));
        assert!(!dir.path().join("state.json.new").exists());
    }
}
