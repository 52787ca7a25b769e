//! Everything that the pipeline needs from the kernel, behind one trait ([`Host`], in `api.rs`). [`Linux`] implements
//! it with system calls; the fake of the tests records the calls.

mod answers;
mod api;
mod block;
#[cfg(test)]
pub(crate) mod fake;
mod init;
mod linux;
mod own_dev;
mod process;
mod release;
mod sys;

pub(crate) use bakehouse_disk::{
    mountinfo::{MountEntry, below},
    proc::open_proc,
};

pub(crate) use api::{Command, Disk, Host, Mount, Node, ProcessEnd};
pub(crate) use linux::Linux;
pub(crate) use process::{WaitResult, try_wait};
pub(crate) use sys::{Forked, clock, close_from, fork, prove_free, reap_own_children};
