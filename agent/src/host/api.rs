//! The trait [`Host`]: what the pipeline needs from the kernel, and the types of its arguments and results.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use bakehouse_disk::{Table, mountinfo::MountEntry};
use bakehouse_protocol::{Answer, Stream, Timestamp};
use nix::mount::MsFlags;

/// A disk that is open, and locked against other agents and udev.
#[derive(Debug)]
pub(crate) struct Disk {
    /// The path of its device node, such as `/dev/nvme1n1`.
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Whether it is write-protected.
    pub(crate) read_only: bool,
    /// The open device, which holds the lock.
    pub(crate) handle: OwnedFd,
}

impl Disk {
    /// The most partitions of a disk that have names: those of a GPT.
    pub(crate) const PARTITIONS: u32 = 128;

    /// Returns the kernel's name for it, such as `nvme1n1`.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns the device node of the disk (0) or of a partition.
    pub(crate) fn node(&self, number: u32) -> PathBuf {
        if number == 0 { self.path.clone() } else { self.partition(number) }
    }

    /// Returns the device node of a partition. If the disk's name ends in a digit, a `p` comes before the number.
    pub(crate) fn partition(&self, number: u32) -> PathBuf {
        let name = self.name();
        let p = if name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
        self.path.with_file_name(format!("{name}{p}{number}"))
    }
}

impl AsFd for Disk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// The arguments of mount(2).
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    /// The device, the directory or file of a bind mount, or any name.
    pub(crate) source: String,
    /// The path to mount it on.
    pub(crate) target: PathBuf,
    /// The type of the file system; empty for a bind mount.
    pub(crate) kind: String,
    /// The mount flags.
    pub(crate) flags: MsFlags,
    /// The file system's own options, separated by commas.
    pub(crate) data: String,
}

/// A program to run.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// Whether it belongs to a step in the image, and so runs in the namespaces of [`Host::create_namespaces`].
    pub(crate) in_image: bool,
    /// The directory that becomes its root; `None`: it runs on the host.
    pub(crate) root: Option<PathBuf>,
    /// The directory in which it is started, and from which the program's path is taken if that is relative.
    pub(crate) directory: PathBuf,
    /// The program's path and its arguments.
    pub(crate) argv: Vec<String>,
    /// Its whole environment.
    pub(crate) env: Vec<(String, String)>,
    /// The time after which it is ended.
    pub(crate) timeout: Option<Duration>,
    /// The time between SIGTERM and SIGKILL when it is ended.
    pub(crate) grace: Duration,
}

/// Processes: pid and start time of each, in clock ticks since the host's start. (A pid alone may be used again.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunningProcesses(pub(crate) BTreeSet<(u32, u64)>);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessEnd {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
    /// The agent ended it because of its time-out.
    TimedOut,
    /// The agent ended it because the job was cancelled.
    Cancelled,
}

/// What the pipeline needs from the kernel.
pub(crate) trait Host {
    /// Returns the time, for reports and templates.
    fn now(&self) -> Timestamp;

    /// Whether the job was cancelled.
    fn is_cancelled(&self) -> bool;

    /// Waits for this long, or until the job is cancelled or an entry of one of the directories changes.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn wait(&self, length: Duration, directories: &[PathBuf]) -> io::Result<()>;

    /// Discards the answers of a person that have arrived: they are to earlier questions.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn discard_answers(&self) -> io::Result<()>;

    /// Waits for an answer of a person; returns `None` when the job is cancelled, the time is over, or nobody can
    /// answer any more.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn await_answer(&self, timeout: Option<Duration>) -> io::Result<Option<Answer>>;

    /// Opens a disk, checks that no other process or file system uses it exclusively, and locks it with flock(2), which
    /// udev respects.
    ///
    /// # Errors
    /// `ResourceBusy` if it is in use, `WouldBlock` if it is locked; errors of the system calls.
    fn open_disk(&self, path: &Path) -> io::Result<Disk>;

    /// Creates a `/dev` of this mount namespace's own, in which these names lead to the disk (0) or to its partition of
    /// this number.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn make_own_dev(&self, disk: &Disk, links: &[(String, u32)]) -> io::Result<()>;

    /// Makes the partitions of the disk device nodes in that `/dev` (`true`: for programs in the image), or links to
    /// whatever device has their name at the moment (`false`: for commands of the host, which may make them). Does
    /// nothing if there is no such `/dev`.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn fix_partition_nodes(&self, fixed: bool) -> io::Result<()>;

    /// Makes the lock shared, so that udev can open the disk (`true`), or exclusive again (`false`).
    ///
    /// # Errors
    /// Errors of the system calls.
    fn share_disk_lock(&self, disk: &Disk, shared: bool) -> io::Result<()>;

    /// Adds, resizes and removes the kernel's partitions so that they are those of the table.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn update_partitions(&self, disk: &Disk, table: &Table) -> io::Result<()>;

    /// Checks that nothing uses the disk any more, and writes the kernel's cached data to it.
    ///
    /// # Errors
    /// `ResourceBusy` with what uses it; errors of the system calls.
    fn prove_free(&self, disk: &Disk) -> io::Result<()>;

    /// Returns the mounts of this mount namespace, in the kernel's order.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn mounts(&self) -> io::Result<Vec<MountEntry>>;

    /// Mounts a file system or makes a bind mount.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn mount(&self, mount: &Mount) -> io::Result<()>;

    /// Makes the mount at this path, with the mounts below it, the root directory of this process.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn change_root(&self, path: &Path) -> io::Result<()>;

    /// Unmounts the topmost mount at this path.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn unmount(&self, target: &Path) -> io::Result<()>;

    /// Returns what keeps a mount busy: pid, command and path of each process, and swap areas.
    fn holders(&self, mount: &MountEntry) -> Vec<String>;

    /// Turns off the swap areas and detaches the loop devices that are on the disk, on its mount `root`, or on a file
    /// system that is mounted only below `root`. If `root` is no longer mounted, only those on the disk. Returns a
    /// description of each.
    ///
    /// # Errors
    /// The first that can't be turned off or detached.
    fn release_swap_and_loops(&self, root: &MountEntry, disk: &Path) -> io::Result<Vec<String>>;

    /// Creates PID, UTS and IPC namespaces for the programs that belong to steps in the image. Process 1 of the PID
    /// namespace has no privileges: see `init.rs`.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn create_namespaces(&self, host_name: &str) -> io::Result<()>;

    /// Creates a device node.
    ///
    /// # Errors
    /// Errors of the system calls.
    fn create_device_node(&self, directory: BorrowedFd<'_>, name: &str, node: Node) -> io::Result<()>;

    /// Runs a program to its end, and calls `output` with each line of its output. Does not wait for background
    /// processes that it leaves.
    ///
    /// # Errors
    /// Why it could not be started.
    fn run(&self, command: &Command, output: &mut dyn FnMut(Stream, &str)) -> io::Result<ProcessEnd>;

    /// Returns the build's processes that run now, for [`Host::kill_newer`].
    ///
    /// # Errors
    /// Errors of reading `/proc`.
    fn running(&self) -> io::Result<RunningProcesses>;

    /// Kills every process of the build that has begun since [`Host::running`] was called, unless one that ran then
    /// has started it, and waits until all have ended.
    ///
    /// # Errors
    /// The processes that did not end.
    fn kill_newer(&self, than: &RunningProcesses) -> io::Result<()>;

    /// Kills every process of the build, with SIGTERM first if there is a grace period, and waits until all have ended.
    /// Returns those that were still running at the call.
    ///
    /// # Errors
    /// The processes that did not end.
    fn kill_all(&self, grace: Option<Duration>) -> io::Result<Vec<String>>;
}

/// A device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Whether it is a block device.
    pub(crate) block: bool,
    /// The permissions.
    pub(crate) mode: u32,
    /// The major and minor number.
    pub(crate) device: (u64, u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_nodes_are_named_as_by_the_kernel() {
        let disk = |path: &str| Disk {
            path: path.into(),
            size: 0,
            read_only: false,
            handle: std::fs::File::open("/dev/null").unwrap().into(),
        };
        assert_eq!(disk("/dev/nvme1n1").partition(2), Path::new("/dev/nvme1n1p2"));
        assert_eq!(disk("/dev/loop0").partition(1), Path::new("/dev/loop0p1"));
        assert_eq!(disk("/dev/xvdf").partition(15), Path::new("/dev/xvdf15"));
    }
}
