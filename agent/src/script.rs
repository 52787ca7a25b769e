//! A script that was written into the image to be run there. It may hold secrets, so it must not stay in the image, even
//! if a step mounted something over its directory, or moved the directory or the script.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, openat},
    sys::stat::{FileStat, Mode, fstat},
};

use crate::image::{Image, path_of, unlink_in};

/// A script in the image.
#[derive(Debug)]
pub(crate) struct UploadedScript {
    /// What people call it.
    pub(crate) name: String,
    /// Its path in the image, when it was written.
    pub(crate) path: PathBuf,
    /// The directory and the file themselves, whatever their paths are by now.
    directory: OwnedFd,
    file: OwnedFd,
}

/// Why a script is still in the image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Remains {
    #[error("it can't be removed")]
    Refused(#[source] io::Error),
    #[error("a step gave it another name by a hard link")]
    Linked,
}

impl UploadedScript {
    /// Writes an executable script. One of the same path is this build's own, of an earlier try, and is replaced.
    pub(crate) fn write(image: &Image, name: &str, path: &Path, content: &[u8]) -> io::Result<Self> {
        let (parent, file_name) = split(path)?;
        let directory = image.open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        unlink_in(&directory, file_name)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&directory, file_name, flags, Mode::from_bits_truncate(0o600))?);
        let written = file.write_all(content).and_then(|()| file.set_permissions(PermissionsExt::from_mode(0o755)));
        if let Err(error) = written {
            let _ = unlink_in(&directory, file_name);
            return Err(error);
        }
        // A file that is open for writing can't be executed, so another reference to it is kept.
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&directory, file_name, flags, Mode::empty())?;
        Ok(Self { name: name.to_owned(), path: path.to_owned(), directory, file })
    }

    /// Removes it, wherever in the image it is by now.
    pub(crate) fn remove(&self, image: &Image) -> Result<(), Remains> {
        let (_, file_name) = split(&self.path).map_err(Remains::Refused)?;
        let refused = unlink_in(&self.directory, file_name).err();
        if self.is_gone()? {
            return Ok(());
        }
        let moved = self.current_path(image).map(|path| remove_same(image, &path, &self.file));
        match (self.is_gone()?, moved, refused) {
            (true, ..) => Ok(()),
            (false, Some(Err(error)), _) | (false, _, Some(error)) => Err(Remains::Refused(error)),
            (false, ..) => Err(Remains::Linked),
        }
    }

    /// Whether it lies on this device, as `stat` numbers it.
    pub(crate) fn is_on(&self, device: u64) -> bool {
        fstat(&self.file).is_ok_and(|stat| stat.st_dev == device)
    }

    fn is_gone(&self) -> Result<bool, Remains> {
        Ok(fstat(&self.file).map_err(|error| Remains::Refused(error.into()))?.st_nlink == 0)
    }

    /// Where in the image the file is now; `None` if the name that it was opened by is gone.
    fn current_path(&self, image: &Image) -> Option<PathBuf> {
        let path = fs::read_link(path_of(&self.file)).ok()?;
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

/// Removes a path of the image if it is this very file.
fn remove_same(image: &Image, path: &Path, file: &OwnedFd) -> io::Result<()> {
    let same = |a: &FileStat, b: &FileStat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    let there = image.open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)?;
    if same(&fstat(there.as_fd())?, &fstat(file)?) { image.unlink(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    struct Scene {
        dir: tempfile::TempDir,
        image: Image,
        script: UploadedScript,
    }

    fn scene() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        let image = Image::open_root(dir.path()).unwrap();
        let script = UploadedScript::write(&image, "inline", Path::new("/tmp/script.sh"), b"#!/bin/sh\n").unwrap();
        Scene { dir, image, script }
    }

    /// The paths of all files that are left.
    fn files(dir: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
        }
        found
    }

    #[test]
    fn it_is_removed_wherever_it_went() {
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
            let Scene { dir, image, script } = scene();
            change(dir.path());
            script.remove(&image).unwrap();
            assert_eq!(files(dir.path()), [] as [PathBuf; 0]);
        }
    }

    #[test]
    fn another_name_of_it_is_told() {
        let Scene { dir, image, script } = scene();
        fs::hard_link(dir.path().join("tmp/script.sh"), dir.path().join("link.sh")).unwrap();
        assert!(matches!(script.remove(&image), Err(Remains::Linked)));
        fs::remove_file(dir.path().join("link.sh")).unwrap();
        script.remove(&image).unwrap();
    }

    #[test]
    fn a_file_that_only_has_its_name_is_left_alone() {
        let Scene { dir, image, script } = scene();
        fs::rename(dir.path().join("tmp/script.sh"), dir.path().join("kept.sh")).unwrap();
        // The kernel knows the file by the name that it was moved to.
        script.remove(&image).unwrap();
        fs::write(dir.path().join("kept.sh"), "somebody's").unwrap();
        script.remove(&image).unwrap();
        assert_eq!(files(dir.path()), [dir.path().join("kept.sh")]);
    }

    #[test]
    fn one_that_can_not_be_written_does_not_stay() {
        let Scene { dir, image, script } = scene();
        let again = UploadedScript::write(&image, "inline", Path::new("/tmp/script.sh"), b"2").unwrap();
        assert_eq!(fs::read(dir.path().join("tmp/script.sh")).unwrap(), b"2");
        assert!(script.is_gone().unwrap() && again.is_on(fs::metadata(dir.path()).unwrap().dev()));
        assert!(UploadedScript::write(&image, "inline", Path::new("/no/script.sh"), b"2").is_err());
    }
}
