//! One build's work on one host: find the disk, mount it, enter it, provision it, leave it, unmount it.
//!
//! Begin with `pipeline.rs`, the run on one page. [`job::main`] is what the process of a job executes; [`client::spawn`]
//! starts such a process and reads its reports; [`recover`] clears what a killed one left.
//!
//! A job is two processes. The *keeper* is outside: it hears `cancel`, the end of its parent and signals, sends the
//! heartbeats, and clears up last. The *worker* runs the pipeline; it is process 1 of a PID namespace and has a mount
//! namespace of its own. So whatever ends the worker, the kernel ends everything that it started and drops every mount
//! that it made; and when the worker has no child left, nothing of the build is running. What runs in the image is in a
//! PID namespace below the worker's, under a process 1 that has nothing (`host/init.rs`), so it reaches neither of them.
//!
//! The network is the host's, so what runs in the image can reach what the host can, the address of the instance's
//! metadata included. Roots in LVM, LUKS or RAID are refused. The sandbox guards against accidents; a provisioner that
//! means harm is root, with most capabilities.

mod cgroup;
mod chroot_mounts;
pub mod client;
mod context;
mod env;
mod error;
mod files;
mod find;
mod grow;
mod host;
mod host_tool;
mod image;
pub mod job;
mod job_input;
mod keeper_io;
mod lines;
mod mount;
mod mount_options;
mod mount_point;
mod outcome;
mod pipeline;
mod provision;
mod recover;
mod render;
mod report;
mod root_selection;
mod rundir;
mod script;
mod settings;
mod setup;
mod shell;
mod teardown;
mod volume_check;
mod worker;

pub use client::{JobHandle, spawn};
pub use recover::{Leftover, RecoverError, leftovers, recover};
pub use settings::Settings;
pub use volume_check::{VolumeState, check_volume};
