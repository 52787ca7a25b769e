//! Starting a program and following it to its end.
#![allow(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    ffi::CString,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use bakehouse_protocol::Stream;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl, open},
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, killpg, sigprocmask},
        signalfd::{SfdFlags, SignalFd},
        stat::Mode,
    },
    unistd::{Pid, chdir, chroot, dup2_stderr, dup2_stdin, dup2_stdout, execve, pipe2, setsid},
};

use super::{
    api::{Command, End},
    sys::{Forked, fork},
};
use crate::lines::Lines;

/// Capabilities that no provisioner gets: what they govern belongs to the host, not to the image. All others stay,
/// because package scripts need them: chown, mknod, setfcap, mount, ptrace (systemctl and ischroot compare
/// `/proc/1/root` with `/` to see that they are in a chroot, and then start nothing).
const DROPPED: [(libc::c_ulong, &str); 8] = [
    (12, "CAP_NET_ADMIN"),
    (16, "CAP_SYS_MODULE"),
    (17, "CAP_SYS_RAWIO"),
    (22, "CAP_SYS_BOOT"),
    (25, "CAP_SYS_TIME"),
    (34, "CAP_SYSLOG"),
    (35, "CAP_WAKE_ALARM"),
    (36, "CAP_BLOCK_SUSPEND"),
];

/// After the program has ended, what is still in its pipes is read for at most this long.
const DRAIN: Duration = Duration::from_millis(200);

/// One end of a pipe that a program writes to.
pub(super) struct Output {
    stream: Stream,
    pipe: OwnedFd,
    lines: Lines,
}

impl Output {
    fn new(stream: Stream, pipe: OwnedFd) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { stream, pipe, lines: Lines::default() })
    }

    /// Reads what is there, a bounded amount. `false` at its end.
    fn read(&mut self, call: &mut dyn FnMut(Stream, &str)) -> bool {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..4 {
            match nix::unistd::read(&self.pipe, &mut buffer) {
                Ok(0) => {
                    self.lines.finish(&mut |line| call(self.stream, line));
                    return false;
                }
                Ok(n) => self.lines.push(&buffer[..n], &mut |line| call(self.stream, line)),
                Err(Errno::EAGAIN | Errno::EINTR) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

/// The build's processes, as the worker has them.
pub(super) struct Processes {
    /// Readable, or at its end, when the job is cancelled.
    cancel: OwnedFd,
    cancelled: Cell<bool>,
    children: SignalFd,
    /// The build's `cgroup.procs`, if there is a cgroup.
    cgroup_procs: Option<OwnedFd>,
    /// Pipes that daemons of earlier steps still hold.
    lingering: RefCell<Vec<Output>>,
}

impl Processes {
    /// `cancel` is readable, or at its end, when the job is cancelled; `cgroup_procs` is the build's `cgroup.procs`, if
    /// there is a cgroup. Blocks SIGCHLD.
    pub(super) fn new(cancel: OwnedFd, cgroup_procs: Option<OwnedFd>) -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { cancel, cancelled: Cell::new(false), children, cgroup_procs, lingering: RefCell::default() })
    }

    pub(super) fn is_cancelled(&self) -> bool {
        if !self.cancelled.get() {
            let mut fds = [PollFd::new(self.cancel.as_fd(), PollFlags::POLLIN)];
            let told = poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) > 0;
            self.cancelled.set(told);
        }
        self.cancelled.get()
    }

    pub(super) fn cancel_fd(&self) -> BorrowedFd<'_> {
        self.cancel.as_fd()
    }

    /// Closes the pipes that daemons of earlier steps hold.
    pub(super) fn close_lingering(&self) {
        self.lingering.borrow_mut().clear();
    }

    /// Reaps every child that has ended. Returns how the one asked for ended, if it is among them.
    pub(super) fn reap(&self, wanted: Option<Pid>) -> io::Result<Option<End>> {
        // Emptied first: a child that ends after the look makes it readable again.
        while self.children.read_signal()?.is_some() {}
        let mut found = None;
        while let Waited::Ended(pid, end) = wait_for(None)? {
            if wanted == Some(pid) {
                found = Some(end);
            }
        }
        Ok(found)
    }

    /// Waits until no child is left. Process 1 inherits every orphan, and the end of the steps' process 1 comes after that
    /// of all other processes of its namespace; so then nothing of the build is left.
    pub(super) fn wait_until_alone(&self, limit: Duration) -> io::Result<bool> {
        let end = Instant::now() + limit;
        loop {
            match wait_for(None)? {
                Waited::NoChild => return Ok(true),
                Waited::Ended(..) => continue,
                Waited::Running => {}
            }
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(false);
            }
            poll_for(&mut [PollFd::new(self.children.as_fd(), PollFlags::POLLIN)], Some(rest))?;
            while self.children.read_signal()?.is_some() {}
        }
    }
}

/// Runs a program to its end, calling back with each line of its output.
pub(super) fn run(host: &Processes, command: &Command, call: &mut dyn FnMut(Stream, &str)) -> io::Result<End> {
    let (child, outputs) = start(host, command)?;
    let mut outputs: Vec<Output> = outputs.into();
    let mut limit = command.limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut stopping: Option<End> = None;
    let ended = loop {
        if let Some(end) = host.reap(Some(child))? {
            break end;
        }
        let rest = limit.map(|limit| limit.saturating_duration_since(Instant::now()));
        let cancelled = host.is_cancelled() && stopping != Some(End::Cancelled);
        if cancelled || rest == Some(Duration::ZERO) {
            // First a request, to the whole session that we made for it; after the grace, no longer a request.
            let signal = if stopping.is_some() && !cancelled { Signal::SIGKILL } else { Signal::SIGTERM };
            let _ = killpg(child, signal);
            stopping.get_or_insert(if cancelled { End::Cancelled } else { End::TimedOut });
            if cancelled {
                stopping = Some(End::Cancelled);
            }
            limit = Instant::now().checked_add(command.grace);
            continue;
        }
        let mut fds = vec![PollFd::new(host.children.as_fd(), PollFlags::POLLIN)];
        if !host.is_cancelled() {
            fds.push(PollFd::new(host.cancel_fd(), PollFlags::POLLIN));
        }
        let mut lingering = host.lingering.borrow_mut();
        fds.extend(outputs.iter().chain(&*lingering).map(|output| PollFd::new(output.pipe.as_fd(), PollFlags::POLLIN)));
        poll_for(&mut fds, rest)?;
        drop(fds);
        outputs.retain_mut(|output| output.read(call));
        lingering.retain_mut(|output| output.read(call));
    };
    // The program has ended; a daemon that it left may keep the pipes open for ever. What is in them now belongs to
    // this step. The open ones are read on beside the next steps, so that the daemon is not ended by SIGPIPE.
    let end = Instant::now() + DRAIN;
    loop {
        let mut fds: Vec<_> =
            outputs.iter().map(|output| PollFd::new(output.pipe.as_fd(), PollFlags::POLLIN)).collect();
        let ready = !fds.is_empty() && poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) > 0;
        drop(fds);
        if !ready || Instant::now() >= end {
            break;
        }
        outputs.retain_mut(|output| output.read(call));
    }
    for output in &mut outputs {
        let stream = output.stream;
        output.lines.finish(&mut |line| call(stream, line));
    }
    host.lingering.borrow_mut().extend(outputs);
    Ok(stopping.unwrap_or(ended))
}

pub(super) fn poll_for(fds: &mut [PollFd<'_>], limit: Option<Duration>) -> io::Result<()> {
    let timeout = match limit {
        None => PollTimeout::NONE,
        // Rounded up, so that the time is really up afterwards.
        Some(limit) => {
            PollTimeout::try_from(limit.as_millis().saturating_add(1).min(60_000)).unwrap_or(PollTimeout::MAX)
        }
    };
    match poll(fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What waitpid(2) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// This one has ended.
    Ended(Pid, End),
    /// All of them run.
    Running,
    /// There is no child, or not this one.
    NoChild,
}

/// Reaps one child that has ended; any, or this one. Not nix's waitpid: that reaps a child that a real-time signal has
/// ended, too, but then it has no word for the signal and gives an error instead.
pub(crate) fn wait_for(child: Option<Pid>) -> io::Result<Waited> {
    loop {
        let mut status = 0;
        let pid = child.map_or(-1, Pid::as_raw);
        // SAFETY: the pointer is to a variable of the type that the call writes.
        match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
            0 => return Ok(Waited::Running),
            -1 => match Errno::last() {
                Errno::EINTR => {}
                Errno::ECHILD => return Ok(Waited::NoChild),
                error => return Err(error.into()),
            },
            pid if libc::WIFSIGNALED(status) => {
                return Ok(Waited::Ended(Pid::from_raw(pid), End::Signaled(libc::WTERMSIG(status))));
            }
            pid => return Ok(Waited::Ended(Pid::from_raw(pid), End::Exited(libc::WEXITSTATUS(status)))),
        }
    }
}

fn start(host: &Processes, command: &Command) -> io::Result<(Pid, [Output; 2])> {
    let text = |text: &str| CString::new(text).map_err(|_| io::Error::other("a NUL byte in its arguments"));
    let argv: Vec<CString> = command.argv.iter().map(|arg| text(arg)).collect::<Result<_, _>>()?;
    let env: Vec<CString> =
        command.env.iter().map(|(key, value)| text(&format!("{key}={value}"))).collect::<Result<_, _>>()?;
    let (out_read, out_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (err_read, err_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (fault_read, fault_write) = pipe2(OFlag::O_CLOEXEC)?;
    match fork()? {
        Forked::Child => {
            let Err(errno) = become_it(host, command, &argv, &env, [&out_write, &err_write]);
            let _ = File::from(fault_write).write_all(&(errno as i32).to_ne_bytes());
            // SAFETY: ends this copy of the process at once, without running what belongs to the original.
            unsafe { libc::_exit(127) }
        }
        Forked::Parent(child) => {
            drop((out_write, err_write, fault_write));
            let mut fault = [0; 4];
            let outputs = [Output::new(Stream::Stdout, out_read)?, Output::new(Stream::Stderr, err_read)?];
            // Nothing comes if it became the program: the pipe closes on exec.
            match File::from(fault_read).read_exact(&mut fault) {
                Err(_) => Ok((child, outputs)),
                Ok(()) => {
                    // It ends at once, and is reaped with the next step or at the end.
                    Err(io::Error::from_raw_os_error(i32::from_ne_bytes(fault)))
                }
            }
        }
    }
}

/// In the child: becomes the program.
fn become_it(
    host: &Processes,
    command: &Command,
    argv: &[CString],
    env: &[CString],
    [out, err]: [&OwnedFd; 2],
) -> Result<Infallible, Errno> {
    setsid()?;
    if let Some(procs) = &host.cgroup_procs {
        nix::unistd::write(procs, b"0")?;
    }
    dup2_stdin(open("/dev/null", OFlag::O_RDONLY, Mode::empty())?)?;
    dup2_stdout(out)?;
    dup2_stderr(err)?;
    // What the caller of this program had open is no business of the image's. Closed by exec, as the fault's pipe must
    // last until then.
    // SAFETY: takes numbers only. Kernels before 5.11 have no such flag (EINVAL): then what leaks, leaks.
    unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) };
    if let Some(root) = &command.root {
        chdir(root)?;
        chroot(".")?;
        for (capability, _) in DROPPED {
            // SAFETY: takes numbers only. A capability that this kernel does not know is no loss (EINVAL).
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        }
    }
    chdir("/")?;
    // SAFETY: sets the default action, which is valid for SIGPIPE; Rust's runtime had it ignored.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    let program = argv.first().ok_or(Errno::EINVAL)?;
    match execve(program, argv, env) {
        // A script without `#!`: what a shell would do with it.
        Err(Errno::ENOEXEC) => {
            let mut with_shell = vec![c"/bin/sh".to_owned()];
            with_shell.extend_from_slice(argv);
            execve(c"/bin/sh", &with_shell, env)
        }
        other => other,
    }
}
