//! The kernel itself.

use std::{
    cell::Cell,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bakehouse_disk::{
    Table, kernel,
    mountinfo::{self, MountEntry},
    proc,
};
use bakehouse_protocol::{Stream, Timestamp};
use nix::{
    mount::{MntFlags, MsFlags, umount2},
    poll::{PollFd, PollFlags},
    sched::{CloneFlags, unshare},
    sys::{
        inotify::{AddWatchFlags, InitFlags, Inotify},
        signal::{Signal, kill},
        stat::{Mode, SFlag, makedev, mknodat},
    },
    unistd::{Pid, chdir, chroot, sethostname},
};

use super::{
    api::{Command, Disk, End, Host, Mount, Node},
    block, init,
    process::{self, Processes},
    release, sys,
};

/// The most that the files kept in [`Linux`]'s private directory may take together.
const PRIVATE_SIZE: &str = "size=64m,mode=0700";

/// The kernel, for the worker: process 1 of a PID namespace with a mount namespace of its own. What runs in the image
/// has a PID namespace below it, so that no `/proc` which the image has shows the worker.
pub(crate) struct Linux {
    /// The host's `/proc`.
    host_proc: OwnedFd,
    processes: Processes,
    /// A tmpfs that only this mount namespace has.
    private: PathBuf,
    /// Process 1 of the steps' PID namespace, once that is made.
    init: Cell<Option<Pid>>,
}

impl Linux {
    /// Makes this process the worker: a private mount namespace, a `/proc` of its own PID namespace, and a tmpfs at
    /// `private`, an existing directory.
    pub(crate) fn new(cancel: OwnedFd, cgroup_procs: Option<OwnedFd>, private: &Path) -> io::Result<Self> {
        let host_proc = proc::open_proc()?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        // Slave, not private: nothing that we mount gets out, but what the host unmounts goes here, too. Else the copies in
        // this namespace would keep other people's disks in use for as long as the job runs.
        nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        nix::mount::mount(Some("proc"), "/proc", Some("proc"), flags, none)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        nix::mount::mount(Some("bakehouse"), private, Some("tmpfs"), flags, Some(PRIVATE_SIZE))?;
        nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
        let processes = Processes::new(cancel, cgroup_procs)?;
        Ok(Self { host_proc, processes, private: private.to_owned(), init: Cell::new(None) })
    }

    /// Every process of the build but this one and the steps' process 1.
    fn others(&self) -> io::Result<Vec<String>> {
        Ok(sys::others(proc::open_proc()?.as_fd(), self.init.get()))
    }

    /// Waits until no process of the build is left but this one and the steps' process 1, or the time is up.
    fn wait_for_others(&self, limit: Duration) -> io::Result<()> {
        let end = Instant::now() + limit;
        while !self.others()?.is_empty() && Instant::now() < end {
            // Orphans are reaped by the steps' process 1, so no signal tells of their end.
            std::thread::sleep(Duration::from_millis(5));
            self.processes.reap(None)?;
        }
        Ok(())
    }
}

impl Host for Linux {
    fn now(&self) -> Timestamp {
        sys::clock()
    }

    fn cancelled(&self) -> bool {
        self.processes.is_cancelled()
    }

    fn wait(&self, length: Duration, directories: &[PathBuf]) -> io::Result<()> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
        for directory in directories {
            // One that does not exist yet is seen by the timed look.
            let _ = inotify.add_watch(directory, events);
        }
        if self.processes.is_cancelled() {
            return Ok(());
        }
        let mut fds = [
            PollFd::new(self.processes.cancel_fd(), PollFlags::POLLIN),
            PollFd::new(inotify.as_fd(), PollFlags::POLLIN),
        ];
        process::poll_for(&mut fds, Some(length))
    }

    fn open_disk(&self, path: &Path) -> io::Result<Disk> {
        block::open(path)
    }

    fn share_disk(&self, disk: &Disk, shared: bool) -> io::Result<()> {
        block::lock(disk, shared)
    }

    fn update_partitions(&self, disk: &Disk, table: &Table) -> io::Result<()> {
        block::update_partitions(disk, table)
    }

    fn prove_free(&self, disk: &Disk) -> io::Result<()> {
        sys::prove_free(self.host_proc.as_fd(), &disk.path)
    }

    fn mounts(&self) -> io::Result<Vec<MountEntry>> {
        Ok(mountinfo::parse(&std::fs::read("/proc/self/mountinfo")?))
    }

    fn mount(&self, mount: &Mount) -> io::Result<()> {
        let Mount { source, target, kind, flags, data } = mount;
        let data = (!data.is_empty()).then_some(data.as_str());
        let kind = (!kind.is_empty()).then_some(kind.as_str());
        let mount = || nix::mount::mount(Some(source.as_str()), target, kind, *flags, data);
        // A `/proc` shows the PID namespace of the process that mounts it, which must be the steps'.
        if kind == Some("proc") && self.init.get().is_some() { init::in_child(mount) } else { Ok(mount()?) }
    }

    fn change_root(&self, path: &Path) -> io::Result<()> {
        chdir(path)?;
        nix::mount::mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
        Ok(chroot(".")?)
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        Ok(umount2(target, MntFlags::UMOUNT_NOFOLLOW)?)
    }

    fn holders(&self, mount: &MountEntry) -> Vec<String> {
        let device = nix::sys::stat::stat(&mount.target).map(|stat| stat.st_dev);
        let mut holders = device.map(|device| sys::holders(self.host_proc.as_fd(), device)).unwrap_or_default();
        holders.extend(release::swaps_below(&mount.target));
        holders
    }

    fn release(&self, root: &MountEntry, disk: &Path) -> io::Result<Vec<String>> {
        let table = self.mounts()?;
        let mut devices = kernel::device_numbers(disk);
        let own: Vec<&str> = mountinfo::devices_only_below(&table, root);
        devices.extend(own.iter().filter_map(|device| mountinfo::device_number(device)));
        // btrfs has numbers of its own for its subvolumes, which the mount table doesn't show.
        devices.extend(nix::sys::stat::stat(&root.target).map(|stat| stat.st_dev));
        release::release(&devices)
    }

    fn isolate(&self, host_name: &str) -> io::Result<()> {
        let root = self.private.join("init");
        std::fs::DirBuilder::new().mode(0o555).create(&root)?;
        unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)?;
        self.init.set(Some(init::start(&root)?));
        Ok(sethostname(host_name)?)
    }

    fn make_node(&self, directory: BorrowedFd<'_>, name: &str, node: Node) -> io::Result<()> {
        let kind = if node.block { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
        let device = makedev(node.device.0, node.device.1);
        // The mode is set apart, as the umask takes from it here.
        mknodat(directory, name, kind, Mode::from_bits_truncate(node.mode), device)?;
        let flags = nix::sys::stat::FchmodatFlags::FollowSymlink;
        Ok(nix::sys::stat::fchmodat(directory, name, Mode::from_bits_truncate(node.mode), flags)?)
    }

    fn run(&self, command: &Command, output: &mut dyn FnMut(Stream, &str)) -> io::Result<End> {
        process::run(&self.processes, command, output)
    }

    fn end_all(&self, grace: Option<Duration>) -> io::Result<Vec<String>> {
        let everyone = Pid::from_raw(-1);
        self.processes.reap(None)?;
        let killed = self.others()?;
        if let Some(grace) = grace {
            // The steps' process 1 has no handler for it, so that it ignores it.
            let _ = kill(everyone, Signal::SIGTERM);
            self.wait_for_others(grace)?;
        }
        let _ = kill(everyone, Signal::SIGKILL);
        let alone = self.processes.wait_until_alone(Duration::from_secs(30))?;
        self.processes.close_lingering();
        if alone {
            return Ok(killed);
        }
        let rest = self.others()?.join(", ");
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("still there after SIGKILL: {rest}")))
    }
}
