//! The image while commands of the host have it.
//!
//! With Packer a `shell-local` step sees the mounted root with Packer's mounts in it, and templates make use of that:
//! they unmount one after the other, make a new file system, and mount it at the same path. So before such a step
//! everything else that is mounted in the image is removed, and nothing of it is kept open. It is made again before the
//! next step that needs it, on whatever is mounted at the path then.

use std::path::Path;

use bakehouse_disk::kernel;

use crate::{
    error::{ErrorContext, JobError},
    host::MountEntry,
    mount::block_device,
    setup::{Entered, Holder},
};

impl Entered<'_> {
    /// Prepares the image for commands of the host. After an error it can be called again, as can
    /// [`Self::ensure_in_image`]: each goes on from what there is.
    pub(crate) fn give_to_host(&mut self) -> Result<(), JobError> {
        if self.holder == Holder::Host {
            return Ok(());
        }
        let cx = self.cx();
        self.holder = Holder::Changing;
        let disk = &self.mounted.found.disk;
        // They may create partitions and wait for udev, which ignores a disk that is locked exclusively.
        cx.host.share_disk_lock(disk, true).context(|| format!("changing the lock of {}", disk.path.display()))?;
        self.chroot_mounts.remove_extras()?;
        self.replace_proc(true)?;
        while let Some(file) = self.host_files.get(self.files_put) {
            file.put(&self.chroot_mounts.image)
                .context(|| format!("writing {} for commands of the host", file.path.display()))?;
            self.files_put += 1;
        }
        self.fix_partition_nodes(false)?;
        self.chroot_mounts.image.close();
        self.holder = Holder::Host;
        Ok(())
    }

    /// See [`crate::host::Host::fix_partition_nodes`].
    pub(crate) fn fix_partition_nodes(&self, fixed: bool) -> Result<(), JobError> {
        self.cx().host.fix_partition_nodes(fixed).context(|| "updating the job's own /dev".to_owned())
    }

    /// Makes sure that programs can run in the image. Fails if the host has unmounted it.
    pub(crate) fn ensure_in_image(&mut self) -> Result<(), JobError> {
        if self.holder == Holder::Agent {
            return Ok(());
        }
        self.take_back()?;
        if self.mounted.guard.root.is_none() {
            return Err(self.not_mounted());
        }
        self.chroot_mounts.remove_extras()?;
        self.replace_proc(false)?;
        self.add_extras()?;
        self.holder = Holder::Agent;
        Ok(())
    }

    /// Takes the image back from the host, if that has it: what is mounted at its path now is the root. If nothing is,
    /// there is no root any more, and the host still has the image. What the agent mounts in it is not made again.
    pub(crate) fn take_back(&mut self) -> Result<(), JobError> {
        if self.holder == Holder::Agent {
            return Ok(());
        }
        let cx = self.cx();
        let disk = &self.mounted.found.disk;
        let mounts = cx.host.mounts().context(|| "reading the mount table".to_owned())?;
        let root = mounts.into_iter().rev().find(|mount| mount.target == self.mounted.guard.path);
        let Some(root) = root else {
            self.mounted.guard.root = None;
            return Ok(());
        };
        let known = self.mounted.guard.root.as_ref().is_some_and(|known| known.source == root.source);
        let ours = kernel::device_numbers(&disk.path);
        if !known && block_device(Path::new(&root.source)).is_none_or(|number| !ours.contains(&number)) {
            return Err(JobError::with_hint(
                format!(
                    "what is mounted at {} is {}, and not on the build's volume",
                    root.target.display(),
                    root.source
                ),
                "commands of the host must mount a partition of the volume there",
            ));
        }
        self.set_root(root)?;
        self.holder = Holder::Changing;
        let disk = &self.mounted.found.disk;
        cx.host.share_disk_lock(disk, false).context(|| format!("changing the lock of {}", disk.path.display()))?;
        self.fix_partition_nodes(true)?;
        while let Some(last) = self.files_put.checked_sub(1)
            && let Some(file) = self.host_files.get(last)
        {
            file.take_away(&self.chroot_mounts.image)
                .context(|| format!("restoring {} of the image", file.path.display()))?;
            self.files_put = last;
        }
        Ok(())
    }

    fn set_root(&mut self, root: MountEntry) -> Result<(), JobError> {
        self.mounted.filesystem.clone_from(&root.kind);
        self.mounted.guard.root = Some(root.clone());
        self.chroot_mounts.reopen(root)
    }

    /// Returns the error that the host has unmounted the root for good.
    pub(crate) fn not_mounted(&self) -> JobError {
        JobError::with_hint(
            format!("nothing is mounted at {} after the commands of the host", self.mounted.guard.path.display()),
            "the last of them must mount the root there again",
        )
    }
}
