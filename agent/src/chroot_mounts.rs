//! What is mounted in the image while it is provisioned: file systems, and copies of host files that are bind-mounted
//! over the image's files. Those are covered, not changed, so nothing has to be restored. Files and directories that
//! were created as mount points are removed again.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use bakehouse_protocol::chain;
use nix::mount::MsFlags;

use crate::{
    context::Context,
    error::{ErrorContext, JobError},
    host::{Mount, MountEntry, below},
    image::{CreatedPath, Image, fd_path},
    script::{RemoveError, UploadedFile},
    teardown,
};

/// What there was before [`ChrootMounts::begin_extras`].
pub(crate) struct BeforeExtras {
    mounts: Vec<MountEntry>,
    created: usize,
}

/// The mounts in the image, the mount points that were created for them, and files of steps that are still to be
/// removed.
pub(crate) struct ChrootMounts<'a> {
    cx: &'a Context<'a>,
    pub(crate) image: Image,
    root: MountEntry,
    /// The device of the volume.
    disk: PathBuf,
    created: Vec<CreatedPath>,
    /// The mounts in the image that Packer does not make, and the mount points that were created for them. They are not
    /// there while commands of the host run, which may unmount what Packer mounts, one by one.
    extras: Vec<MountEntry>,
    created_for_extras: Vec<CreatedPath>,
    /// The files that [`Self::bind_copy`] has mounted, on the worker's private tmpfs.
    copies: Vec<PathBuf>,
    /// Files of steps that could not be removed yet.
    pending_files: Vec<UploadedFile>,
    /// What was released and reported. The kernel detaches a loop device that another process has open for a moment
    /// only when that process closes it, so the same device may be found again.
    released: BTreeSet<String>,
    removed: bool,
}

impl<'a> ChrootMounts<'a> {
    pub(crate) fn new(cx: &'a Context<'a>, image: Image, root: MountEntry, disk: PathBuf) -> Self {
        Self {
            cx,
            image,
            root,
            disk,
            created: Vec::new(),
            extras: Vec::new(),
            created_for_extras: Vec::new(),
            copies: Vec::new(),
            pending_files: Vec::new(),
            released: BTreeSet::new(),
            removed: false,
        }
    }

    /// Mounts on a directory of the image, which is created if it does not exist. `mount.target` is ignored.
    pub(crate) fn mount(&mut self, target: &str, mount: &Mount) -> Result<(), JobError> {
        let operation = || format!("mounting {} ({}) at {target} in the image", mount.source, mount.kind);
        // The source of a bind mount may be a file; then the mount point must be a file as well.
        let of_file = mount.flags.contains(MsFlags::MS_BIND) && !Path::new(&mount.source).is_dir();
        let path = Path::new(target);
        if of_file {
            self.image.create_file(path, &mut self.created).map(drop).context(operation)?;
        } else {
            self.image.create_dirs(path, &mut self.created).context(operation)?;
        }
        let mount_point = self.image.open_path(path).context(operation)?;
        self.cx.host.mount(&Mount { target: fd_path(&mount_point), ..mount.clone() }).context(operation)?;
        // The other flags of a bind mount take effect only when it is remounted (mount(2)). For that the path is opened
        // again, because it leads to the new mount now.
        let other_flags = mount.flags & !(MsFlags::MS_BIND | MsFlags::MS_REC);
        if mount.flags.contains(MsFlags::MS_BIND) && !other_flags.is_empty() {
            let mounted = self.image.open_path(path).context(operation)?;
            let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | other_flags;
            self.cx.host.mount(&Mount { target: fd_path(&mounted), flags, ..mount.clone() }).context(operation)?;
        }
        Ok(())
    }

    /// Bind-mounts a file with this content over a path of the image. Programs in the image may write to it; neither
    /// the image nor the host keeps what they write. The file is on the worker's private tmpfs, which is limited in
    /// size and mounted nosuid.
    pub(crate) fn bind_copy(&mut self, content: &[u8], mode: u32, target: &Path) -> Result<(), JobError> {
        let operation = || format!("mounting a file at {} in the image", target.display());
        let copy = self.write_copy(content, mode).context(operation)?;
        self.copies.push(copy.clone());
        let real = self.image.create_file(target, &mut self.created).context(operation)?;
        let mount_point = self.image.open_path(&real).context(operation)?;
        let bind = Mount {
            source: copy.display().to_string(),
            target: fd_path(&mount_point),
            kind: String::new(),
            flags: MsFlags::MS_BIND,
            data: String::new(),
        };
        self.cx.host.mount(&bind).context(operation)
    }

    fn write_copy(&self, content: &[u8], mode: u32) -> io::Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let copy = (0u32..)
            .map(|i| self.cx.private_dir.join(format!("file-{i}")))
            .find(|path| !path.exists())
            .ok_or_else(|| io::Error::other("no free name"))?;
        fs::write(&copy, content)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(mode))?;
        Ok(copy)
    }

    /// Begins to make the mounts that Packer does not make. Ended by [`Self::end_extras`].
    pub(crate) fn begin_extras(&mut self) -> Result<BeforeExtras, JobError> {
        Ok(BeforeExtras { mounts: self.mounts_below()?, created: self.created.len() })
    }

    /// Everything that was mounted since can be removed by [`Self::remove_extras`].
    pub(crate) fn end_extras(&mut self, before: BeforeExtras) -> Result<(), JobError> {
        let is_new = |mount: &MountEntry| before.mounts.iter().all(|old| old.id != mount.id);
        self.extras.extend(self.mounts_below()?.into_iter().filter(is_new));
        self.created_for_extras.extend(self.created.split_off(before.created));
        Ok(())
    }

    /// Removes the mounts that Packer does not make, with what is mounted on them. One that a process of a step uses
    /// stays.
    pub(crate) fn remove_extras(&mut self) -> Result<(), JobError> {
        let mut busy = Vec::new();
        for extra in std::mem::take(&mut self.extras).into_iter().rev() {
            let mounts = self.mounts_below()?;
            // The whole entry: the kernel uses the id of a mount that is gone again.
            if mounts.contains(&extra) && self.unmount_tree(&mounts, &extra).is_err() {
                busy.push(extra);
            }
        }
        busy.reverse();
        self.extras = busy;
        for copy in self.copies.drain(..) {
            // One that is still mounted stays readable there.
            let _ = fs::remove_file(copy);
        }
        while let Some(created) = self.created_for_extras.pop() {
            if self.image.remove_created(&created).is_err() {
                self.created.push(created);
            }
        }
        Ok(())
    }

    /// Unmounts what is mounted at this path of the image, with what is mounted on it. Returns whether something was
    /// mounted and nothing is any more: a process of a step may use it.
    pub(crate) fn unmount(&self, target: &str) -> Result<bool, JobError> {
        let mounts = self.mounts_below()?;
        let path = self.real_path(target)?;
        let Some(mount) = mounts.iter().rev().find(|mount| mount.target == path) else {
            return Ok(false);
        };
        let _ = self.unmount_tree(&mounts, mount);
        Ok(!self.is_mounted(target)?)
    }

    /// Unmounts what is mounted on a mount, the deepest first, and then the mount itself. The error is that of the
    /// mount itself.
    fn unmount_tree(&self, mounts: &[MountEntry], mount: &MountEntry) -> io::Result<()> {
        for mount in below(mounts, mount.id).iter().rev() {
            let _ = self.cx.host.unmount(&mount.target);
        }
        self.cx.host.unmount(&mount.target)
    }

    /// Whether something is mounted at this path of the image.
    pub(crate) fn is_mounted(&self, target: &str) -> Result<bool, JobError> {
        let path = self.real_path(target)?;
        Ok(self.mounts_below()?.iter().any(|mount| mount.target == path))
    }

    /// Returns where a path of the image is on the host.
    fn real_path(&self, target: &str) -> Result<PathBuf, JobError> {
        let resolved = self.image.resolve(Path::new(target)).context(|| format!("resolving {target} in the image"))?;
        Ok(self.image.path.join(resolved))
    }

    /// Goes on with another mount of the root, after the host had the image.
    pub(crate) fn reopen(&mut self, root: MountEntry) -> Result<(), JobError> {
        self.root = root;
        self.removed = false;
        self.image.reopen().context(|| format!("opening {}", self.image.path.display()))
    }

    fn mounts_below(&self) -> Result<Vec<MountEntry>, JobError> {
        let mounts = self.cx.host.mounts().context(|| "reading the mount table".to_owned())?;
        Ok(below(&mounts, self.root.id))
    }

    /// Creates a directory, with its parents, that is removed at the end if it is empty.
    pub(crate) fn create_dirs(&mut self, path: &Path) -> io::Result<()> {
        self.image.create_dirs(path, &mut self.created)
    }

    /// Removes a file of a step that has run. If it can't be removed now, it is tried again after everything that steps
    /// have mounted is unmounted.
    pub(crate) fn remove_file(&mut self, file: UploadedFile) -> Result<(), JobError> {
        match file.remove(&self.image) {
            Ok(()) => Ok(()),
            Err(_) if self.root_device().is_some_and(|root| file.is_on_device(root)) => {
                self.pending_files.push(file);
                Ok(())
            }
            Err(error) => Err(file_remains(&file, error)),
        }
    }

    /// Removes the files that could not be removed before. Called after [`Self::remove_all`]; an error means that one
    /// is still in the image.
    pub(crate) fn remove_pending_files(&mut self) -> Result<(), JobError> {
        self.pending_files
            .drain(..)
            .try_for_each(|file| file.remove(&self.image).map_err(|error| file_remains(&file, error)))
    }

    /// Turns off the swap areas and detaches the loop devices that steps have left on the volume, on the root file
    /// system or on one mounted below it.
    fn release_swap_and_loops(&mut self) -> Result<(), JobError> {
        let releasing = || "releasing swap areas and loop devices that a step left".to_owned();
        for released in self.cx.host.release_swap_and_loops(&self.root, &self.disk).context(releasing)? {
            if self.released.insert(released.clone()) {
                self.cx.note(format!("{released}, which a step left in use, was released"));
            }
        }
        Ok(())
    }

    fn root_device(&self) -> Option<u64> {
        self.image.device().ok()
    }

    /// Unmounts everything in the image and removes the mount points that were created. A second call does nothing.
    pub(crate) fn remove_all(&mut self) -> Result<(), JobError> {
        if self.removed {
            return Ok(());
        }
        self.release_swap_and_loops()?;
        teardown::unmount_below(self.cx, &self.root, &self.disk)?;
        // Once more: a mount may have hidden a swap file.
        self.release_swap_and_loops()?;
        self.pending_files.retain(|file| file.remove(&self.image).is_err());
        self.created.append(&mut self.created_for_extras);
        while let Some(created) = self.created.pop() {
            self.image.remove_created(&created).context(|| "removing a mount point from the image".to_owned())?;
        }
        self.removed = true;
        Ok(())
    }
}

fn file_remains(file: &UploadedFile, error: RemoveError) -> JobError {
    JobError::with_hint(
        format!("{} is still in the image, once at {}: {}", file.name, file.path.display(), chain(&error)),
        "it may hold secrets, so no image is made; a step must not link its script or make it immutable",
    )
}

impl Drop for ChrootMounts<'_> {
    fn drop(&mut self) {
        // If a process of the build can't be killed, the mounts stay until this process and its namespaces end.
        if !self.removed
            && self.cx.host.kill_all(None).is_ok()
            && let Err(error) = self.remove_all()
        {
            tracing::error!(%error, "mounts in the image stay until the end of the process");
        }
    }
}
