//! Access to files of the image from outside of the chroot. Every path is resolved with the image's root as `/`, as
//! inside the chroot: a symbolic link in the image, absolute or with any number of `..`, never leads to a file of the
//! host.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, ErrorKind, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat},
    sys::stat::{Mode, mkdirat},
    unistd::{UnlinkatFlags, unlinkat},
};

/// The most symbolic links that are followed in one path: the kernel's own limit (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// The root directory of the image.
#[derive(Debug)]
pub(crate) struct Image {
    /// Where it is mounted on the host.
    pub(crate) path: PathBuf,
    /// `None` while the host has the image: an open directory of it would keep its mount busy.
    root: Option<OwnedFd>,
}

/// A file or directory that the agent created in the image and removes again.
#[derive(Debug)]
pub(crate) struct CreatedPath {
    /// Its path in the image, without symbolic links.
    path: PathBuf,
    directory: bool,
    inode: u64,
}

impl Image {
    /// Opens the image that is mounted at this path of the host.
    pub(crate) fn open_root(path: &Path) -> io::Result<Self> {
        let mut image = Self { path: path.to_owned(), root: None };
        image.reopen()?;
        Ok(image)
    }

    /// Closes the root directory. Until [`Self::reopen`] no path can be opened.
    pub(crate) fn close(&mut self) {
        self.root = None;
    }

    /// Opens the root directory of what is mounted at the path now.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        self.root = Some(open(&self.path, flags, Mode::empty())?);
        Ok(())
    }

    /// Returns the device number of the image's root directory.
    pub(crate) fn device(&self) -> io::Result<u64> {
        Ok(nix::sys::stat::fstat(self.root()?)?.st_dev)
    }

    fn root(&self) -> io::Result<&OwnedFd> {
        self.root.as_ref().ok_or_else(|| io::Error::new(ErrorKind::NotConnected, "the image is not open"))
    }

    /// Opens a path of the image. Symbolic links are followed inside the image.
    pub(crate) fn open(&self, path: impl AsRef<Path>, flags: OFlag, mode: u32) -> io::Result<OwnedFd> {
        let path = match path.as_ref() {
            empty if empty.as_os_str().is_empty() => Path::new("."),
            path => path,
        };
        let mut how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        if flags.contains(OFlag::O_CREAT) {
            how = how.mode(Mode::from_bits_truncate(mode));
        }
        // EAGAIN: a concurrent rename or mount; the call must be repeated (openat2(2)).
        for _ in 0..16 {
            match openat2(self.root()?, path, how) {
                Err(Errno::EAGAIN) => {}
                other => return Ok(other?),
            }
        }
        Err(Errno::EAGAIN.into())
    }

    /// Opens a path with O_PATH: a reference that can be a mount point.
    pub(crate) fn open_path(&self, path: impl AsRef<Path>) -> io::Result<OwnedFd> {
        self.open(path, OFlag::O_PATH, 0)
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.open_path(path).is_ok()
    }

    pub(crate) fn is_dir(&self, path: impl AsRef<Path>) -> bool {
        self.open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, 0).is_ok()
    }

    /// Returns the path without symbolic links, relative to the image's root. Components that do not exist are kept as
    /// they are: so for a dangling link this is the path at which its target would have to be created.
    pub(crate) fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut real = PathBuf::new();
        let mut remaining: VecDeque<OsString> = VecDeque::new();
        push_components(&mut remaining, path);
        let mut links = 0;
        while let Some(part) = remaining.pop_front() {
            if part == OsStr::new("..") {
                real.pop();
                continue;
            }
            let target = match self.open_path(&real) {
                Ok(directory) => readlinkat(&directory, part.as_os_str()),
                Err(_) => Err(Errno::ENOENT),
            };
            match target {
                Ok(target) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::ELOOP.into());
                    }
                    let target = PathBuf::from(target);
                    if target.is_absolute() {
                        real = PathBuf::new();
                    }
                    push_components(&mut remaining, &target);
                }
                Err(_) => real.push(part),
            }
        }
        Ok(real)
    }

    /// Creates a directory and its parents. Adds those that did not exist to `created`.
    pub(crate) fn create_dirs(&self, path: &Path, created: &mut Vec<CreatedPath>) -> io::Result<()> {
        let real = self.resolve(path)?;
        let mut at = PathBuf::new();
        for part in real.components() {
            let parent = self.open(&at, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
            at.push(part);
            match mkdirat(&parent, part.as_os_str(), Mode::from_bits_truncate(0o755)) {
                Ok(()) => {
                    let inode = self.inode(&at)?;
                    created.push(CreatedPath { path: at.clone(), directory: true, inode });
                }
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.open(&real, OFlag::O_PATH | OFlag::O_DIRECTORY, 0).map(drop)
    }

    /// Creates an empty file and its parent directories, unless they exist. Adds those that did not exist to `created`,
    /// and returns the file's path without symbolic links.
    pub(crate) fn create_file(&self, path: &Path, created: &mut Vec<CreatedPath>) -> io::Result<PathBuf> {
        let real = self.resolve(path)?;
        if let Some(parent) = real.parent() {
            self.create_dirs(parent, created)?;
        }
        match self.open(&real, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW, 0o644) {
            Ok(file) => {
                let inode = File::from(file).metadata()?.ino();
                created.push(CreatedPath { path: real.clone(), directory: false, inode });
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(real)
    }

    /// Removes what the agent created, unless it has been replaced since or, if it is a directory, is not empty.
    pub(crate) fn remove_created(&self, created: &CreatedPath) -> io::Result<()> {
        let (Some(parent), Some(name)) = (created.path.parent(), created.path.file_name()) else {
            return Ok(());
        };
        match self.inode(&created.path) {
            Ok(inode) if inode == created.inode => {}
            _ => return Ok(()),
        }
        let parent = self.open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        let kind = if created.directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        match unlinkat(&parent, name, kind) {
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTEMPTY | Errno::EEXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        Ok(nix::sys::stat::fstat(self.open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)?)?.st_ino)
    }

    /// Removes a file by its path; one that does not exist is no error.
    pub(crate) fn unlink(&self, path: &Path) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        unlink_in(&self.open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?, name)
    }
}

/// Removes a file by its name in an open directory; one that does not exist is no error.
pub(crate) fn unlink_in(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Creates a file with these permissions in an open directory. An error leaves no file.
pub(crate) fn create_in(directory: &OwnedFd, name: &OsStr, content: &[u8], mode: u32) -> io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(directory, name, flags, Mode::from_bits_truncate(0o600))?);
    let written = file.write_all(content).and_then(|()| file.set_permissions(PermissionsExt::from_mode(mode)));
    if written.is_err() {
        let _ = unlink_in(directory, name);
    }
    written
}

/// Returns a path to the open file itself, for system calls that take only paths.
pub(crate) fn fd_path(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Puts the components of a path before those that remain to be resolved.
fn push_components(remaining: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => remaining.push_front(name.to_owned()),
            Component::ParentDir => remaining.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
