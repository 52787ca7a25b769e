//! The directory on which the root is mounted, created without writing to the host's file system.
//!
//! A mount point on the host can be removed by another process, and the kernel then detaches what is mounted on it in
//! every other mount namespace (since Linux 3.18; see mount_namespaces(7)). So if the directory does not exist, the
//! nearest directory above it that exists is covered by a tmpfs in the job's mount namespace. The tmpfs contains the
//! mount point, and bind mounts of everything else in the covered directory. New entries that a host command or a
//! download creates beside the mount point are copied to the host when the job ends.

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
    image::fd_path,
};

/// The directory to mount the root on.
pub(crate) struct MountPoint {
    /// Its path, without symbolic links.
    pub(crate) path: PathBuf,
    /// The tmpfs that it is in, unless it exists on the host.
    cover: Option<Cover>,
}

/// A directory of the host that is covered by a tmpfs.
struct Cover {
    /// The directory's path, which now leads to the tmpfs.
    path: PathBuf,
    /// The directory itself, opened before it was covered.
    host: OwnedFd,
    /// The entries that are not to be copied to the host: the host's own, and the mount point.
    known: BTreeSet<OsString>,
}

impl MountPoint {
    /// Makes sure that this directory exists in this mount namespace. `staging` is an existing directory that nothing
    /// else uses.
    pub(crate) fn create(host: &dyn Host, path: &Path, staging: &Path) -> io::Result<Self> {
        let existing = path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/"));
        let directory = fs::canonicalize(existing)?;
        let missing = path.strip_prefix(existing).map_err(io::Error::other)?;
        let Some(first) = missing.components().next() else {
            return Ok(Self { path: directory, cover: None });
        };
        let mut cover = Cover::new(host, &directory, staging)?;
        cover.known.insert(first.as_os_str().to_owned());
        let path = directory.join(missing);
        fs::create_dir_all(&path)?;
        Ok(Self { path, cover: Some(cover) })
    }

    /// Copies new entries beside the mount point to the host. A second call does nothing.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        self.cover.take().map_or(Ok(()), |cover| cover.copy_new_entries())
    }
}

impl Cover {
    fn new(host: &dyn Host, directory: &Path, staging: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let real = open(directory, flags, Mode::empty())?;
        let meta = fs::metadata(directory)?;
        // A process with the root `/` does not see what is then mounted on `/`. So in this case the tmpfs is mounted
        // elsewhere and filled, and then becomes the root.
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
        for entry in fs::read_dir(fd_path(&real))? {
            let entry = entry?;
            match bind_entry(host, &entry, &at.join(entry.file_name())) {
                // The entry was removed meanwhile.
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

    fn copy_new_entries(self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if !self.known.contains(&entry.file_name()) {
                let to = fd_path(&self.host).join(entry.file_name());
                copy(&entry.path(), &to).map_err(|error| {
                    let what = format!("copying {} to the host: {error}", entry.path().display());
                    io::Error::new(error.kind(), what)
                })?;
            }
        }
        Ok(())
    }
}

/// Makes an entry of the covered directory visible in the tmpfs: a bind mount, or a copy of a symbolic link.
fn bind_entry(host: &dyn Host, entry: &fs::DirEntry, at: &Path) -> io::Result<()> {
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

/// Copies a file, directory or symbolic link to a path that does not exist, with owner and permissions.
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
    // Last, because changing the owner clears set-user-ID.
    fs::set_permissions(to, meta.permissions())
}
