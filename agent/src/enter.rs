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
    host::{Mount, Node},
    image::{Image, path_of},
    mount::Mounted,
    place::Furniture,
    stop::{Doing, Fault, Stop},
    story::Context,
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
const SHIELDED: [&str; 4] = ["/proc/sys", "/proc/irq", "/proc/bus", "/proc/sysrq-trigger"];

const LINKS: [(&str, &str); 6] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
];

/// The image is ready for programs to run in it.
pub(crate) struct Inside<'a> {
    pub(crate) furniture: Furniture<'a>,
    pub(crate) mounted: Mounted<'a>,
}

/// Every step has run.
pub(crate) struct Provisioned<'a>(pub(crate) Inside<'a>);

impl<'a> Mounted<'a> {
    /// Furnishes the image.
    pub(crate) fn enter(self) -> Result<Inside<'a>, Stop> {
        let cx = self.cx();
        cx.phase(AgentPhase::Enter);
        let stop = |fault| Stop::new(AgentPhase::Enter, None, fault);
        let image = Image::open_root(&self.net.path).doing(|| format!("opening {}", self.net.path.display()));
        let (image, root) = match (image, self.net.root.clone()) {
            (Ok(image), Some(root)) => (image, root),
            (Err(fault), _) => return Err(self.undo(stop(fault))),
            (Ok(_), None) => return Err(self.undo(stop(Fault::wrong("the root is not mounted")))),
        };
        let disk = self.found.disk.path.clone();
        let mut inside = Inside { furniture: Furniture::new(cx, image, root, disk), mounted: self };
        match inside.furnish() {
            Ok(()) => Ok(inside),
            Err(fault) => Err(inside.undo(stop(fault))),
        }
    }
}

impl<'a> Inside<'a> {
    pub(crate) fn cx(&self) -> &'a Context<'a> {
        self.mounted.cx()
    }

    fn furnish(&mut self) -> Result<(), Fault> {
        let cx = self.cx();
        cx.go_on()?;
        cx.host.isolate(HOST_NAME).doing(|| "making UTS and IPC namespaces".to_owned())?;
        match &cx.job.chroot.chroot_mounts {
            Some(mounts) => mounts.iter().try_for_each(|mount| self.mount_as_asked(mount))?,
            None => self.mount_defaults()?,
        }
        self.resolve_names()?;
        self.keep_services_from_starting()
    }

    /// Exactly what the template asks for; except that a bind of `/proc` is a `/proc` of the steps' own PID namespace, as
    /// the agent's would show them the agent.
    fn mount_as_asked(&mut self, asked: &ChrootMount) -> Result<(), Fault> {
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
        self.furniture.mount(&asked.target, &mount)
    }

    fn mount_defaults(&mut self) -> Result<(), Fault> {
        let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let mount = |kind: &str, flags, data: &str| Mount {
            source: kind.to_owned(),
            target: Default::default(),
            kind: kind.to_owned(),
            flags,
            data: data.to_owned(),
        };
        self.furniture.mount("/proc", &mount("proc", quiet, ""))?;
        self.shield_the_kernel()?;
        // Read-only: a package that triggers udev events or sets a kernel's knob there would do it to the host.
        self.furniture.mount("/sys", &mount("sysfs", quiet | MsFlags::MS_RDONLY, ""))?;
        // Our own, not the host's: what a package makes in it, or a device it opens, is no business of the host's.
        self.furniture.mount("/dev", &mount("tmpfs", MsFlags::MS_NOSUID, "mode=755,size=1m"))?;
        self.fill_dev()?;
        let private = "newinstance,ptmxmode=0666,mode=620,gid=5";
        self.furniture.mount("/dev/pts", &mount("devpts", MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, private))?;
        self.furniture.mount("/dev/shm", &mount("tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=1777"))?;
        // The handlers are the whole host's: they may be used, but not changed by a build. Not every kernel has them.
        let binfmt = "/proc/sys/fs/binfmt_misc";
        if self.furniture.image.is_dir(binfmt) {
            let _ = self.furniture.mount(binfmt, &mount("binfmt_misc", quiet | MsFlags::MS_RDONLY, ""));
        }
        Ok(())
    }

    /// What in `/proc` is the whole host's can be read but not set: a package's `sysctl -p` would do it to the host, and
    /// `core_pattern` or `sysrq-trigger` even more. Against accidents: who holds CAP_SYS_ADMIN can undo it.
    fn shield_the_kernel(&mut self) -> Result<(), Fault> {
        for shielded in SHIELDED {
            let image = &self.furniture.image;
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
            self.furniture.mount(shielded, &bind)?;
        }
        Ok(())
    }

    fn fill_dev(&self) -> Result<(), Fault> {
        let cx = self.cx();
        let filling = || "filling the image's /dev".to_owned();
        let dev = self.furniture.image.open("dev", OFlag::O_PATH | OFlag::O_DIRECTORY, 0).doing(filling)?;
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
    fn resolve_names(&mut self) -> Result<(), Fault> {
        let cx = self.cx();
        if let Some(files) = &cx.job.chroot.copy_files {
            return files.iter().try_for_each(|file| self.show_host_file(file));
        }
        if cx.job.from_scratch {
            return Ok(());
        }
        match fs::read("/etc/resolv.conf") {
            Ok(content) => self.furniture.show(&content, 0o644, Path::new("/etc/resolv.conf")),
            Err(error) => {
                cx.note(format!("no name resolution inside: the host's /etc/resolv.conf: {error}"));
                Ok(())
            }
        }
    }

    fn show_host_file(&mut self, file: &str) -> Result<(), Fault> {
        let reading = || format!("reading {file} of the host, which copy_files names");
        let mode = fs::metadata(file).doing(reading)?.permissions().mode() & 0o7777;
        let content = fs::read(file).doing(reading)?;
        self.furniture.show(&content, mode, Path::new(file))
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
    fn keep_services_from_starting(&mut self) -> Result<(), Fault> {
        let image = &self.furniture.image;
        let debian = image.exists("/usr/sbin/invoke-rc.d") || image.exists("/etc/debian_version");
        let upstart = image.exists("/sbin/initctl") && image.is_dir("/etc/init");
        if debian {
            self.furniture.show(POLICY, 0o755, Path::new("/usr/sbin/policy-rc.d"))?;
        }
        if upstart {
            self.furniture.show(NOTHING, 0o755, Path::new("/sbin/initctl"))?;
        }
        Ok(())
    }

    /// The way out: ends what runs, takes everything out again, and unmounts.
    pub(crate) fn undo(mut self, stop: Stop) -> Stop {
        let leaving = AgentPhase::Leave;
        match self.empty() {
            Ok(()) => {
                let Self { furniture, mounted } = self;
                drop(furniture);
                mounted.undo(stop)
            }
            Err(fault) => stop.and(leaving, fault),
        }
    }

    fn empty(&mut self) -> Result<(), Fault> {
        let cx = self.cx();
        let grace = cx.host.cancelled().then(|| cx.job.grace.into());
        let killed = cx.host.end_all(grace).doing(|| "ending the build's processes".to_owned())?;
        self.mounted.killed.extend(killed);
        self.furniture.clear()
    }
}

impl<'a> Provisioned<'a> {
    /// Ends what still runs and takes everything out again.
    pub(crate) fn leave(self) -> Result<Mounted<'a>, Stop> {
        let Self(mut inside) = self;
        inside.cx().phase(AgentPhase::Leave);
        let stop = |fault| Stop::new(AgentPhase::Leave, None, fault);
        inside.empty().map_err(stop)?;
        match inside.furniture.check_scripts() {
            Ok(()) => {
                let Inside { furniture, mounted } = inside;
                drop(furniture);
                Ok(mounted)
            }
            Err(fault) => Err(inside.undo(stop(fault))),
        }
    }
}
