//! Runs programs: starts them, reads their output and waits for their end.
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
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, SigmaskHow, Signal, killpg, sigprocmask},
        signalfd::{SfdFlags, SignalFd},
        stat::Mode,
    },
    unistd::{Pid, chdir, chroot, dup2_stderr, dup2_stdin, dup2_stdout, execve, pipe2, setsid},
};

use super::{
    api::{Command, ProcessEnd},
    sys::{Forked, exit_now, fork},
};
use crate::lines::Lines;

/// The capabilities that steps don't have: they affect the host, not the image. All others are kept, because package
/// scripts need them: chown, mknod, setfcap, mount, ptrace (systemctl and ischroot compare `/proc/1/root` with `/` to
/// recognize a chroot, in which they start nothing).
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

/// The most open files that a program may have unless it raises this itself, whatever the agent's own limit is: the
/// usual default. Some package managers close every descriptor up to the limit before they run a script, which takes
/// minutes if that is a thousand million.
const OPEN_FILES: u64 = 1024;

/// How long the rest of the output is read at most after the program has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// The read end of a pipe that a program writes its output to.
pub(super) struct OutputPipe {
    stream: Stream,
    pipe: OwnedFd,
    lines: Lines,
}

impl OutputPipe {
    fn new(stream: Stream, pipe: OwnedFd) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { stream, pipe, lines: Lines::default() })
    }

    /// Reads what is there, up to a limit, and calls `output` with each line. Returns `false` at the end of the pipe.
    fn read(&mut self, output: &mut dyn FnMut(Stream, &str)) -> bool {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..4 {
            match nix::unistd::read(&self.pipe, &mut buffer) {
                Ok(0) => {
                    self.lines.finish(&mut |line| output(self.stream, line));
                    return false;
                }
                Ok(n) => self.lines.push(&buffer[..n], &mut |line| output(self.stream, line)),
                Err(Errno::EAGAIN | Errno::EINTR) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

/// What the worker needs to run programs and to wait for them.
pub(super) struct Processes {
    /// Readable, or at its end, when the job is cancelled.
    cancel: OwnedFd,
    cancelled: Cell<bool>,
    /// Readable when a child has ended.
    children: SignalFd,
    /// The build's `cgroup.procs`, if there is a cgroup.
    cgroup_procs: Option<OwnedFd>,
    /// Output pipes that background processes of earlier programs still have open.
    background_outputs: RefCell<Vec<OutputPipe>>,
}

impl Processes {
    /// Takes the pipe that tells of cancellation, and the build's `cgroup.procs`, if there is a cgroup. Blocks SIGCHLD.
    pub(super) fn new(cancel: OwnedFd, cgroup_procs: Option<OwnedFd>) -> io::Result<Self> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { cancel, cancelled: Cell::new(false), children, cgroup_procs, background_outputs: RefCell::default() })
    }

    pub(super) fn is_cancelled(&self) -> bool {
        if !self.cancelled.get() {
            let mut fds = [PollFd::new(self.cancel.as_fd(), PollFlags::POLLIN)];
            let readable = poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) > 0;
            self.cancelled.set(readable);
        }
        self.cancelled.get()
    }

    pub(super) fn cancel_fd(&self) -> BorrowedFd<'_> {
        self.cancel.as_fd()
    }

    /// Closes the output pipes of background processes.
    pub(super) fn close_background_outputs(&self) {
        self.background_outputs.borrow_mut().clear();
    }

    /// Reaps every child that has ended. Returns how the wanted one ended, if it is among them.
    pub(super) fn reap(&self, wanted: Option<Pid>) -> io::Result<Option<ProcessEnd>> {
        // Emptied first: a child that ends after that makes it readable again.
        while self.children.read_signal()?.is_some() {}
        let mut found = None;
        while let WaitResult::Ended(pid, end) = try_wait(None)? {
            if wanted == Some(pid) {
                found = Some(end);
            }
        }
        Ok(found)
    }

    /// Waits until this process has no child; returns `false` at the time-out. This process is process 1 and inherits
    /// every orphan, and the steps' process 1 ends only after all others of its namespace: so then no process of the
    /// build is left.
    pub(super) fn wait_for_no_children(&self, timeout: Duration) -> io::Result<bool> {
        let end = Instant::now() + timeout;
        loop {
            match try_wait(None)? {
                WaitResult::NoChild => return Ok(true),
                WaitResult::Ended(..) => continue,
                WaitResult::Running => {}
            }
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Ok(false);
            }
            poll_with_timeout(&mut [PollFd::new(self.children.as_fd(), PollFlags::POLLIN)], Some(rest))?;
            while self.children.read_signal()?.is_some() {}
        }
    }
}

/// Runs a program to its end, and calls `output` with each line of its output.
pub(super) fn run(
    processes: &Processes,
    command: &Command,
    output: &mut dyn FnMut(Stream, &str),
) -> io::Result<ProcessEnd> {
    let (child, outputs) = start(processes, command)?;
    let mut outputs: Vec<OutputPipe> = outputs.into();
    let mut deadline = command.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut stopping: Option<ProcessEnd> = None;
    let ended = loop {
        if let Some(end) = processes.reap(Some(child))? {
            break end;
        }
        let rest = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let cancelled = processes.is_cancelled() && stopping != Some(ProcessEnd::Cancelled);
        if cancelled || rest == Some(Duration::ZERO) {
            // SIGTERM first, and SIGKILL after the grace period; both to the process group, which was created for the
            // program.
            let signal = if stopping.is_some() && !cancelled { Signal::SIGKILL } else { Signal::SIGTERM };
            let _ = killpg(child, signal);
            stopping.get_or_insert(if cancelled { ProcessEnd::Cancelled } else { ProcessEnd::TimedOut });
            if cancelled {
                stopping = Some(ProcessEnd::Cancelled);
            }
            deadline = Instant::now().checked_add(command.grace);
            continue;
        }
        let mut fds = vec![PollFd::new(processes.children.as_fd(), PollFlags::POLLIN)];
        if !processes.is_cancelled() {
            fds.push(PollFd::new(processes.cancel_fd(), PollFlags::POLLIN));
        }
        let mut background = processes.background_outputs.borrow_mut();
        fds.extend(
            outputs.iter().chain(&*background).map(|output| PollFd::new(output.pipe.as_fd(), PollFlags::POLLIN)),
        );
        poll_with_timeout(&mut fds, rest)?;
        drop(fds);
        outputs.retain_mut(|pipe| pipe.read(output));
        background.retain_mut(|pipe| pipe.read(output));
    };
    // The program has ended, but a background process that it left may keep the pipes open. What is in them now belongs
    // to this program. Open pipes are read further while the next programs run, so that SIGPIPE does not end the
    // process.
    let end = Instant::now() + DRAIN_TIMEOUT;
    loop {
        let mut fds: Vec<_> =
            outputs.iter().map(|output| PollFd::new(output.pipe.as_fd(), PollFlags::POLLIN)).collect();
        let ready = !fds.is_empty() && poll(&mut fds, PollTimeout::ZERO).unwrap_or(0) > 0;
        drop(fds);
        if !ready || Instant::now() >= end {
            break;
        }
        outputs.retain_mut(|pipe| pipe.read(output));
    }
    for pipe in &mut outputs {
        let stream = pipe.stream;
        pipe.lines.finish(&mut |line| output(stream, line));
    }
    processes.background_outputs.borrow_mut().extend(outputs);
    Ok(stopping.unwrap_or(ended))
}

/// Waits until a descriptor is ready, a signal arrives, or the time is over, which may be before `timeout`.
pub(super) fn poll_with_timeout(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<()> {
    let timeout = match timeout {
        None => PollTimeout::NONE,
        // Rounded up, so that the time is really over afterwards.
        Some(timeout) => {
            PollTimeout::try_from(timeout.as_millis().saturating_add(1).min(60_000)).unwrap_or(PollTimeout::MAX)
        }
    };
    match poll(fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The result of [`try_wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitResult {
    /// This child has ended.
    Ended(Pid, ProcessEnd),
    /// No child has ended.
    Running,
    /// There is no such child.
    NoChild,
}

/// Reaps one child that has ended: this one, or any. It does not use nix's waitpid, which reaps a child that a
/// real-time signal has killed but then returns an error, because its type has no real-time signals.
pub(crate) fn try_wait(child: Option<Pid>) -> io::Result<WaitResult> {
    loop {
        let mut status = 0;
        let pid = child.map_or(-1, Pid::as_raw);
        // SAFETY: the pointer is to a variable of the type that the call writes.
        match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
            0 => return Ok(WaitResult::Running),
            -1 => match Errno::last() {
                Errno::EINTR => {}
                Errno::ECHILD => return Ok(WaitResult::NoChild),
                error => return Err(error.into()),
            },
            pid if libc::WIFSIGNALED(status) => {
                return Ok(WaitResult::Ended(Pid::from_raw(pid), ProcessEnd::Signaled(libc::WTERMSIG(status))));
            }
            pid => return Ok(WaitResult::Ended(Pid::from_raw(pid), ProcessEnd::Exited(libc::WEXITSTATUS(status)))),
        }
    }
}

/// Forks and executes a program. Returns its pid and its output pipes.
fn start(processes: &Processes, command: &Command) -> io::Result<(Pid, [OutputPipe; 2])> {
    let text = |text: &str| CString::new(text).map_err(|_| io::Error::other("a NUL byte in its arguments"));
    let argv: Vec<CString> = command.argv.iter().map(|arg| text(arg)).collect::<Result<_, _>>()?;
    let env: Vec<CString> =
        command.env.iter().map(|(key, value)| text(&format!("{key}={value}"))).collect::<Result<_, _>>()?;
    let (out_read, out_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (err_read, err_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (error_read, error_write) = pipe2(OFlag::O_CLOEXEC)?;
    match fork()? {
        Forked::Child => {
            let Err(errno) = exec_program(processes, command, &argv, &env, [&out_write, &err_write]);
            let _ = File::from(error_write).write_all(&(errno as i32).to_ne_bytes());
            exit_now(127)
        }
        Forked::Parent(child) => {
            drop((out_write, err_write, error_write));
            let mut errno = [0; 4];
            let outputs = [OutputPipe::new(Stream::Stdout, out_read)?, OutputPipe::new(Stream::Stderr, err_read)?];
            // If the program was executed, the pipe was closed by exec and nothing is in it.
            match File::from(error_read).read_exact(&mut errno) {
                Err(_) => Ok((child, outputs)),
                Ok(()) => {
                    // The child exits at once. It is reaped with the next program, or at the end.
                    Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
                }
            }
        }
    }
}

/// In the child: sets up the process and executes the program.
fn exec_program(
    processes: &Processes,
    command: &Command,
    argv: &[CString],
    env: &[CString],
    [out, err]: [&OwnedFd; 2],
) -> Result<Infallible, Errno> {
    setsid()?;
    if let Some(procs) = &processes.cgroup_procs {
        nix::unistd::write(procs, b"0")?;
    }
    dup2_stdin(open("/dev/null", OFlag::O_RDONLY, Mode::empty())?)?;
    dup2_stdout(out)?;
    dup2_stderr(err)?;
    // Files that the caller of the agent had open must not be reachable from the image. They are closed by exec, as the
    // pipe for the error number is needed until then.
    // SAFETY: takes numbers only. Kernels before 5.11 don't have this flag (EINVAL): there such files stay open.
    unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int) };
    if let Some(root) = &command.root {
        chdir(root)?;
        chroot(".")?;
        for (capability, _) in DROPPED {
            // SAFETY: takes numbers only. A capability that this kernel does not know (EINVAL) needs no dropping.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        }
    }
    chdir(command.directory.as_path())?;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft > OPEN_FILES
    {
        setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.min(hard), hard)?;
    }
    // SAFETY: sets the default action, which is valid for SIGPIPE; Rust's runtime ignores that signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    let program = argv.first().ok_or(Errno::EINVAL)?;
    match execve(program, argv, env) {
        // A script without `#!`: executed with sh, as a shell would do.
        Err(Errno::ENOEXEC) => {
            let mut with_shell = vec![c"/bin/sh".to_owned()];
            with_shell.extend_from_slice(argv);
            execve(c"/bin/sh", &with_shell, env)
        }
        other => other,
    }
}
