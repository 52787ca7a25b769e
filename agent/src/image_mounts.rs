//! What is mounted in the image while it is provisioned: the file systems that Packer mounts, too, or those of
//! `chroot_mounts`; and on top of them a minimal `/dev`, guards of the host's settings, name resolution, and what
//! prevents starts of services.

use std::{
    fs,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, symlink},
    },
    path::Path,
};

use bakehouse_protocol::spec::ChrootMount;
use nix::{fcntl::OFlag, libc, mount::MsFlags};

use crate::{
    error::{ErrorContext, JobError},
    host::{Disk, Mount, Node},
    host_file::HostFile,
    host_tool::working_directory,
    image::fd_path,
    mount::Mounted,
    setup::Entered,
};

/// `policy-rc.d`, which invoke-rc.d(8) and deb-systemd-invoke(1) run: exit code 101 forbids the action.
const POLICY_RC_D: &[u8] = b"#!/bin/sh\nexit 101\n";
/// Takes the place of upstart's `initctl`, which would connect to the host's init.
const NO_OP: &[u8] = b"#!/bin/sh\nexit 0\n";

/// The character devices in `/dev`, with their numbers (admin-guide/devices.txt of the kernel).
const DEVICES: [(&str, (u64, u64)); 6] =
    [("null", (1, 3)), ("zero", (1, 5)), ("full", (1, 7)), ("random", (1, 8)), ("urandom", (1, 9)), ("tty", (5, 0))];
/// The writable parts of `/proc` that belong to the whole kernel and not to the PID namespace.
const READ_ONLY_IN_PROC: [&str; 4] = ["/proc/sys", "/proc/irq", "/proc/bus", "/proc/sysrq-trigger"];

/// The symbolic links in `/dev`.
const LINKS: [(&str, &str); 6] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// A file system in the image that Packer mounts, too.
struct StandardMount {
    target: String,
    mount: Mount,
    /// Not every kernel has it.
    optional: bool,
}

impl Entered<'_> {
    /// Makes the mounts that Packer makes, too.
    pub(crate) fn add_standard_mounts(&mut self) -> Result<(), JobError> {
        self.standard_mounts()?.iter().try_for_each(|mount| self.add_standard_mount(mount))
    }

    /// Makes all other mounts, and those that Packer makes but commands of the host have undone.
    pub(crate) fn add_extras(&mut self) -> Result<(), JobError> {
        let before = self.chroot_mounts.begin_extras()?;
        let mounted = self.mount_extras();
        // After an error, too: those that were made before it can be removed.
        let ended = self.chroot_mounts.end_extras(before);
        mounted.and(ended)
    }

    fn mount_extras(&mut self) -> Result<(), JobError> {
        for mount in self.standard_mounts()? {
            if !self.chroot_mounts.is_mounted(&mount.target)? {
                self.add_standard_mount(&mount)?;
            }
        }
        if self.cx().job.chroot.chroot_mounts.is_none() {
            self.make_proc_read_only()?;
            let shm = file_system("tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777");
            self.chroot_mounts.mount("/dev/shm", &shm)?;
        }
        for file in &self.host_files {
            self.chroot_mounts.bind_copy(&file.content, file.mode, &file.path)?;
        }
        self.prevent_service_starts()
    }

    /// Replaces the `/proc` of the steps' PID namespace in the image, if it is mounted: by that of commands of the host
    /// (`for_host`), or the other way round. Otherwise `/proc/self` would lead nowhere for a program that a command of
    /// the host starts in the image.
    pub(crate) fn replace_proc(&mut self, for_host: bool) -> Result<(), JobError> {
        let standard = self.standard_mounts()?;
        for proc in standard.iter().filter(|standard| standard.mount.kind == "proc") {
            // What else is mounted in it.
            let mut below = Vec::new();
            for other in standard.iter().filter(|other| other.optional) {
                if self.chroot_mounts.is_mounted(&other.target)? {
                    below.push(other);
                }
            }
            if !self.chroot_mounts.unmount(&proc.target)? {
                continue;
            }
            if for_host {
                let bind = Mount {
                    source: "/proc".to_owned(),
                    kind: String::new(),
                    flags: MsFlags::MS_BIND,
                    ..proc.mount.clone()
                };
                self.chroot_mounts.mount(&proc.target, &bind)?;
            } else {
                self.add_standard_mount(proc)?;
            }
            below.into_iter().try_for_each(|other| self.add_standard_mount(other))?;
        }
        Ok(())
    }

    fn add_standard_mount(&mut self, standard: &StandardMount) -> Result<(), JobError> {
        let StandardMount { target, mount, optional } = standard;
        if *optional {
            if self.chroot_mounts.image.is_dir(target) {
                let _ = self.chroot_mounts.mount(target, mount);
            }
            return Ok(());
        }
        self.chroot_mounts.mount(target, mount)?;
        if target == "/dev" && mount.kind == "tmpfs" { self.populate_dev() } else { Ok(()) }
    }

    fn standard_mounts(&self) -> Result<Vec<StandardMount>, JobError> {
        let cx = self.cx();
        match &cx.job.chroot.chroot_mounts {
            Some(mounts) => {
                let directory = working_directory(cx)?;
                Ok(mounts.iter().map(|mount| requested_mount(mount, &directory)).collect())
            }
            None => Ok(default_mounts()),
        }
    }

    /// Makes the parts of `/proc` read-only that belong to the whole host: a package's `sysctl -p` would change the
    /// host's settings, and writing to `core_pattern` or `sysrq-trigger` would do worse. This guards against accidents:
    /// a step with CAP_SYS_ADMIN can undo it.
    fn make_proc_read_only(&mut self) -> Result<(), JobError> {
        for path in READ_ONLY_IN_PROC {
            let image = &self.chroot_mounts.image;
            if !image.exists(path) {
                continue;
            }
            let bind = Mount {
                source: format!("{}{path}", image.path.display()),
                target: Default::default(),
                kind: String::new(),
                flags: MsFlags::MS_BIND
                    | MsFlags::MS_REC
                    | MsFlags::MS_RDONLY
                    | MsFlags::MS_NOSUID
                    | MsFlags::MS_NODEV
                    | MsFlags::MS_NOEXEC,
                data: String::new(),
            };
            self.chroot_mounts.mount(path, &bind)?;
        }
        Ok(())
    }

    /// Creates the device nodes and links in the image's `/dev`.
    fn populate_dev(&self) -> Result<(), JobError> {
        let cx = self.cx();
        let operation = || "creating the device nodes in the image's /dev".to_owned();
        let dev = self.chroot_mounts.image.open("dev", OFlag::O_PATH | OFlag::O_DIRECTORY, 0).context(operation)?;
        for (name, device) in DEVICES {
            cx.host
                .create_device_node(dev.as_fd(), name, Node { block: false, mode: 0o666, device })
                .context(operation)?;
        }
        // The volume itself, so that grub-install and the like find the disk to write to.
        let disk = &self.mounted.found.disk;
        let nodes =
            std::iter::once(disk.path.clone()).chain((1..=Disk::PARTITIONS).map(|number| disk.partition(number)));
        for node in nodes {
            let Ok(meta) = fs::metadata(&node) else {
                continue;
            };
            if let (true, Some(name)) = (meta.file_type().is_block_device(), node.file_name()) {
                let device = (libc::major(meta.rdev()).into(), libc::minor(meta.rdev()).into());
                let node = Node { block: true, mode: 0o660, device };
                cx.host.create_device_node(dev.as_fd(), &name.to_string_lossy(), node).context(operation)?;
            }
        }
        let Mounted { names, found, .. } = &self.mounted;
        for (name, number) in &names.links {
            let node = found.disk.node(*number);
            if let (true, Some(target)) = (node.exists(), node.file_name()) {
                symlink(target, fd_path(&dev).join(name)).context(operation)?;
            }
        }
        for (name, target) in LINKS {
            symlink(target, fd_path(&dev).join(name)).context(operation)?;
        }
        Ok(())
    }

    /// Reads the host's resolv.conf; or exactly the files that `copy_files` names, if it is set.
    pub(crate) fn read_host_files(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        self.host_files = if let Some(files) = &cx.job.chroot.copy_files {
            let read = |file: &String| {
                HostFile::read(file).context(|| format!("reading {file} of the host, which copy_files names"))
            };
            files.iter().map(read).collect::<Result<_, _>>()?
        } else if cx.job.from_scratch {
            Vec::new()
        } else {
            match HostFile::read("/etc/resolv.conf") {
                Ok(file) => vec![HostFile { mode: 0o644, ..file }],
                Err(error) => {
                    cx.note(format!("no name resolution inside: the host's /etc/resolv.conf: {error}"));
                    Vec::new()
                }
            }
        };
        Ok(())
    }

    /// Prevents packages from starting services. By family:
    ///
    /// * Debian, Ubuntu: the package scripts ask policy-rc.d, which forbids it.
    /// * systemd (every current distribution): systemctl finds that process 1 has another root directory than itself,
    ///   takes this for a chroot, and ignores start, restart, reload and daemon-reload. This needs `/proc`, which is a
    ///   default mount, and CAP_SYS_PTRACE. enable and disable work, because they only write symbolic links.
    /// * upstart (Amazon Linux 1, Ubuntu 14.04): initctl would connect to the host's init, so a program that does
    ///   nothing is mounted over it.
    /// * A service that is started in another way (`service`, `/etc/init.d/x start`, OpenRC, by its own command) does
    ///   start. It can't leave the build's namespaces and is killed after the last step, before the unmount; the proof
    ///   names it.
    fn prevent_service_starts(&mut self) -> Result<(), JobError> {
        let image = &self.chroot_mounts.image;
        let debian = image.exists("/usr/sbin/invoke-rc.d") || image.exists("/etc/debian_version");
        let upstart = image.exists("/sbin/initctl") && image.is_dir("/etc/init");
        if debian {
            self.chroot_mounts.bind_copy(POLICY_RC_D, 0o755, Path::new("/usr/sbin/policy-rc.d"))?;
        }
        if upstart {
            self.chroot_mounts.bind_copy(NO_OP, 0o755, Path::new("/sbin/initctl"))?;
        }
        Ok(())
    }
}

/// Returns a mount that the template's `chroot_mounts` requests. The source of a bind mount may be relative to the
/// job's working directory. The one difference to what is requested: instead of a bind mount of `/proc`, which would
/// show the agent to the steps, a `/proc` of their own PID namespace is mounted.
fn requested_mount(requested: &ChrootMount, directory: &Path) -> StandardMount {
    let ChrootMount { kind, source, target } = requested;
    let mount = if kind == "bind" && Path::new(source) == Path::new("/proc") {
        file_system("proc", MsFlags::empty(), "")
    } else {
        let bind = kind == "bind";
        Mount {
            source: if bind { directory.join(source).display().to_string() } else { source.clone() },
            target: Default::default(),
            kind: if bind { String::new() } else { kind.clone() },
            flags: if bind { MsFlags::MS_BIND } else { MsFlags::empty() },
            data: String::new(),
        }
    };
    StandardMount { target: target.clone(), mount, optional: false }
}

/// Returns the mounts for a template without `chroot_mounts`: at the same paths as Packer's.
fn default_mounts() -> Vec<StandardMount> {
    let restricted = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let devpts_options = "newinstance,ptmxmode=0666,mode=620,gid=5";
    let standard = |target: &str, mount, optional| StandardMount { target: target.to_owned(), mount, optional };
    vec![
        standard("/proc", file_system("proc", restricted, ""), false),
        // Read-only: a package that writes to it, to trigger udev events or to change a kernel setting, would do that
        // to the host.
        standard("/sys", file_system("sysfs", restricted | MsFlags::MS_RDONLY, ""), false),
        // A tmpfs, not the host's `/dev`: so a package can neither create anything there nor open a device of the host.
        standard("/dev", file_system("tmpfs", MsFlags::MS_NOSUID, "mode=755,size=1m"), false),
        standard("/dev/pts", file_system("devpts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, devpts_options), false),
        // The handlers belong to the whole host: a build may use but not change them.
        standard("/proc/sys/fs/binfmt_misc", file_system("binfmt_misc", restricted | MsFlags::MS_RDONLY, ""), true),
    ]
}

fn file_system(kind: &str, flags: MsFlags, data: &str) -> Mount {
    Mount { source: kind.to_owned(), target: Default::default(), kind: kind.to_owned(), flags, data: data.to_owned() }
}
