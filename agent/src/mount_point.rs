//! The directory at which the root is mounted, made without making anything on the host.
//!
//! A mount point on the host would be everybody's: whoever removes it takes the mount away, in whichever mount namespace
//! that is. So if the directory is not there already, the nearest directory above it that exists is covered by a tmpfs in
//! the job's own mount namespace. The tmpfs holds the mount point, and shows everything else that the directory has by
//! bind mounts. What a host command or a download puts beside it is moved to the host when the job ends.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, chown, lchown, symlink},
    },
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, open},
    mount::MsFlags,
    sys::stat::Mode,
};

use crate::{
    host::{Host, Mount},
    image::path_of,
};

/// A directory to mount the root on.
pub(crate) struct MountPoint {
    /// Its path, free of links.
    pub(crate) path: PathBuf,
    cover: Option<Cover>,
}

/// A directory of the host that is covered by a tmpfs.
struct Cover {
    /// The directory's path, which now leads to the tmpfs.
    path: PathBuf,
    /// The directory itself.
    host: OwnedFd,
    /// The entries that don't belong to the host or are the host's already.
    known: BTreeSet<OsString>,
}

impl MountPoint {
    /// Makes sure that there is a directory at this path, in this mount namespace. `staging` is an existing directory that
    /// nobody else uses.
    pub(crate) fn make(host: &dyn Host, path: &Path, staging: &Path) -> io::Result<Self> {
        let there = path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/"));
        let directory = fs::canonicalize(there)?;
        let missing = path.strip_prefix(there).map_err(io::Error::other)?;
        let Some(first) = missing.components().next() else {
            return Ok(Self { path: directory, cover: None });
        };
        let mut cover = Cover::new(host, &directory, staging)?;
        cover.known.insert(first.as_os_str().to_owned());
        let path = directory.join(missing);
        fs::create_dir_all(&path)?;
        Ok(Self { path, cover: Some(cover) })
    }

    /// Moves what was put beside the mount point to the host. Nothing happens the second time.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        self.cover.take().map_or(Ok(()), |cover| cover.move_new_entries())
    }
}

impl Cover {
    fn new(host: &dyn Host, directory: &Path, staging: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let real = open(directory, flags, Mode::empty())?;
        let meta = fs::metadata(directory)?;
        // What is mounted on the root directory is not seen by whoever is in it: there it is put in place last.
        let is_root = directory == Path::new("/");
        let at = if is_root { staging } else { directory };
        let owner = format!("mode={:o},uid={},gid={}", meta.mode() & 0o7777, meta.uid(), meta.gid());
        host.mount(&Mount {
            source: "bakehouse".to_owned(),
            target: at.to_owned(),
            kind: "tmpfs".to_owned(),
            flags: MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
            data: owner,
        })?;
        let mut known = BTreeSet::new();
        for entry in fs::read_dir(path_of(&real))? {
            let entry = entry?;
            match show(host, &entry, &at.join(entry.file_name())) {
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
            known.insert(entry.file_name());
        }
        if is_root {
            host.change_root(at)?;
        }
        Ok(Self { path: directory.to_owned(), host: real, known })
    }

    fn move_new_entries(self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if !self.known.contains(&entry.file_name()) {
                let to = path_of(&self.host).join(entry.file_name());
                copy(&entry.path(), &to).map_err(|error| {
                    let what = format!("moving {} to the host: {error}", entry.path().display());
                    io::Error::new(error.kind(), what)
                })?;
            }
        }
        Ok(())
    }
}

/// Shows an entry of the covered directory at a path in the tmpfs.
fn show(host: &dyn Host, entry: &fs::DirEntry, at: &Path) -> io::Result<()> {
    let kind = entry.file_type()?;
    if kind.is_symlink() {
        return symlink(fs::read_link(entry.path())?, at);
    }
    if kind.is_dir() {
        fs::create_dir(at)?;
    } else {
        File::create_new(at)?;
    }
    let bound = host.mount(&Mount {
        source: entry.path().display().to_string(),
        target: at.to_owned(),
        kind: String::new(),
        flags: MsFlags::MS_BIND | MsFlags::MS_REC,
        data: String::new(),
    });
    if bound.is_err() {
        let _ = if kind.is_dir() { fs::remove_dir(at) } else { fs::remove_file(at) };
    }
    bound
}

/// Copies a file, directory or symbolic link to a path at which nothing is, with owner and permissions.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    let kind = meta.file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        return lchown(to, Some(meta.uid()), Some(meta.gid()));
    }
    if kind.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if kind.is_file() {
        io::copy(&mut File::open(from)?, &mut File::create_new(to)?)?;
    } else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "it is neither a file nor a directory nor a link"));
    }
    chown(to, Some(meta.uid()), Some(meta.gid()))?;
    // Last: a change of owner clears set-user-ID.
    fs::set_permissions(to, meta.permissions())
}
