//! What the agent asks of the kernel: the trait [`Host`], and the values that go in and out.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use bakehouse_disk::{Table, mountinfo::MountEntry};
use bakehouse_protocol::{Stream, Timestamp};
use nix::mount::MsFlags;

/// A disk that is open and locked against other agents.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Its node, as `/dev/nvme1n1`.
    pub(crate) path: PathBuf,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Whether it refuses to be written.
    pub(crate) read_only: bool,
    /// Holds the lock.
    pub(crate) handle: OwnedFd,
}

impl Disk {
    /// The kernel's name for it, as `nvme1n1`.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The node of one of its partitions: a `p` goes between a name that ends in a digit and the number.
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

/// One mount to be made.
#[derive(Clone, Debug)]
pub(crate) struct Mount {
    /// What is mounted.
    pub(crate) source: String,
    /// Where.
    pub(crate) target: PathBuf,
    /// The file system's type; empty for a bind.
    pub(crate) kind: String,
    /// The flags.
    pub(crate) flags: MsFlags,
    /// The file system's own options, separated by commas.
    pub(crate) data: String,
}

/// A program to run.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// The directory that becomes `/` for it; `None`: it runs on the host.
    pub(crate) root: Option<PathBuf>,
    /// The program's path and its arguments.
    pub(crate) argv: Vec<String>,
    /// Its whole environment.
    pub(crate) env: Vec<(String, String)>,
    /// End it after this long.
    pub(crate) limit: Option<Duration>,
    /// How long it has between SIGTERM and SIGKILL.
    pub(crate) grace: Duration,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an exit code.
    Exited(i32),
    /// By a signal.
    Signaled(i32),
    /// We ended it because its time was up.
    TimedOut,
    /// We ended it because the job was cancelled.
    Cancelled,
}

/// What the agent asks of the kernel.
pub(crate) trait Host {
    /// The time, for reports.
    fn now(&self) -> Timestamp;

    /// Whether the job was cancelled.
    fn cancelled(&self) -> bool;

    /// Waits this long, or less if the job is cancelled, or if something changes in one of the directories.
    ///
    /// # Errors
    /// The kernel's.
    fn wait(&self, length: Duration, directories: &[PathBuf]) -> io::Result<()>;

    /// Opens a disk, checks that nobody has it for himself, and locks it (`flock`, which udev heeds, too).
    ///
    /// # Errors
    /// `ResourceBusy` if it is in use; the kernel's.
    fn open_disk(&self, path: &Path) -> io::Result<Disk>;

    /// Lets udev look at the disk (`true`), or keeps it off again (`false`).
    ///
    /// # Errors
    /// The kernel's.
    fn share_disk(&self, disk: &Disk, shared: bool) -> io::Result<()>;

    /// Makes the kernel's partitions those of the table.
    ///
    /// # Errors
    /// The kernel's.
    fn update_partitions(&self, disk: &Disk, table: &Table) -> io::Result<()>;

    /// Writes out what the kernel still holds of the disk and makes sure that nobody uses it any more.
    ///
    /// # Errors
    /// `ResourceBusy` naming the users; the kernel's.
    fn prove_free(&self, disk: &Disk) -> io::Result<()>;

    /// The mounts of this mount namespace, in the kernel's order.
    ///
    /// # Errors
    /// The kernel's.
    fn mounts(&self) -> io::Result<Vec<MountEntry>>;

    /// Makes a mount.
    ///
    /// # Errors
    /// The kernel's.
    fn mount(&self, mount: &Mount) -> io::Result<()>;

    /// Makes what is mounted at this path, with all that is mounted below it, the root of this process.
    ///
    /// # Errors
    /// The kernel's.
    fn change_root(&self, path: &Path) -> io::Result<()>;

    /// Unmounts what is on top at this path.
    ///
    /// # Errors
    /// The kernel's.
    fn unmount(&self, target: &Path) -> io::Result<()>;

    /// Who keeps a mount busy: pid, command and path of each.
    fn holders(&self, mount: &MountEntry) -> Vec<String>;

    /// Turns off the swap areas and detaches the loop devices that lie on the disk, on this mount of it, or on a file
    /// system that is mounted nowhere but below that, and returns what it was.
    ///
    /// # Errors
    /// If one can't be released.
    fn release(&self, root: &MountEntry, disk: &Path) -> io::Result<Vec<String>>;

    /// Makes PID, UTS and IPC namespaces for what runs from now on. Process 1 of the PID namespace has nothing that is
    /// worth reaching: see `init.rs`.
    ///
    /// # Errors
    /// The kernel's.
    fn isolate(&self, host_name: &str) -> io::Result<()>;

    /// Makes a device node.
    ///
    /// # Errors
    /// The kernel's.
    fn make_node(&self, directory: BorrowedFd<'_>, name: &str, node: Node) -> io::Result<()>;

    /// Runs a program to its end, calling back with each line of its output. What it leaves behind in the background
    /// does not hold this up.
    ///
    /// # Errors
    /// If it could not be started.
    fn run(&self, command: &Command, output: &mut dyn FnMut(Stream, &str)) -> io::Result<End>;

    /// Ends every process of the build, after `grace` by force, waits until none is left, and says which had to be
    /// killed.
    ///
    /// # Errors
    /// If one can't be ended.
    fn end_all(&self, grace: Option<Duration>) -> io::Result<Vec<String>>;
}

/// A device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Whether it is a block device.
    pub(crate) block: bool,
    /// Its permissions.
    pub(crate) mode: u32,
    /// Major and minor number.
    pub(crate) device: (u64, u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_as_the_kernel_does() {
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
