//! The phase *mount*: runs the template's host commands, chooses the root file system, grows it and mounts it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bakehouse_disk::{probe, table};
use bakehouse_protocol::{AgentPhase, DeferredTemplate, Job, Proof, spec::Provisioner};
use nix::mount::MsFlags;

use crate::{
    context::Context,
    device_names::{self, DeviceNames},
    error::{Aborted, ErrorContext, JobError},
    find::Found,
    grow,
    host::{Mount, MountEntry},
    host_tool::{run_tool, working_directory},
    mount_options,
    mount_point::MountPoint,
    render::TemplateData,
    root_selection::{self, DiskContents, RootChoice},
    teardown,
};

/// The root file system is mounted.
pub(crate) struct Mounted<'a> {
    pub(crate) guard: MountGuard<'a>,
    pub(crate) found: Found<'a>,
    /// The names under which commands of the template know the disk.
    pub(crate) names: DeviceNames,
    pub(crate) filesystem: String,
    /// The processes that had to be killed, for the proof.
    pub(crate) killed: Vec<String>,
}

/// The mount point and the mount of the root. Both are undone when it is dropped.
pub(crate) struct MountGuard<'a> {
    cx: &'a Context<'a>,
    /// The device of the volume.
    disk: PathBuf,
    /// The path of the mount point; empty until it is created.
    pub(crate) path: PathBuf,
    /// The mount of the root, while it is mounted.
    pub(crate) root: Option<MountEntry>,
    /// The mount point, while it exists.
    mount_point: Option<MountPoint>,
}

impl<'a> Found<'a> {
    /// Runs this phase.
    pub(crate) fn mount(self) -> Result<Mounted<'a>, Aborted> {
        let cx = self.cx;
        cx.report_phase(AgentPhase::Mount);
        let guard =
            MountGuard { cx, disk: self.disk.path.clone(), path: PathBuf::new(), root: None, mount_point: None };
        let chroot = &cx.job.chroot;
        let names = device_names::choose(
            &self.disk.path,
            chroot.device_name.as_deref(),
            chroot.nvme_device_path.as_deref(),
            |path| Path::new(path).exists(),
        );
        let mut mounted = Mounted { guard, found: self, names, filesystem: String::new(), killed: Vec::new() };
        match mounted.mount_root() {
            Ok(()) => Ok(mounted),
            Err(error) => Err(mounted.undo(Aborted::new(AgentPhase::Mount, None, error))),
        }
    }
}

impl<'a> Mounted<'a> {
    pub(crate) fn cx(&self) -> &'a Context<'a> {
        self.found.cx
    }

    /// Does everything that this phase does.
    fn mount_root(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        let chroot = &cx.job.chroot;
        let device = self.names.device.clone();
        let data = TemplateData::default().with("Device", &device);
        if runs_commands_on_host(cx.job) && !self.names.links.is_empty() {
            cx.host
                .make_own_dev(&self.found.disk, &self.names.links)
                .context(|| format!("making a /dev in which {device} leads to {}", self.found.disk.path.display()))?;
        }
        if !chroot.pre_mount_commands.is_empty() {
            // They may create partitions and wait for udev, which ignores a disk that is locked exclusively.
            let sharing = || format!("changing the lock of {device}");
            cx.host.share_disk_lock(&self.found.disk, true).context(sharing)?;
            run_on_host(cx, &chroot.pre_mount_commands, &data)?;
            cx.host.share_disk_lock(&self.found.disk, false).context(sharing)?;
        }

        let choice = self.choose_root()?;
        let root_device = choice.partition.map_or(self.found.disk.path.clone(), |n| self.found.disk.partition(n));
        if let Some(number) = choice.partition {
            cx.note(format!("the root is partition {number} ({}): {}", choice.filesystem.kind, choice.reason));
        }
        let growing = cx.job.grow && grow::partition(cx, &self.found.disk, choice.partition)?;
        if growing {
            grow::before_mount(cx, &root_device, choice.filesystem.kind)?;
        }

        // As with Packer, `.Device` is the name without `/dev/` here.
        let path_data = TemplateData::default().with("Device", &self.names.mount_name);
        let path = path_data.render(&chroot.mount_path, cx.host.now())?;
        self.guard.create_mount_point(Path::new(&path))?;
        cx.check_cancelled()?;
        self.guard.mount_device(&root_device, &choice)?;
        self.filesystem = choice.filesystem.kind.to_owned();
        if growing {
            grow::after_mount(cx, &self.guard.path, choice.filesystem.kind)?;
        }
        let data = data.with("MountPath", path);
        run_on_host(cx, &chroot.post_mount_commands, &data)
    }

    /// Reads the partition table and the file systems' superblocks and chooses the root.
    fn choose_root(&self) -> Result<RootChoice, JobError> {
        let (cx, disk) = (self.cx(), &self.found.disk);
        let name = disk.path.display();
        let mut file = fs::File::open(&disk.path).context(|| format!("opening {name}"))?;
        let table = table::read(&mut file)
            .map_err(|error| JobError::other(format!("reading the partition table of {name}"), error))?;
        let mut contents = DiskContents { whole: probe::filesystem(&mut file), ..DiskContents::default() };
        if let Some(table) = table {
            cx.host
                .update_partitions(disk, &table)
                .context(|| format!("updating the kernel's view of the partitions of {name}"))?;
            let file_system = |number| probe::filesystem(&mut fs::File::open(disk.partition(number)).ok()?);
            contents.partitions = table.partitions.iter().map(|partition| file_system(partition.number)).collect();
            contents.table = Some(table);
        }
        root_selection::choose(&contents, cx.job.chroot.mount_partition, cx.job.virtualization)
    }

    /// Undoes this phase and the one before: kills the build's processes, unmounts the root, and checks that the disk
    /// is free.
    pub(crate) fn undo(mut self, aborted: Aborted) -> Aborted {
        match self.cx().host.kill_all(None) {
            Ok(killed) => self.killed.extend(killed),
            Err(source) => {
                let operation = "killing the build's processes".to_owned();
                return aborted.with_cleanup_error(AgentPhase::Leave, JobError::Io { operation, source });
            }
        }
        match self.guard.release() {
            Ok(()) => self.found.undo(aborted, self.killed),
            Err(error) => aborted.with_cleanup_error(AgentPhase::Unmount, error),
        }
    }

    /// The phase *unmount*: syncs the root file system, unmounts it, and proves that the disk is free.
    pub(crate) fn unmount(mut self) -> Result<Proof, Aborted> {
        let cx = self.cx();
        cx.report_phase(AgentPhase::Unmount);
        let aborted = |error| Aborted::new(AgentPhase::Unmount, None, error);
        self.guard.release().map_err(aborted)?;
        let disk = &self.found.disk;
        cx.host
            .prove_free(disk)
            .context(|| format!("making sure that {} is free", disk.path.display()))
            .map_err(aborted)?;
        Ok(self.found.proof(&self.filesystem, self.killed))
    }
}

impl MountGuard<'_> {
    fn create_mount_point(&mut self, path: &Path) -> Result<(), JobError> {
        let staging = self.cx.private_dir.join("root");
        let created = fs::create_dir_all(&staging).and_then(|()| MountPoint::create(self.cx.host, path, &staging));
        let mount_point = created.context(|| format!("creating the mount point {}", path.display()))?;
        self.path = mount_point.path.clone();
        self.mount_point = Some(mount_point);
        Ok(())
    }

    fn mount_device(&mut self, device: &Path, choice: &RootChoice) -> Result<(), JobError> {
        let cx = self.cx;
        let kind = choice.filesystem.kind;
        let mut options = cx.job.chroot.mount_options.clone();
        if kind == "xfs" && !options.iter().any(|option| option.split(',').any(|o| o == "nouuid")) {
            cx.note("XFS: mounting with nouuid, because a clone has the UUID of its source");
            options.push("nouuid".to_owned());
        }
        let (flags, data) = mount_options::split(&options);
        if matches!(kind, "squashfs" | "erofs" | "iso9660") {
            return Err(JobError::new(format!("{} holds {kind}, a read-only file system", device.display())));
        }
        if flags.contains(MsFlags::MS_RDONLY) {
            return Err(JobError::with_hint(
                format!("mount_options makes the root on {} read-only", device.display()),
                "remove ro from mount_options",
            ));
        }
        let shown = if options.is_empty() { String::new() } else { format!(" with {}", options.join(",")) };
        let mount = Mount {
            source: device.display().to_string(),
            target: self.path.clone(),
            kind: kind.to_owned(),
            flags,
            data,
        };
        let operation = || format!("mounting {} ({kind}){shown} at {}", device.display(), self.path.display());
        cx.host.mount(&mount).map_err(|source| mount_error(kind, operation(), source))?;
        let mounts = cx.host.mounts().context(|| "reading the mount table".to_owned())?;
        self.root = mounts.into_iter().rev().find(|mount| mount.target == self.path);
        if self.root.is_none() {
            return Err(JobError::new(format!("{} is not in the mount table", self.path.display())));
        }
        self.check_root(device, kind)
    }

    /// Checks that the requested device is mounted, and that it can be written to.
    fn check_root(&self, device: &Path, kind: &str) -> Result<(), JobError> {
        let name = device.display();
        // btrfs identifies a file system by its UUID, which clones share, and may mount another device with it.
        let mounted = self.root.as_ref().map(|root| Path::new(&root.source));
        if let (Some(wanted), Some(Some(found))) = (block_device(device), mounted.map(block_device))
            && wanted != found
        {
            let other = mounted.unwrap_or(device).display();
            return Err(JobError::with_hint(
                format!("asked to mount {name} ({kind}), the kernel mounted {other}, a clone of it"),
                "give the host a kernel of 6.7 or newer, or unmount the clone",
            ));
        }
        let checking = || format!("checking the {kind} on {name}");
        let flags = nix::sys::statvfs::statvfs(&self.path).context(checking)?.flags();
        if flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY) {
            return Err(JobError::with_hint(
                format!("the {kind} on {name} can be mounted only read-only"),
                "it is marked as read-only (ext4's feature read-only, a btrfs seed), or it is damaged: see the host's kernel log",
            ));
        }
        Ok(())
    }

    /// Unmounts the root and everything below it, and releases the mount point. A second call does nothing.
    pub(crate) fn release(&mut self) -> Result<(), JobError> {
        if let Some(root) = &self.root {
            teardown::unmount_below(self.cx, root, &self.disk)?;
            teardown::sync(&self.path)?;
            teardown::unmount_one(self.cx, root)?;
            self.root = None;
        }
        match self.mount_point.take() {
            Some(mut mount_point) => {
                mount_point.release().context(|| format!("releasing the mount point {}", self.path.display()))
            }
            None => Ok(()),
        }
    }
}

impl Drop for MountGuard<'_> {
    fn drop(&mut self) {
        // If a process of the build can't be killed, the mounts stay until this process and its namespaces end.
        if self.root.is_some() && self.cx.host.kill_all(None).is_err() {
            return;
        }
        if let Err(error) = self.release() {
            tracing::error!(%error, "the root stays mounted until the end of the process");
        }
    }
}

/// Whether commands of the template run on the host, or see its `/dev`.
fn runs_commands_on_host(job: &Job) -> bool {
    let chroot = &job.chroot;
    let binds_dev = chroot.chroot_mounts.iter().flatten().any(|mount| mount.source == "/dev");
    !chroot.pre_mount_commands.is_empty()
        || !chroot.post_mount_commands.is_empty()
        || binds_dev
        || job.provisioners.iter().chain(&job.error_cleanup).any(Provisioner::runs_on_host)
}

/// Returns the device number of a block device.
pub(crate) fn block_device(node: &Path) -> Option<u64> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    fs::metadata(node).ok().filter(|meta| meta.file_type().is_block_device()).map(|meta| meta.rdev())
}

/// Returns the error for a mount that the kernel refused. Since Linux 6.7 btrfs gives a mounted clone a temporary
/// identity of its own (`/sys/fs/btrfs/features/temp_fsid`); older kernels refuse the second clone with EEXIST.
fn mount_error(kind: &str, operation: String, source: io::Error) -> JobError {
    if kind == "btrfs" && source.kind() == io::ErrorKind::AlreadyExists {
        return JobError::with_hint(
            format!("{operation}: a btrfs with the same UUID, another clone of the source, is mounted on this host"),
            "give the host a kernel of 6.7 or newer, or build one image at a time from this source",
        );
    }
    JobError::Io { operation, source }
}

/// Runs commands of the template on the host, by a shell, in the job's working directory, and wrapped in
/// `command_wrapper`.
fn run_on_host(cx: &Context<'_>, commands: &[DeferredTemplate], data: &TemplateData) -> Result<(), JobError> {
    for command in commands {
        cx.check_cancelled()?;
        let text = data.render(command, cx.host.now())?;
        let wrapped =
            TemplateData::default().with("Command", &text).render(&cx.job.chroot.command_wrapper, cx.host.now())?;
        run_tool(cx, &working_directory(cx)?, &["/bin/sh", "-c", &wrapped], &text, &[0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_second_btrfs_clone_is_explained() {
        let refused = |kind, errno: nix::errno::Errno| mount_error(kind, "mounting x".to_owned(), errno.into());
        let error = refused("btrfs", nix::errno::Errno::EEXIST);
        let JobError::Invalid { message, hint: Some(hint) } = &error else { panic!("{error:?}") };
        assert!(message.starts_with("mounting x: a btrfs with the same UUID") && hint.contains("6.7"));
        assert!(matches!(refused("btrfs", nix::errno::Errno::EIO), JobError::Io { .. }));
        assert!(matches!(refused("ext4", nix::errno::Errno::EEXIST), JobError::Io { .. }));
    }
}
