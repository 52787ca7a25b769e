//! Scripts, and files with their variables, that are written into the image for one step. They may contain secrets, so
//! they must not stay in the image, even if a step mounts something over their directory, or moves it or the file.

use std::{
    ffi::OsStr,
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, openat},
    sys::stat::{FileStat, Mode, fstat},
};

use crate::image::{Image, create_in, fd_path, unlink_in};

/// A file in the image that belongs to one step.
#[derive(Debug)]
pub(crate) struct UploadedFile {
    /// What it is, for messages: "the script inline".
    pub(crate) name: String,
    /// The path in the image at which it was written.
    pub(crate) path: PathBuf,
    /// The directory in which it was written, wherever that is now.
    directory: OwnedFd,
    /// The file itself, wherever it is now.
    file: OwnedFd,
}

/// Why a file is still in the image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error("it can't be removed")]
    Io(#[source] io::Error),
    #[error("a step gave it another name by a hard link")]
    Linked,
}

impl UploadedFile {
    /// Writes a file with these permissions. A file at the same path is of an earlier try of this step, and is
    /// replaced.
    pub(crate) fn write(image: &Image, name: &str, path: &Path, content: &[u8], mode: u32) -> io::Result<Self> {
        let (parent, file_name) = split(path)?;
        let directory = image.open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        unlink_in(&directory, file_name)?;
        create_in(&directory, file_name, content, mode)?;
        // A file that is open for writing can't be executed (ETXTBSY), so it is opened again with O_PATH.
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&directory, file_name, flags, Mode::empty())?;
        Ok(Self { name: name.to_owned(), path: path.to_owned(), directory, file })
    }

    /// Removes it, wherever in the image it is now.
    pub(crate) fn remove(&self, image: &Image) -> Result<(), RemoveError> {
        let (_, file_name) = split(&self.path).map_err(RemoveError::Io)?;
        let unlink_error = unlink_in(&self.directory, file_name).err();
        if self.is_gone()? {
            return Ok(());
        }
        let moved = self.current_path(image).map(|path| remove_if_same(image, &path, &self.file));
        match (self.is_gone()?, moved, unlink_error) {
            (true, ..) => Ok(()),
            (false, Some(Err(error)), _) | (false, _, Some(error)) => Err(RemoveError::Io(error)),
            (false, ..) => Err(RemoveError::Linked),
        }
    }

    /// Whether it is on the file system with this device number (`st_dev`).
    pub(crate) fn is_on_device(&self, device: u64) -> bool {
        fstat(&self.file).is_ok_and(|stat| stat.st_dev == device)
    }

    /// Whether the file no longer has a name.
    fn is_gone(&self) -> Result<bool, RemoveError> {
        Ok(fstat(&self.file).map_err(|error| RemoveError::Io(error.into()))?.st_nlink == 0)
    }

    /// Returns the path in the image at which the file is now; `None` if the name by which the kernel knows it is
    /// removed.
    fn current_path(&self, image: &Image) -> Option<PathBuf> {
        let path = fs::read_link(fd_path(&self.file)).ok()?;
        let path = path.strip_prefix(&image.path).ok()?;
        image.exists(path).then(|| path.to_owned())
    }
}

fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "a path without a file name")),
    }
}

/// Removes a path of the image if it leads to this file.
fn remove_if_same(image: &Image, path: &Path, file: &OwnedFd) -> io::Result<()> {
    let same = |a: &FileStat, b: &FileStat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    let found = image.open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)?;
    if same(&fstat(found.as_fd())?, &fstat(file)?) { image.unlink(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    struct Fixture {
        dir: tempfile::TempDir,
        image: Image,
        script: UploadedFile,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        let image = Image::open_root(dir.path()).unwrap();
        let script = UploadedFile::write(&image, "inline", Path::new("/tmp/script.sh"), b"1", 0o755).unwrap();
        Fixture { dir, image, script }
    }

    /// The paths of all files in a directory.
    fn files(dir: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
        }
        found
    }

    #[test]
    fn a_script_is_removed_wherever_it_was_moved() {
        for change in [
            |_: &Path| (),
            |root: &Path| fs::rename(root.join("tmp"), root.join("tmp.old")).unwrap(),
            |root: &Path| fs::rename(root.join("tmp/script.sh"), root.join("kept.sh")).unwrap(),
            |root: &Path| fs::remove_file(root.join("tmp/script.sh")).unwrap(),
            |root: &Path| {
                fs::rename(root.join("tmp"), root.join("tmp.old")).unwrap();
                fs::create_dir(root.join("tmp")).unwrap();
                fs::rename(root.join("tmp.old/script.sh"), root.join("tmp/script.sh")).unwrap();
            },
        ] {
            let Fixture { dir, image, script } = fixture();
            change(dir.path());
            script.remove(&image).unwrap();
            assert_eq!(files(dir.path()), [] as [PathBuf; 0]);
        }
    }

    #[test]
    fn a_hard_link_to_a_script_is_reported() {
        let Fixture { dir, image, script } = fixture();
        fs::hard_link(dir.path().join("tmp/script.sh"), dir.path().join("link.sh")).unwrap();
        assert!(matches!(script.remove(&image), Err(RemoveError::Linked)));
        fs::remove_file(dir.path().join("link.sh")).unwrap();
        script.remove(&image).unwrap();
    }

    #[test]
    fn another_file_at_its_path_is_not_removed() {
        let Fixture { dir, image, script } = fixture();
        fs::rename(dir.path().join("tmp/script.sh"), dir.path().join("kept.sh")).unwrap();
        // The kernel knows the file by the path that it was moved to.
        script.remove(&image).unwrap();
        fs::write(dir.path().join("kept.sh"), "somebody's").unwrap();
        script.remove(&image).unwrap();
        assert_eq!(files(dir.path()), [dir.path().join("kept.sh")]);
    }

    #[test]
    fn a_script_of_an_earlier_try_is_replaced() {
        let Fixture { dir, image, script } = fixture();
        let again = UploadedFile::write(&image, "inline", Path::new("/tmp/script.sh"), b"2", 0o755).unwrap();
        assert_eq!(fs::read(dir.path().join("tmp/script.sh")).unwrap(), b"2");
        assert!(script.is_gone().unwrap() && again.is_on_device(fs::metadata(dir.path()).unwrap().dev()));
        assert!(UploadedFile::write(&image, "inline", Path::new("/no/script.sh"), b"2", 0o755).is_err());
    }
}
