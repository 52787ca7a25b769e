//! The phases *enter* and *leave*: sets up the chroot (mounts, a minimal `/dev`, name resolution, no starts of
//! services), and removes all of it.

use std::{
    fs,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
};

use bakehouse_protocol::{AgentPhase, spec::ChrootMount};
use nix::{fcntl::OFlag, libc, mount::MsFlags};

use crate::{
    chroot_mounts::ChrootMounts,
    context::Context,
    error::{Aborted, ErrorContext, JobError},
    host::{Mount, Node},
    image::{Image, fd_path},
    mount::Mounted,
};

/// The host name inside: the same for every build, so that no image contains the name of the host that built it, and
/// one that every image can resolve.
const HOST_NAME: &str = "localhost";

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

/// The chroot is set up: programs can run in the image.
pub(crate) struct Entered<'a> {
    pub(crate) chroot_mounts: ChrootMounts<'a>,
    pub(crate) mounted: Mounted<'a>,
}

/// Every step has run successfully.
pub(crate) struct Provisioned<'a>(pub(crate) Entered<'a>);

impl<'a> Mounted<'a> {
    /// Runs the phase *enter*.
    pub(crate) fn enter(self) -> Result<Entered<'a>, Aborted> {
        let cx = self.cx();
        cx.report_phase(AgentPhase::Enter);
        let aborted = |error| Aborted::new(AgentPhase::Enter, None, error);
        let image = Image::open_root(&self.guard.path).context(|| format!("opening {}", self.guard.path.display()));
        let (image, root) = match (image, self.guard.root.clone()) {
            (Ok(image), Some(root)) => (image, root),
            (Err(error), _) => return Err(self.undo(aborted(error))),
            (Ok(_), None) => return Err(self.undo(aborted(JobError::new("the root is not mounted")))),
        };
        let disk = self.found.disk.path.clone();
        let mut entered = Entered { chroot_mounts: ChrootMounts::new(cx, image, root, disk), mounted: self };
        match entered.set_up() {
            Ok(()) => Ok(entered),
            Err(error) => Err(entered.undo(aborted(error))),
        }
    }
}

impl<'a> Entered<'a> {
    pub(crate) fn cx(&self) -> &'a Context<'a> {
        self.mounted.cx()
    }

    fn set_up(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        cx.check_cancelled()?;
        cx.host.create_namespaces(HOST_NAME).context(|| "creating PID, UTS and IPC namespaces".to_owned())?;
        match &cx.job.chroot.chroot_mounts {
            Some(mounts) => mounts.iter().try_for_each(|mount| self.mount_requested(mount))?,
            None => self.mount_defaults()?,
        }
        self.set_up_name_resolution()?;
        self.prevent_service_starts()
    }

    /// Mounts what the template's `chroot_mounts` requests. The one difference: instead of a bind mount of `/proc`,
    /// which would show the agent to the steps, a `/proc` of their own PID namespace is mounted.
    fn mount_requested(&mut self, requested: &ChrootMount) -> Result<(), JobError> {
        let bind = requested.kind == "bind";
        if bind && Path::new(&requested.source) == Path::new("/proc") {
            let proc = ChrootMount { kind: "proc".to_owned(), source: "proc".to_owned(), ..requested.clone() };
            return self.mount_requested(&proc);
        }
        let mount = Mount {
            source: requested.source.clone(),
            target: Default::default(),
            kind: if bind { String::new() } else { requested.kind.clone() },
            flags: if bind { MsFlags::MS_BIND } else { MsFlags::empty() },
            data: String::new(),
        };
        self.chroot_mounts.mount(&requested.target, &mount)
    }

    /// Mounts the defaults, for a template without `chroot_mounts`.
    fn mount_defaults(&mut self) -> Result<(), JobError> {
        let restricted = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let mount = |kind: &str, flags, data: &str| Mount {
            source: kind.to_owned(),
            target: Default::default(),
            kind: kind.to_owned(),
            flags,
            data: data.to_owned(),
        };
        self.chroot_mounts.mount("/proc", &mount("proc", restricted, ""))?;
        self.make_proc_read_only()?;
        // Read-only: a package that writes to it, to trigger udev events or to change a kernel setting, would do that
        // to the host.
        self.chroot_mounts.mount("/sys", &mount("sysfs", restricted | MsFlags::MS_RDONLY, ""))?;
        // A tmpfs, not the host's `/dev`: so a package can neither create anything there nor open a device of the host.
        self.chroot_mounts.mount("/dev", &mount("tmpfs", MsFlags::MS_NOSUID, "mode=755,size=1m"))?;
        self.populate_dev()?;
        let devpts_options = "newinstance,ptmxmode=0666,mode=620,gid=5";
        self.chroot_mounts
            .mount("/dev/pts", &mount("devpts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, devpts_options))?;
        self.chroot_mounts.mount("/dev/shm", &mount("tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777"))?;
        // The handlers belong to the whole host: a build may use but not change them. Not every kernel has binfmt_misc.
        let binfmt = "/proc/sys/fs/binfmt_misc";
        if self.chroot_mounts.image.is_dir(binfmt) {
            let _ = self.chroot_mounts.mount(binfmt, &mount("binfmt_misc", restricted | MsFlags::MS_RDONLY, ""));
        }
        Ok(())
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
        let nodes = std::iter::once(disk.path.clone()).chain((1..=128).map(|number| disk.partition(number)));
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
        for (name, target) in LINKS {
            symlink(target, fd_path(&dev).join(name)).context(operation)?;
        }
        Ok(())
    }

    /// Mounts the host's resolv.conf over the image's; or exactly the files that `copy_files` names, if it is set.
    fn set_up_name_resolution(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        if let Some(files) = &cx.job.chroot.copy_files {
            return files.iter().try_for_each(|file| self.bind_host_file(file));
        }
        if cx.job.from_scratch {
            return Ok(());
        }
        match fs::read("/etc/resolv.conf") {
            Ok(content) => self.chroot_mounts.bind_copy(&content, 0o644, Path::new("/etc/resolv.conf")),
            Err(error) => {
                cx.note(format!("no name resolution inside: the host's /etc/resolv.conf: {error}"));
                Ok(())
            }
        }
    }

    /// Mounts a copy of a host file over the same path of the image.
    fn bind_host_file(&mut self, file: &str) -> Result<(), JobError> {
        let reading = || format!("reading {file} of the host, which copy_files names");
        let mode = fs::metadata(file).context(reading)?.permissions().mode() & 0o7777;
        let content = fs::read(file).context(reading)?;
        self.chroot_mounts.bind_copy(&content, mode, Path::new(file))
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

    /// Undoes this phase and those before: kills the build's processes, removes everything from the image, and unmounts
    /// it.
    pub(crate) fn undo(mut self, aborted: Aborted) -> Aborted {
        match self.clean_up() {
            Ok(()) => {
                let Self { chroot_mounts, mounted } = self;
                drop(chroot_mounts);
                mounted.undo(aborted)
            }
            Err(error) => aborted.with_cleanup_error(AgentPhase::Leave, error),
        }
    }

    /// Kills the build's processes and removes everything that is mounted in the image. The processes of a cancelled
    /// job have a grace period.
    fn clean_up(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        let grace = cx.host.is_cancelled().then(|| cx.job.grace.into());
        let killed = cx.host.kill_all(grace).context(|| "killing the build's processes".to_owned())?;
        self.mounted.killed.extend(killed);
        self.chroot_mounts.remove_all()
    }
}

impl<'a> Provisioned<'a> {
    /// Runs the phase *leave*: kills what the steps left running and removes everything from the image.
    pub(crate) fn leave(self) -> Result<Mounted<'a>, Aborted> {
        let Self(mut entered) = self;
        entered.cx().report_phase(AgentPhase::Leave);
        let aborted = |error| Aborted::new(AgentPhase::Leave, None, error);
        entered.clean_up().map_err(aborted)?;
        match entered.chroot_mounts.remove_pending_files() {
            Ok(()) => {
                let Entered { chroot_mounts, mounted } = entered;
                drop(chroot_mounts);
                Ok(mounted)
            }
            Err(error) => Err(entered.undo(aborted(error))),
        }
    }
}
