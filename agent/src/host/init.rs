//! Process 1 of the steps' PID namespace.
//!
//! A step can reach it through `/proc/1`, and as root can attach to it and make it do anything. So it has no open file,
//! no capability, and an empty directory as its root. Because that root is not the image's, ischroot(1) and
//! systemctl(1) recognize that they run in a chroot.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    libc,
    sys::signal::{SigHandler, Signal, signal},
    unistd::{Pid, chdir, chroot, pipe2},
};

use super::sys::{self, Forked};

/// The highest number that a capability can have: they are bits of two 32-bit words (capabilities(7)).
const LAST_CAPABILITY: libc::c_ulong = 63;
/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct` of linux/capability.h.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

/// Forks process 1 of the PID namespace that was created for the children of this process. `root` is an empty
/// directory. When process 1 ends, the kernel kills every other process of the namespace.
pub(super) fn start(root: &Path) -> io::Result<Pid> {
    let (error_read, error_write) = pipe2(OFlag::O_CLOEXEC)?;
    match sys::fork()? {
        Forked::Child => {
            if let Err(errno) = drop_privileges(root) {
                let _ = File::from(error_write).write_all(&(errno as i32).to_ne_bytes());
                sys::exit_now(1);
            }
            // This closes the pipe as well. For the parent, its end without an error number means success.
            sys::close_from(0);
            // SAFETY: takes no arguments; returns after a signal that has a handler, and there is none.
            loop {
                unsafe { libc::pause() };
            }
        }
        Forked::Parent(init) => {
            drop(error_write);
            let mut errno = [0; 4];
            match File::from(error_read).read_exact(&mut errno) {
                Ok(()) => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
                Err(_) => Ok(init),
            }
        }
    }
}

/// Changes the root to an empty directory and drops all capabilities.
fn drop_privileges(root: &Path) -> Result<(), Errno> {
    chdir(root)?;
    chroot(".")?;
    // SAFETY: ignores a signal that has no handler. The kernel then reaps the orphans of the namespace by itself.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
    // SAFETY: the name is a C string; longer ones than 15 bytes are cut.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"bakehouse-init".as_ptr()) };
    for capability in 0..=LAST_CAPABILITY {
        // SAFETY: takes numbers only. A capability that this kernel does not know (EINVAL) needs no dropping.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    let header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let none = [0_u32; 6];
    // SAFETY: both pointers are to values laid out as linux/capability.h has them; the call only reads them.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }).map(drop)
}

/// Calls a function in a forked child, which is in the steps' PID namespace.
pub(super) fn in_child(function: impl FnOnce() -> nix::Result<()>) -> io::Result<()> {
    match sys::fork()? {
        // Error numbers of Linux fit into an exit code.
        Forked::Child => sys::exit_now(function().err().map_or(0, |errno| errno as i32)),
        Forked::Parent(child) => match nix::sys::wait::waitpid(child, None)? {
            nix::sys::wait::WaitStatus::Exited(_, 0) => Ok(()),
            nix::sys::wait::WaitStatus::Exited(_, errno) => Err(io::Error::from_raw_os_error(errno)),
            other => Err(io::Error::other(format!("a child process of the agent ended unexpectedly: {other:?}"))),
        },
    }
}
