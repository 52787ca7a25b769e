//! The deployed pair as a whole, on this machine: the real function under a Runtime API, SQS's event source mapping,
//! the real agent, EC2 with real disks, and the command that its users have.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod batch;
mod cgroup;
mod clock;
mod command;
#[path = "../e2e/common/disk.rs"]
#[allow(dead_code, reason = "shared with the tests of local builds")]
mod disk;
mod failures;
mod fixture;
mod host;
mod hosts;
mod leaks;
mod mapping;
mod names;
mod on_demand;
mod on_instance;
mod options;
mod programs;
mod recorder;
mod records;
#[path = "../e2e/common/requirements.rs"]
mod requirements;
mod rights;
#[path = "../e2e/common/run.rs"]
#[allow(dead_code, reason = "shared with the tests of local builds")]
mod run;
mod runtime;
mod services;
mod several;
mod stack;
mod templates;
mod triggers;
