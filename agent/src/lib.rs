//! Runs one build's job on one host: it finds the volume's disk, mounts it, enters it (chroot), runs the provisioners
//! (called *steps*), leaves it and unmounts it.
//!
//! Start reading with `pipeline.rs`, the whole run on one page. [`supervisor::main`] is the main function of a job's
//! process; [`spawn`] starts such a process and reads its reports; [`recover()`] removes what a killed one left.
//!
//! A job has two processes. The *supervisor* handles `cancel`, signals and the death of its parent, sends heartbeats,
//! and cleans up last. The *worker* runs the pipeline. It is process 1 of a PID namespace and has a mount namespace of
//! its own: however it ends, the kernel then kills everything that it started and drops every mount that it made.
//! Programs in the image run in a second PID namespace below the worker's, whose process 1 has no open file, no
//! capability and an empty root (`host/init.rs`), so they can reach neither supervisor nor worker.
//!
//! The sandbox guards against accidents, not against hostile templates: a step runs as root with most capabilities. It
//! has the host's network, including the address of the instance metadata service. Roots in LVM, LUKS or RAID are not
//! supported.

mod ansible;
mod ansible_local;
mod attempt;
mod cgroup;
mod chroot_mounts;
mod command_end;
mod context;
mod device_names;
mod env;
mod error;
mod file_provisioner;
mod find;
mod grow;
mod host;
mod host_command;
mod host_file;
mod host_tool;
mod host_view;
mod image;
mod image_command;
mod image_copy;
mod image_mounts;
mod interaction;
mod job_dir;
mod job_input;
pub mod job_process;
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
mod script;
mod settings;
mod setup;
mod shell_local;
mod shell_provisioner;
mod start_retry;
mod step_title;
pub mod supervisor;
mod supervisor_io;
mod teardown;
mod volume_check;
mod worker;

pub use job_process::{JobHandle, spawn};
pub use recover::{Leftover, RecoverError, leftovers, recover};
pub use render::run_data_fields;
pub use settings::Settings;
pub use step_title::title as step_title;
pub use volume_check::{VolumeCheck, check_volume};
