//! The few things that need the kernel, behind one trait ([`Host`], in `api.rs`): [`Linux`] does them, the tests' fake
//! remembers them.

mod api;
mod block;
#[cfg(test)]
pub(crate) mod fake;
mod init;
mod linux;
mod process;
mod release;
mod sys;

pub(crate) use bakehouse_disk::{
    mountinfo::{MountEntry, below},
    proc::open_proc as host_proc,
};

pub(crate) use api::{Command, Disk, End, Host, Mount, Node};
pub(crate) use linux::Linux;
pub(crate) use process::{Waited, wait_for};
pub(crate) use sys::{Forked, clock, close_from, fork, prove_free, reap_own_children};
