//! The manifest's file, under Packer's lock.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    error::{PostError, file},
    manifest::{ManifestBuild, with_build},
};

/// How often the lock is tried, and how much longer each wait is. Packer goes on without it then.
const LOCK_ATTEMPTS: u32 = 3;
const LOCK_WAIT: Duration = Duration::from_millis(200);

/// Adds a build to the manifest at this path, which is made if missing.
pub(super) fn add(path: &Path, build: ManifestBuild, force: bool) -> Result<(), PostError> {
    let _lock = Lock::take(path);
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(file("reading the manifest", path)(error)),
    };
    let text = with_build(&old, build, force)
        .map_err(|source| PostError::Manifest { path: path.display().to_string(), source })?;
    let written = OpenOptions::new().create(true).write(true).truncate(true).mode(0o664).open(path);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(file("writing the manifest", path))
}

/// A file beside the manifest, which whoever changes the manifest creates.
struct Lock(PathBuf);

impl Lock {
    fn take(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let lock = Self(name.into());
        for attempt in 0..LOCK_ATTEMPTS {
            thread::sleep(LOCK_WAIT * attempt);
            if File::options().write(true).create_new(true).mode(0o600).open(&lock.0).is_ok() {
                break;
            }
        }
        lock
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // One that is left delays the next run by a moment, and is removed then.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> ManifestBuild {
        serde_json::from_str(r#"{"name": "web", "packer_run_uuid": "run-1"}"#).unwrap()
    }

    #[test]
    fn a_manifest_is_made_and_extended_and_its_lock_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest.json");
        let lock = dir.path().join("manifest.json.lock");
        File::create(&lock).unwrap();
        add(&path, build(), false).unwrap();
        add(&path, build(), false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().matches("\"name\": \"web\"").count(), 2);
        assert!(!lock.exists());
    }

    #[test]
    fn another_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        let error = add(&path, build(), true).unwrap_err().to_string();
        assert!(error.contains("notes.txt is not one"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
