//! Furnishing the image: mounts, a small `/dev`, name resolution, and nothing that lets services start.

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
    error::{Doing, EarlyEnd, JobError},
    host::{Mount, Node},
    image::{Image, path_of},
    mount::Mounted,
};

/// The name of the host inside: the same for every build, so that no image remembers where it was built, and one that
/// every image can resolve.
const HOST_NAME: &str = "localhost";

/// invoke-rc.d(8) and deb-systemd-invoke ask this program; 101 means: may not be done.
const POLICY: &[u8] = b"#!/bin/sh\nexit 101\n";
/// For upstart, whose initctl would talk to the host's init.
const NOTHING: &[u8] = b"#!/bin/sh\nexit 0\n";

/// Character devices that every program may expect, with their numbers (kernel: admin-guide/devices.txt).
const DEVICES: [(&str, (u64, u64)); 6] =
    [("null", (1, 3)), ("zero", (1, 5)), ("full", (1, 7)), ("random", (1, 8)), ("urandom", (1, 9)), ("tty", (5, 0))];
/// What of `/proc` is not of the build's own PID namespace but of the whole kernel, and can be written to.
const READ_ONLY_IN_PROC: [&str; 4] = ["/proc/sys", "/proc/irq", "/proc/bus", "/proc/sysrq-trigger"];

const LINKS: [(&str, &str); 6] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// The image is ready for programs to run in it.
pub(crate) struct Entered<'a> {
    pub(crate) chroot_mounts: ChrootMounts<'a>,
    pub(crate) mounted: Mounted<'a>,
}

/// Every step has run.
pub(crate) struct Provisioned<'a>(pub(crate) Entered<'a>);

impl<'a> Mounted<'a> {
    /// Furnishes the image.
    pub(crate) fn enter(self) -> Result<Entered<'a>, EarlyEnd> {
        let cx = self.cx();
        cx.phase(AgentPhase::Enter);
        let early = |error| EarlyEnd::new(AgentPhase::Enter, None, error);
        let image = Image::open_root(&self.guard.path).doing(|| format!("opening {}", self.guard.path.display()));
        let (image, root) = match (image, self.guard.root.clone()) {
            (Ok(image), Some(root)) => (image, root),
            (Err(error), _) => return Err(self.undo(early(error))),
            (Ok(_), None) => return Err(self.undo(early(JobError::wrong("the root is not mounted")))),
        };
        let disk = self.found.disk.path.clone();
        let mut entered = Entered { chroot_mounts: ChrootMounts::new(cx, image, root, disk), mounted: self };
        match entered.set_up() {
            Ok(()) => Ok(entered),
            Err(error) => Err(entered.undo(early(error))),
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
        cx.host.isolate(HOST_NAME).doing(|| "making UTS and IPC namespaces".to_owned())?;
        match &cx.job.chroot.chroot_mounts {
            Some(mounts) => mounts.iter().try_for_each(|mount| self.mount_as_asked(mount))?,
            None => self.mount_defaults()?,
        }
        self.set_up_name_resolution()?;
        self.prevent_service_starts()
    }

    /// Exactly what the template asks for; except that a bind of `/proc` is a `/proc` of the steps' own PID namespace, as
    /// the agent's would show them the agent.
    fn mount_as_asked(&mut self, asked: &ChrootMount) -> Result<(), JobError> {
        let bind = asked.kind == "bind";
        if bind && Path::new(&asked.source) == Path::new("/proc") {
            let proc = ChrootMount { kind: "proc".to_owned(), source: "proc".to_owned(), ..asked.clone() };
            return self.mount_as_asked(&proc);
        }
        let mount = Mount {
            source: asked.source.clone(),
            target: Default::default(),
            kind: if bind { String::new() } else { asked.kind.clone() },
            flags: if bind { MsFlags::MS_BIND } else { MsFlags::empty() },
            data: String::new(),
        };
        self.chroot_mounts.mount(&asked.target, &mount)
    }

    fn mount_defaults(&mut self) -> Result<(), JobError> {
        let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let mount = |kind: &str, flags, data: &str| Mount {
            source: kind.to_owned(),
            target: Default::default(),
            kind: kind.to_owned(),
            flags,
            data: data.to_owned(),
        };
        self.chroot_mounts.mount("/proc", &mount("proc", quiet, ""))?;
        self.make_proc_read_only()?;
        // Read-only: a package that triggers udev events or sets a kernel's knob there would do it to the host.
        self.chroot_mounts.mount("/sys", &mount("sysfs", quiet | MsFlags::MS_RDONLY, ""))?;
        // Our own, not the host's: what a package makes in it, or a device it opens, is no business of the host's.
        self.chroot_mounts.mount("/dev", &mount("tmpfs", MsFlags::MS_NOSUID, "mode=755,size=1m"))?;
        self.fill_dev()?;
        let private = "newinstance,ptmxmode=0666,mode=620,gid=5";
        self.chroot_mounts.mount("/dev/pts", &mount("devpts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, private))?;
        self.chroot_mounts.mount("/dev/shm", &mount("tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777"))?;
        // The handlers are the whole host's: they may be used, but not changed by a build. Not every kernel has them.
        let binfmt = "/proc/sys/fs/binfmt_misc";
        if self.chroot_mounts.image.is_dir(binfmt) {
            let _ = self.chroot_mounts.mount(binfmt, &mount("binfmt_misc", quiet | MsFlags::MS_RDONLY, ""));
        }
        Ok(())
    }

    /// What in `/proc` is the whole host's can be read but not set: a package's `sysctl -p` would do it to the host, and
    /// `core_pattern` or `sysrq-trigger` even more. Against accidents: who holds CAP_SYS_ADMIN can undo it.
    fn make_proc_read_only(&mut self) -> Result<(), JobError> {
        for shielded in READ_ONLY_IN_PROC {
            let image = &self.chroot_mounts.image;
            if !image.exists(shielded) {
                continue;
            }
            let bind = Mount {
                source: format!("{}{shielded}", image.path.display()),
                target: Default::default(),
                kind: String::new(),
                flags: MsFlags::MS_BIND
                    | MsFlags::MS_RDONLY
                    | MsFlags::MS_NOSUID
                    | MsFlags::MS_NODEV
                    | MsFlags::MS_NOEXEC,
                data: String::new(),
            };
            self.chroot_mounts.mount(shielded, &bind)?;
        }
        Ok(())
    }

    fn fill_dev(&self) -> Result<(), JobError> {
        let cx = self.cx();
        let filling = || "filling the image's /dev".to_owned();
        let dev = self.chroot_mounts.image.open("dev", OFlag::O_PATH | OFlag::O_DIRECTORY, 0).doing(filling)?;
        for (name, device) in DEVICES {
            cx.host.make_node(dev.as_fd(), name, Node { block: false, mode: 0o666, device }).doing(filling)?;
        }
        // The volume itself, so that grub-install and the like find the disk that they are to write to.
        let disk = &self.mounted.found.disk;
        let nodes = std::iter::once(disk.path.clone()).chain((1..=128).map(|number| disk.partition(number)));
        for node in nodes {
            let Ok(meta) = fs::metadata(&node) else {
                continue;
            };
            if let (true, Some(name)) = (meta.file_type().is_block_device(), node.file_name()) {
                let device = (libc::major(meta.rdev()).into(), libc::minor(meta.rdev()).into());
                let node = Node { block: true, mode: 0o660, device };
                cx.host.make_node(dev.as_fd(), &name.to_string_lossy(), node).doing(filling)?;
            }
        }
        for (name, target) in LINKS {
            symlink(target, path_of(&dev).join(name)).doing(filling)?;
        }
        Ok(())
    }

    /// Name resolution as the host has it, whatever the image's resolv.conf is; or exactly the files asked for.
    fn set_up_name_resolution(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        if let Some(files) = &cx.job.chroot.copy_files {
            return files.iter().try_for_each(|file| self.show_host_file(file));
        }
        if cx.job.from_scratch {
            return Ok(());
        }
        match fs::read("/etc/resolv.conf") {
            Ok(content) => self.chroot_mounts.show(&content, 0o644, Path::new("/etc/resolv.conf")),
            Err(error) => {
                cx.note(format!("no name resolution inside: the host's /etc/resolv.conf: {error}"));
                Ok(())
            }
        }
    }

    fn show_host_file(&mut self, file: &str) -> Result<(), JobError> {
        let reading = || format!("reading {file} of the host, which copy_files names");
        let mode = fs::metadata(file).doing(reading)?.permissions().mode() & 0o7777;
        let content = fs::read(file).doing(reading)?;
        self.chroot_mounts.show(&content, mode, Path::new(file))
    }

    /// What guards against services that a package starts, family by family:
    ///
    /// * Debian, Ubuntu: their package scripts ask policy-rc.d, which says no.
    /// * systemd (all of today's families): systemctl finds that process 1 has another root directory than it has
    ///   itself, so that it is in a chroot, and ignores start, restart, reload and daemon-reload. That needs `/proc`,
    ///   which the default mounts have, and CAP_SYS_PTRACE. enable and disable work, as they only write links.
    /// * upstart (Amazon Linux 1, Ubuntu 14.04): initctl would talk to the host's init, so a program that does nothing
    ///   lies over it.
    /// * What is started in another way (`service`, `/etc/init.d/x start`, OpenRC, by its own name) does start. It has no
    ///   way out of the build's namespaces and is ended after the last step, before the unmount; the proof names it.
    fn prevent_service_starts(&mut self) -> Result<(), JobError> {
        let image = &self.chroot_mounts.image;
        let debian = image.exists("/usr/sbin/invoke-rc.d") || image.exists("/etc/debian_version");
        let upstart = image.exists("/sbin/initctl") && image.is_dir("/etc/init");
        if debian {
            self.chroot_mounts.show(POLICY, 0o755, Path::new("/usr/sbin/policy-rc.d"))?;
        }
        if upstart {
            self.chroot_mounts.show(NOTHING, 0o755, Path::new("/sbin/initctl"))?;
        }
        Ok(())
    }

    /// The way out: ends what runs, takes everything out again, and unmounts.
    pub(crate) fn undo(mut self, early: EarlyEnd) -> EarlyEnd {
        let leaving = AgentPhase::Leave;
        match self.empty() {
            Ok(()) => {
                let Self { chroot_mounts, mounted } = self;
                drop(chroot_mounts);
                mounted.undo(early)
            }
            Err(error) => early.and(leaving, error),
        }
    }

    fn empty(&mut self) -> Result<(), JobError> {
        let cx = self.cx();
        let grace = cx.host.cancelled().then(|| cx.job.grace.into());
        let killed = cx.host.end_all(grace).doing(|| "ending the build's processes".to_owned())?;
        self.mounted.killed.extend(killed);
        self.chroot_mounts.clear()
    }
}

impl<'a> Provisioned<'a> {
    /// Ends what still runs and takes everything out again.
    pub(crate) fn leave(self) -> Result<Mounted<'a>, EarlyEnd> {
        let Self(mut entered) = self;
        entered.cx().phase(AgentPhase::Leave);
        let early = |error| EarlyEnd::new(AgentPhase::Leave, None, error);
        entered.empty().map_err(early)?;
        match entered.chroot_mounts.check_scripts() {
            Ok(()) => {
                let Entered { chroot_mounts, mounted } = entered;
                drop(chroot_mounts);
                Ok(mounted)
            }
            Err(error) => Err(entered.undo(early(error))),
        }
    }
}
