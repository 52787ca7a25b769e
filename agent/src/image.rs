//! Reaching files of the image. Every path is resolved with the image's root as `/`, as inside the chroot: a link in
//! the image, absolute or with any number of `..`, never leads to a file of the host.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2, readlinkat},
    sys::stat::{Mode, mkdirat},
    unistd::{UnlinkatFlags, unlinkat},
};

/// The kernel's own limit of links in one path.
const MOST_LINKS: u32 = 40;

/// The image's root directory.
#[derive(Debug)]
pub(crate) struct Image {
    /// Where it is mounted on the host.
    pub(crate) path: PathBuf,
    root: OwnedFd,
}

/// A file or directory that we made in the image, to be removed again.
#[derive(Debug)]
pub(crate) struct Made {
    /// Its path in the image, free of links.
    path: PathBuf,
    directory: bool,
    inode: u64,
}

impl Image {
    pub(crate) fn open_root(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self { path: path.to_owned(), root: open(path, flags, Mode::empty())? })
    }

    /// Opens a path of the image, following links inside it.
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
        // EAGAIN: something was renamed meanwhile and the kernel could not be sure (openat2(2)).
        for _ in 0..16 {
            match openat2(&self.root, path, how) {
                Err(Errno::EAGAIN) => {}
                other => return Ok(other?),
            }
        }
        Err(Errno::EAGAIN.into())
    }

    /// A reference to a path, good for mounting on.
    pub(crate) fn at(&self, path: impl AsRef<Path>) -> io::Result<OwnedFd> {
        self.open(path, OFlag::O_PATH, 0)
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.at(path).is_ok()
    }

    pub(crate) fn is_dir(&self, path: impl AsRef<Path>) -> bool {
        self.open(path, OFlag::O_PATH | OFlag::O_DIRECTORY, 0).is_ok()
    }

    /// The path without links, from the image's root. What does not exist is kept as it is written: so this is where
    /// a file behind a dangling link would have to be made.
    pub(crate) fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut real = PathBuf::new();
        let mut left: VecDeque<OsString> = VecDeque::new();
        push_front(&mut left, path);
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == OsStr::new("..") {
                real.pop();
                continue;
            }
            let target = match self.at(&real) {
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
                    push_front(&mut left, &target);
                }
                Err(_) => real.push(part),
            }
        }
        Ok(real)
    }

    /// Makes a directory and those above it, and says which were missing.
    pub(crate) fn make_dirs(&self, path: &Path, made: &mut Vec<Made>) -> io::Result<()> {
        let real = self.resolve(path)?;
        let mut at = PathBuf::new();
        for part in real.components() {
            let parent = self.open(&at, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
            at.push(part);
            match mkdirat(&parent, part.as_os_str(), Mode::from_bits_truncate(0o755)) {
                Ok(()) => {
                    let inode = self.inode(&at)?;
                    made.push(Made { path: at.clone(), directory: true, inode });
                }
                Err(Errno::EEXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.open(&real, OFlag::O_PATH | OFlag::O_DIRECTORY, 0).map(drop)
    }

    /// Makes an empty file where a path leads, with the directories above it, unless there is one. Says where it is.
    pub(crate) fn make_file(&self, path: &Path, made: &mut Vec<Made>) -> io::Result<PathBuf> {
        let real = self.resolve(path)?;
        if let Some(parent) = real.parent() {
            self.make_dirs(parent, made)?;
        }
        match self.open(&real, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW, 0o644) {
            Ok(file) => {
                let inode = File::from(file).metadata()?.ino();
                made.push(Made { path: real.clone(), directory: false, inode });
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        Ok(real)
    }

    /// Removes what we made, unless somebody has put something else there, or into it, since.
    pub(crate) fn remove(&self, made: &Made) -> io::Result<()> {
        let (Some(parent), Some(name)) = (made.path.parent(), made.path.file_name()) else {
            return Ok(());
        };
        match self.inode(&made.path) {
            Ok(inode) if inode == made.inode => {}
            _ => return Ok(()),
        }
        let parent = self.open(parent, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
        let how = if made.directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        match unlinkat(&parent, name, how) {
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

impl AsFd for Image {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// Removes a file by its name in an open directory; one that does not exist is no error.
pub(crate) fn unlink_in(directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A path that leads to exactly what is open, for calls that take none but paths.
pub(crate) fn path_of(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

fn push_front(left: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => left.push_front(name.to_owned()),
            Component::ParentDir => left.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
