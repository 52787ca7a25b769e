//! Forks, reads the clock, and inspects other processes through `/proc`.
#![allow(unsafe_code)]

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bakehouse_disk::{kernel, proc};
use bakehouse_protocol::Timestamp;
use nix::{
    fcntl::{AtFlags, readlinkat},
    libc,
    sys::{
        signal::{SigHandler, Signal, signal},
        stat::fstatat,
    },
    unistd::{ForkResult, Pid},
};

use super::api::RunningProcesses;

/// Returns the time, for reports and templates.
pub(crate) fn clock() -> Timestamp {
    // The only place where the agent reads the wall clock.
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The side of a fork on which the caller is.
pub(crate) enum Forked {
    Parent(Pid),
    Child,
}

/// Forks. Fails if the process has other threads: the child would inherit their locks in any state.
pub(crate) fn fork() -> io::Result<Forked> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("the process has {threads} threads, and must have one to fork")));
    }
    // SAFETY: there is one thread, so the child may do all that the parent might.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child)),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Exits at once, without running exit handlers, which belong to the parent of a forked child.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Closes every file descriptor from `first` on.
pub(crate) fn close_from(first: u32) {
    // SAFETY: takes numbers only; the caller uses none of these descriptors afterwards.
    if unsafe { libc::close_range(first, libc::c_uint::MAX, 0) } == 0 {
        return;
    }
    // Kernels before 5.9 don't have close_range(2).
    // SAFETY: takes a number.
    let most = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) }.clamp(1024, 1 << 20);
    for fd in i64::from(first)..most {
        // SAFETY: takes a number; a descriptor that is not open is an error without effect.
        unsafe { libc::close(fd as libc::c_int) };
    }
}

/// Makes sure that this process can wait for its children. If the process that started it ignored SIGCHLD, this is
/// inherited through execve(2): then the kernel would reap every child itself, and waiting for the end of a step would
/// not return.
pub(crate) fn reap_own_children() -> io::Result<()> {
    // SAFETY: sets the default action, which is valid for SIGCHLD; no handler of ours is replaced.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    Ok(())
}

/// Returns "pid 12 (name)".
fn describe_process(proc: BorrowedFd<'_>, pid: u32) -> String {
    format!("pid {pid} ({})", proc::command(proc, pid))
}

/// Returns the processes that have a file on this device open, as their program, or as their working or root directory.
pub(crate) fn holders(proc: BorrowedFd<'_>, device: u64) -> Vec<String> {
    let mut found = Vec::new();
    for pid in proc::numbers(proc, ".") {
        let links = ["cwd", "root", "exe"].map(|link| format!("{pid}/{link}"));
        let files = proc::numbers(proc, &format!("{pid}/fd")).into_iter().map(|fd| format!("{pid}/fd/{fd}"));
        for link in links.into_iter().chain(files) {
            if fstatat(proc, link.as_str(), AtFlags::empty()).is_ok_and(|stat| stat.st_dev == device) {
                let path = readlinkat(proc, link.as_str()).unwrap_or_default();
                found.push(format!("{}: {}", describe_process(proc, pid), path.to_string_lossy()));
            }
        }
    }
    found
}

/// Waits until nothing uses the disk and its partitions, for at most 5 s: the kernel completes some unmounts after the
/// call.
fn wait_until_unused(proc: BorrowedFd<'_>, disk: &Path) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(5);
    let mut pause = Duration::from_millis(2);
    loop {
        let busy = match check_unused(proc, disk) {
            Ok(()) => return Ok(()),
            Err(busy) => busy,
        };
        if Instant::now() >= end {
            return Err(busy);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// Checks that nothing uses the disk, and writes the kernel's cached data to it.
pub(crate) fn prove_free(proc: BorrowedFd<'_>, disk: &Path) -> io::Result<()> {
    wait_until_unused(proc, disk)?;
    super::block::flush(File::open(disk)?.as_fd())
}

/// Checks that the disk is mounted nowhere and that nothing uses it exclusively.
fn check_unused(proc: BorrowedFd<'_>, disk: &Path) -> io::Result<()> {
    let mounts = proc::mounts_of(proc, disk);
    if !mounts.is_empty() {
        let mounts = mounts
            .iter()
            .map(|it| format!("mounted at {} for {}", it.target.display(), describe_process(proc, it.pid)));
        let mounts = mounts.collect::<Vec<_>>().join(", ");
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, format!("it is {mounts}")));
    }
    match kernel::open_exclusively(disk) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "the kernel holds it for a file system or a mapping"))
        }
        Err(error) => Err(error),
    }
}

/// A process, as `/proc/<pid>/stat` has it.
struct Stat {
    parent: u32,
    /// Clock ticks since the host's start.
    start: u64,
    /// Whether it has ended and was not waited for yet.
    ended: bool,
}

/// Reads `/proc/<pid>/stat` (proc_pid_stat(5)): "pid (name) state parent …"; the name may contain anything, so the last
/// ')' ends it. The start time is the 22nd field.
fn stat(proc: BorrowedFd<'_>, pid: u32) -> Option<Stat> {
    let text = proc::read(proc, &format!("{pid}/stat")).ok()?;
    let close = text.iter().rposition(|&b| b == b')')?;
    let text = String::from_utf8_lossy(text.get(close + 1..)?).into_owned();
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let ended = matches!(*fields.first()?, "Z" | "X");
    Some(Stat { parent: fields.get(1)?.parse().ok()?, start: fields.get(19)?.parse().ok()?, ended })
}

/// Returns the processes in this `/proc` except for this process, `init` and those that have ended.
fn others(proc: BorrowedFd<'_>, init: Option<Pid>) -> BTreeMap<u32, Stat> {
    let is_ours = |pid| pid == std::process::id() || init.is_some_and(|init| init.as_raw().unsigned_abs() == pid);
    let pids = proc::numbers(proc, ".").into_iter().filter(|&pid| !is_ours(pid));
    pids.filter_map(|pid| Some((pid, stat(proc, pid)?))).filter(|(_, stat)| !stat.ended).collect()
}

/// Returns name and pid of each process in this `/proc` except for this process, `init` and zombies.
pub(crate) fn other_processes(proc: BorrowedFd<'_>, init: Option<Pid>) -> Vec<String> {
    others(proc, init).into_keys().map(|pid| format!("{} (pid {pid})", proc::command(proc, pid))).collect()
}

/// Returns the processes in this `/proc` except for this process, `init` and zombies.
pub(super) fn running(proc: BorrowedFd<'_>, init: Option<Pid>) -> RunningProcesses {
    RunningProcesses(others(proc, init).into_iter().map(|(pid, stat)| (pid, stat.start)).collect())
}

/// Returns the processes that run now, did not run then, and were not started by one that did.
pub(super) fn newer(proc: BorrowedFd<'_>, init: Option<Pid>, than: &RunningProcesses) -> Vec<Pid> {
    let now = others(proc, init);
    let is_old = |mut pid: u32| {
        // A process is never its own ancestor; the bound is for a table that changed while it was read.
        for _ in 0..now.len() {
            let Some(stat) = now.get(&pid) else { return false };
            if than.0.contains(&(pid, stat.start)) {
                return true;
            }
            pid = stat.parent;
        }
        false
    };
    now.keys().filter(|&&pid| !is_old(pid)).filter_map(|&pid| Some(Pid::from_raw(i32::try_from(pid).ok()?))).collect()
}
