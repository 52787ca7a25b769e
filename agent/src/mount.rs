//! Host commands, choosing the root, growing it, mounting it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bakehouse_disk::{probe, table};
use bakehouse_protocol::{AgentPhase, DeferredTemplate, Proof};
use nix::mount::MsFlags;

use crate::{
    context::Context,
    error::{Doing, EarlyEnd, JobError},
    find::Found,
    grow,
    host::{Mount, MountEntry},
    host_tool::run_tool,
    mount_options,
    mount_point::MountPoint,
    render::Fields,
    root_selection::{self, Choice, Seen},
    teardown,
};

/// The root file system is mounted.
pub(crate) struct Mounted<'a> {
    pub(crate) guard: MountGuard<'a>,
    pub(crate) found: Found<'a>,
    pub(crate) filesystem: &'static str,
    /// Processes that had to be killed.
    pub(crate) killed: Vec<String>,
}

/// What [`Mounted`] must take down, also when it is merely dropped.
pub(crate) struct MountGuard<'a> {
    cx: &'a Context<'a>,
    /// The mount point; empty before it is known.
    pub(crate) path: PathBuf,
    /// The mount, once it is made.
    pub(crate) root: Option<MountEntry>,
    /// The mount point, once it is made.
    point: Option<MountPoint>,
}

impl<'a> Found<'a> {
    /// Mounts the root.
    pub(crate) fn mount(self) -> Result<Mounted<'a>, EarlyEnd> {
        let cx = self.cx;
        cx.phase(AgentPhase::Mount);
        let guard = MountGuard { cx, path: PathBuf::new(), root: None, point: None };
        let mut mounted = Mounted { guard, found: self, filesystem: "", killed: Vec::new() };
        match mounted.make() {
            Ok(()) => Ok(mounted),
            Err(error) => Err(mounted.undo(EarlyEnd::new(AgentPhase::Mount, None, error))),
        }
    }
}

impl<'a> Mounted<'a> {
    pub(crate) fn cx(&self) -> &'a Context<'a> {
        self.found.cx
    }

    fn make(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        let chroot = &cx.job.chroot;
        let device = self.found.disk.path.display().to_string();
        let fields = Fields::default().with("Device", &device);

        if !chroot.pre_mount_commands.is_empty() {
            // These may make partitions and then wait for udev, which must be let near the disk for that.
            let sharing = || format!("sharing the lock of {device}");
            cx.host.share_disk(&self.found.disk, true).doing(sharing)?;
            run_on_host(cx, &chroot.pre_mount_commands, &fields)?;
            cx.host.share_disk(&self.found.disk, false).doing(sharing)?;
        }

        let choice = self.choose()?;
        let place = choice.partition.map_or(self.found.disk.path.clone(), |n| self.found.disk.partition(n));
        if let Some(number) = choice.partition {
            cx.note(format!("the root is partition {number} ({}): {}", choice.filesystem.kind, choice.because));
        }
        let growing = cx.job.grow && grow::partition(cx, &self.found.disk, choice.partition)?;
        if growing {
            grow::unmounted(cx, &place, choice.filesystem.kind)?;
        }

        let base = Fields::default().with("Device", self.found.disk.name());
        let path = base.render(&chroot.mount_path, cx.host.now())?;
        self.guard.make_mount_point(Path::new(&path))?;
        cx.check_cancelled()?;
        self.guard.mount_root(&place, &choice)?;
        self.filesystem = choice.filesystem.kind;
        if growing {
            grow::mounted(cx, &self.guard.path, choice.filesystem.kind)?;
        }
        let fields = fields.with("MountPath", path);
        run_on_host(cx, &chroot.post_mount_commands, &fields)
    }

    fn choose(&self) -> Result<Choice, JobError> {
        let (cx, disk) = (self.cx(), &self.found.disk);
        let name = disk.path.display();
        let mut file = fs::File::open(&disk.path).doing(|| format!("opening {name}"))?;
        let table = table::read(&mut file).map_err(|error| JobError::other(format!("looking at {name}"), error))?;
        let mut seen = Seen { whole: probe::filesystem(&mut file), ..Seen::default() };
        if let Some(table) = table {
            cx.host
                .update_partitions(disk, &table)
                .doing(|| format!("telling the kernel of the partitions of {name}"))?;
            let content = |number| probe::filesystem(&mut fs::File::open(disk.partition(number)).ok()?);
            seen.contents = table.partitions.iter().map(|partition| content(partition.number)).collect();
            seen.table = Some(table);
        }
        root_selection::root(&seen, cx.job.chroot.mount_partition, cx.job.virtualization)
    }

    /// The way out: ends what still runs, takes the mount down, and lets go of the disk.
    pub(crate) fn undo(mut self, early: EarlyEnd) -> EarlyEnd {
        match self.cx().host.end_all(None) {
            Ok(killed) => self.killed.extend(killed),
            Err(source) => {
                let doing = "ending the build's processes".to_owned();
                return early.and(AgentPhase::Leave, JobError::Io { doing, source });
            }
        }
        match self.guard.release() {
            Ok(()) => self.found.undo(early, self.killed),
            Err(error) => early.and(AgentPhase::Unmount, error),
        }
    }

    /// Syncs, unmounts, and proves that the disk is free.
    pub(crate) fn unmount(mut self) -> Result<Proof, EarlyEnd> {
        let cx = self.cx();
        cx.phase(AgentPhase::Unmount);
        let early = |error| EarlyEnd::new(AgentPhase::Unmount, None, error);
        self.guard.release().map_err(early)?;
        let disk = &self.found.disk;
        cx.host
            .prove_free(disk)
            .doing(|| format!("making sure that {} is free", disk.path.display()))
            .map_err(early)?;
        Ok(self.found.proof(self.filesystem, self.killed))
    }
}

impl MountGuard<'_> {
    fn make_mount_point(&mut self, path: &Path) -> Result<(), JobError> {
        let staging = self.cx.private.join("root");
        let made = fs::create_dir_all(&staging).and_then(|()| MountPoint::make(self.cx.host, path, &staging));
        let point = made.doing(|| format!("making the mount point {}", path.display()))?;
        self.path = point.path.clone();
        self.point = Some(point);
        Ok(())
    }

    fn mount_root(&mut self, place: &Path, choice: &Choice) -> Result<(), JobError> {
        let cx = self.cx;
        let kind = choice.filesystem.kind;
        let mut given = cx.job.chroot.mount_options.clone();
        if kind == "xfs" && !given.iter().any(|option| option.split(',').any(|o| o == "nouuid")) {
            cx.note("XFS: mounting with nouuid, because a clone has the UUID of its source");
            given.push("nouuid".to_owned());
        }
        let (flags, data) = mount_options::split(&given);
        if matches!(kind, "squashfs" | "erofs" | "iso9660") {
            return Err(JobError::wrong(format!("{} holds {kind}, a read-only file system", place.display())));
        }
        if flags.contains(MsFlags::MS_RDONLY) {
            return Err(JobError::hinted(
                format!("mount_options makes the root on {} read-only", place.display()),
                "remove ro from mount_options",
            ));
        }
        let shown = if given.is_empty() { String::new() } else { format!(" with {}", given.join(",")) };
        let order = Mount {
            source: place.display().to_string(),
            target: self.path.clone(),
            kind: kind.to_owned(),
            flags,
            data,
        };
        let doing = || format!("mounting {} ({kind}){shown} at {}", place.display(), self.path.display());
        cx.host.mount(&order).map_err(|source| unmountable(kind, doing(), source))?;
        let mounts = cx.host.mounts().doing(|| "reading the mount table".to_owned())?;
        self.root = mounts.into_iter().rev().find(|mount| mount.target == self.path);
        if self.root.is_none() {
            return Err(JobError::wrong(format!("{} is not in the mount table", self.path.display())));
        }
        self.check_root(place, kind)
    }

    /// Whether what is mounted is what was asked for, and can be written.
    fn check_root(&self, place: &Path, kind: &str) -> Result<(), JobError> {
        let name = place.display();
        // btrfs goes by the file system's UUID, which clones share, and may know another device by it.
        let mounted = self.root.as_ref().map(|root| Path::new(&root.source));
        if let (Some(wanted), Some(Some(found))) = (block_device(place), mounted.map(block_device))
            && wanted != found
        {
            let other = mounted.unwrap_or(place).display();
            return Err(JobError::hinted(
                format!("asked to mount {name} ({kind}), the kernel mounted {other}, a clone of it"),
                "give the host a kernel of 6.7 or newer, or unmount the clone",
            ));
        }
        let checking = || format!("looking at the {kind} on {name}");
        let flags = nix::sys::statvfs::statvfs(&self.path).doing(checking)?.flags();
        if flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY) {
            return Err(JobError::hinted(
                format!("the {kind} on {name} lets itself be mounted only read-only"),
                "it is marked so (ext4's feature read-only, a btrfs seed), or it is damaged: see the host's kernel log",
            ));
        }
        Ok(())
    }

    /// Unmounts what is mounted and leaves the mount point. Nothing happens the second time.
    pub(crate) fn release(&mut self) -> Result<(), JobError> {
        if let Some(root) = &self.root {
            teardown::unmount_below(self.cx, root)?;
            teardown::sync(&self.path)?;
            teardown::unmount_one(self.cx, root)?;
            self.root = None;
        }
        match self.point.take() {
            Some(mut point) => point.release().doing(|| format!("leaving the mount point {}", self.path.display())),
            None => Ok(()),
        }
    }
}

impl Drop for MountGuard<'_> {
    fn drop(&mut self) {
        // With something still running, unmounting is left to the end of the process, and so of its namespaces.
        if self.root.is_some() && self.cx.host.end_all(None).is_err() {
            return;
        }
        if let Err(error) = self.release() {
            tracing::error!(%error, "the mount is left to the end of the process");
        }
    }
}

/// The number of a block device.
fn block_device(node: &Path) -> Option<u64> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    fs::metadata(node).ok().filter(|meta| meta.file_type().is_block_device()).map(|meta| meta.rdev())
}

/// A mount that the kernel refused. Since Linux 6.7 btrfs gives a clone an identity of its own while it is mounted (its
/// feature temp_fsid); older ones refuse the second clone with EEXIST.
fn unmountable(kind: &str, doing: String, source: io::Error) -> JobError {
    if kind == "btrfs" && source.kind() == io::ErrorKind::AlreadyExists {
        return JobError::hinted(
            format!("{doing}: a btrfs with the same UUID, another clone of the source, is mounted on this host"),
            "give the host a kernel of 6.7 or newer, or build one image at a time from this source",
        );
    }
    JobError::Io { doing, source }
}

/// Runs commands of the template on the host: shell text by definition, and through `command_wrapper`.
fn run_on_host(cx: &Context<'_>, commands: &[DeferredTemplate], fields: &Fields) -> Result<(), JobError> {
    for command in commands {
        cx.check_cancelled()?;
        let text = fields.render(command, cx.host.now())?;
        let wrapped = Fields::default().with("Command", &text).render(&cx.job.chroot.command_wrapper, cx.host.now())?;
        run_tool(cx, &["/bin/sh", "-c", &wrapped], &text, &[0])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_clone_of_a_btrfs_is_named_where_the_kernel_can_not_have_two() {
        let refused = |kind, errno: nix::errno::Errno| unmountable(kind, "mounting x".to_owned(), errno.into());
        let error = refused("btrfs", nix::errno::Errno::EEXIST);
        let JobError::Wrong { message, hint: Some(hint) } = &error else { panic!("{error:?}") };
        assert!(message.starts_with("mounting x: a btrfs with the same UUID") && hint.contains("6.7"));
        assert!(matches!(refused("btrfs", nix::errno::Errno::EIO), JobError::Io { .. }));
        assert!(matches!(refused("ext4", nix::errno::Errno::EEXIST), JobError::Io { .. }));
    }
}
