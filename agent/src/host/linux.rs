//! The implementation of [`Host`] with system calls.

use std::{
    cell::{Cell, RefCell},
    fs::File,
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
use bakehouse_protocol::{Answer, Stream, Timestamp};
use nix::{
    mount::{MntFlags, MsFlags, umount2},
    poll::{PollFd, PollFlags},
    sched::{CloneFlags, setns, unshare},
    sys::{
        inotify::{AddWatchFlags, InitFlags, Inotify},
        signal::{Signal, kill},
        stat::{Mode, SFlag, makedev, mknodat},
    },
    unistd::{Pid, chdir, chroot, sethostname},
};

use super::{
    answers::Answers,
    api::{Command, Disk, Host, Mount, Node, ProcessEnd, RunningProcesses},
    block, init,
    own_dev::OwnDev,
    process::{self, Processes},
    release, sys,
};

/// How long killed processes may take to end: they may be waiting for a slow disk.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// The mount options of the private tmpfs, with its maximal size.
const PRIVATE_OPTIONS: &str = "size=64m,mode=0700";

/// Open namespaces, each with its kind.
type Namespaces = Vec<(OwnedFd, CloneFlags)>;

/// The host as the worker uses it. The worker is process 1 of a PID namespace and has a mount namespace of its own.
/// Programs in the image run in a PID namespace below it, so that no `/proc` in the image shows the worker.
pub(crate) struct Linux {
    /// The host's `/proc`, opened before the worker mounted its own.
    host_proc: OwnedFd,
    processes: Processes,
    answers: Answers,
    /// Where the private tmpfs is mounted, which only this mount namespace has.
    private_dir: PathBuf,
    /// Process 1 of the steps' PID namespace, once it exists.
    init: Cell<Option<Pid>>,
    own_dev: RefCell<Option<OwnDev>>,
    /// The namespaces of the host and of the steps, once the latter exist.
    namespaces: RefCell<Option<[Namespaces; 2]>>,
}

impl Linux {
    /// Sets up this process as the worker: with a mount namespace, a `/proc` of its own PID namespace, and a tmpfs on
    /// `private_dir`, an existing directory.
    pub(crate) fn new(
        cancel: OwnedFd,
        answers: OwnedFd,
        cgroup_procs: Option<OwnedFd>,
        private_dir: &Path,
    ) -> io::Result<Self> {
        let host_proc = proc::open_proc()?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        // MS_SLAVE, not MS_PRIVATE: our mounts don't propagate to the host, but unmounts of the host propagate to us.
        // With MS_PRIVATE, the copies of the host's mounts in this namespace would keep its disks in use until the job
        // has ended.
        nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        nix::mount::mount(Some("proc"), "/proc", Some("proc"), flags, none)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        nix::mount::mount(Some("bakehouse"), private_dir, Some("tmpfs"), flags, Some(PRIVATE_OPTIONS))?;
        nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
        let processes = Processes::new(cancel, cgroup_procs)?;
        let answers = Answers::new(answers)?;
        Ok(Self {
            host_proc,
            processes,
            answers,
            private_dir: private_dir.to_owned(),
            init: Cell::new(None),
            own_dev: RefCell::default(),
            namespaces: RefCell::default(),
        })
    }

    /// Returns the processes of the build except for this one and the steps' process 1.
    fn other_processes(&self) -> io::Result<Vec<String>> {
        // Opened now: it is the `/proc` of the worker's own PID namespace.
        Ok(sys::other_processes(proc::open_proc()?.as_fd(), self.init.get()))
    }

    /// Waits until only this process and the steps' process 1 are left of the build, or until the time-out.
    fn wait_for_other_processes(&self, timeout: Duration) -> io::Result<()> {
        let end = Instant::now() + timeout;
        while !self.other_processes()?.is_empty() && Instant::now() < end {
            // The steps' process 1 reaps orphans, so this process gets no SIGCHLD when one ends.
            std::thread::sleep(Duration::from_millis(5));
            self.processes.reap(None)?;
        }
        Ok(())
    }
}

/// Opens the UTS and IPC namespaces of this process, and the PID namespace of this name in `/proc/self/ns`.
fn open_namespaces(pid: &str) -> io::Result<Namespaces> {
    let kinds = [(pid, CloneFlags::CLONE_NEWPID), ("uts", CloneFlags::CLONE_NEWUTS), ("ipc", CloneFlags::CLONE_NEWIPC)];
    let open = |(name, flag)| Ok((File::open(format!("/proc/self/ns/{name}"))?.into(), flag));
    kinds.into_iter().map(open).collect()
}

/// Enters namespaces. A PID namespace is that of the children from now on.
fn enter_namespaces(namespaces: &[(OwnedFd, CloneFlags)]) -> io::Result<()> {
    Ok(namespaces.iter().try_for_each(|(namespace, flag)| setns(namespace, *flag))?)
}

impl Host for Linux {
    fn now(&self) -> Timestamp {
        sys::clock()
    }

    fn is_cancelled(&self) -> bool {
        self.processes.is_cancelled()
    }

    fn wait(&self, length: Duration, directories: &[PathBuf]) -> io::Result<()> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let events = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ATTRIB;
        for directory in directories {
            // A directory that does not exist can't be watched: its entries are found when the wait is over.
            let _ = inotify.add_watch(directory, events);
        }
        if self.processes.is_cancelled() {
            return Ok(());
        }
        let mut fds = [
            PollFd::new(self.processes.cancel_fd(), PollFlags::POLLIN),
            PollFd::new(inotify.as_fd(), PollFlags::POLLIN),
        ];
        process::poll_with_timeout(&mut fds, Some(length))
    }

    fn discard_answers(&self) -> io::Result<()> {
        self.answers.discard()
    }

    fn await_answer(&self, timeout: Option<Duration>) -> io::Result<Option<Answer>> {
        self.answers.wait(self.processes.cancel_fd(), timeout)
    }

    fn open_disk(&self, path: &Path) -> io::Result<Disk> {
        block::open(path)
    }

    fn make_own_dev(&self, disk: &Disk, links: &[(String, u32)]) -> io::Result<()> {
        let name = |number| disk.node(number).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let links: Vec<_> = links.iter().map(|(link, number)| (link.clone(), name(*number))).collect();
        let partitions = (1..=Disk::PARTITIONS).map(name).collect();
        *self.own_dev.borrow_mut() = Some(OwnDev::create(&self.private_dir, partitions, &links)?);
        Ok(())
    }

    fn fix_partition_nodes(&self, fixed: bool) -> io::Result<()> {
        self.own_dev.borrow().as_ref().map_or(Ok(()), |dev| dev.fix_partitions(fixed))
    }

    fn share_disk_lock(&self, disk: &Disk, shared: bool) -> io::Result<()> {
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
        let call = || nix::mount::mount(Some(source.as_str()), target, kind, *flags, data);
        // A new `/proc` shows the PID namespace of the process that mounts it: here, of a child in the steps'
        // namespace.
        if kind == Some("proc") && self.init.get().is_some() { init::in_child(call) } else { Ok(call()?) }
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

    fn release_swap_and_loops(&self, root: &MountEntry, disk: &Path) -> io::Result<Vec<String>> {
        let table = self.mounts()?;
        let mut devices = kernel::device_numbers(disk);
        // A command of the host may have unmounted the root. The whole entry is compared, because the kernel then gives
        // the mount's id to the next mount, which may be of a file system of the host.
        if table.contains(root) {
            let below = mountinfo::devices_only_below(&table, root);
            devices.extend(below.into_iter().filter_map(mountinfo::device_number));
        }
        // btrfs has a device number for each subvolume, which the mount table does not show. The path leads to the root
        // unless something was mounted over it, or over a directory above it, since.
        if table.iter().rev().find(|mount| root.target.starts_with(&mount.target)) == Some(root) {
            devices.extend(nix::sys::stat::stat(&root.target).map(|stat| stat.st_dev));
        }
        release::release(&devices)
    }

    fn create_namespaces(&self, host_name: &str) -> io::Result<()> {
        let root = self.private_dir.join("init");
        std::fs::DirBuilder::new().mode(0o555).create(&root)?;
        let host = open_namespaces("pid")?;
        unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)?;
        self.init.set(Some(init::start(&root)?));
        *self.namespaces.borrow_mut() = Some([host, open_namespaces("pid_for_children")?]);
        Ok(sethostname(host_name)?)
    }

    fn create_device_node(&self, directory: BorrowedFd<'_>, name: &str, node: Node) -> io::Result<()> {
        let kind = if node.block { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
        let device = makedev(node.device.0, node.device.1);
        // mknodat(2) applies the umask, so the mode is set separately.
        mknodat(directory, name, kind, Mode::from_bits_truncate(node.mode), device)?;
        let flags = nix::sys::stat::FchmodatFlags::FollowSymlink;
        Ok(nix::sys::stat::fchmodat(directory, name, Mode::from_bits_truncate(node.mode), flags)?)
    }

    fn run(&self, command: &Command, output: &mut dyn FnMut(Stream, &str)) -> io::Result<ProcessEnd> {
        if !command.in_image
            && let Some(dev) = &*self.own_dev.borrow()
        {
            dev.refresh()?;
        }
        let namespaces = self.namespaces.borrow();
        let Some([host, steps]) = namespaces.as_ref().filter(|_| !command.in_image) else {
            return process::run(&self.processes, command, output);
        };
        // A command of the host is no step: it sees the host's name, and itself in `/proc`.
        enter_namespaces(host)?;
        let end = process::run(&self.processes, command, output);
        enter_namespaces(steps)?;
        end
    }

    fn running(&self) -> io::Result<RunningProcesses> {
        Ok(sys::running(proc::open_proc()?.as_fd(), self.init.get()))
    }

    fn kill_newer(&self, than: &RunningProcesses) -> io::Result<()> {
        let end = Instant::now() + KILL_TIMEOUT;
        loop {
            self.processes.reap(None)?;
            // Until there is none: one of them may start another at any moment.
            let newer = sys::newer(proc::open_proc()?.as_fd(), self.init.get(), than);
            if newer.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                let pids: Vec<String> = newer.iter().map(|pid| format!("pid {pid}")).collect();
                let message = format!("still running after SIGKILL: {}", pids.join(", "));
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            for pid in newer {
                let _ = kill(pid, Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill_all(&self, grace: Option<Duration>) -> io::Result<Vec<String>> {
        // Every process that this one can signal: those of its PID namespace.
        let everyone = Pid::from_raw(-1);
        self.processes.reap(None)?;
        let killed = self.other_processes()?;
        if let Some(grace) = grace {
            // The steps' process 1 gets only signals that it handles, and SIGKILL (pid_namespaces(7)).
            let _ = kill(everyone, Signal::SIGTERM);
            self.wait_for_other_processes(grace)?;
        }
        let _ = kill(everyone, Signal::SIGKILL);
        let all_ended = self.processes.wait_for_no_children(KILL_TIMEOUT)?;
        self.processes.close_background_outputs();
        if all_ended {
            return Ok(killed);
        }
        let rest = self.other_processes()?.join(", ");
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("still running after SIGKILL: {rest}")))
    }
}
