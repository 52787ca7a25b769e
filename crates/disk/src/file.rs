//! Files that are replaced as a whole: after a crash at any point there is the old content or the new one.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// Writes a file, created with these permissions (less the umask), and syncs its content. A file that could not be
/// written is removed.
///
/// # Errors
/// The kernel's.
pub fn write_synced(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let written = File::options().write(true).create(true).truncate(true).mode(mode).open(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_data()
    });
    if written.is_err() {
        // The error to report is the first one.
        let _ = fs::remove_file(path);
    }
    written
}

/// Syncs a directory, so that what was created, renamed or removed in it is durable.
///
/// # Errors
/// The kernel's.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces a file, or creates it, for its owner only: writes a temporary file beside it, syncs and renames it. The
/// temporary file has the name of the file with the process id, another number and `.new` appended.
///
/// # Errors
/// The kernel's.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{count}.new", std::process::id()));
    let new = path.with_file_name(name);
    write_synced(&new, content, 0o600)?;
    fs::rename(&new, path).inspect_err(|_| drop(fs::remove_file(&new)))?;
    // A file name alone has an empty directory as its parent.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    sync_dir(dir.unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("directory");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(replace(&dir.path().join("missing/file"), b"new").is_err());
    }
}
