//! The deployed pair as a whole, on this machine: the real function under a Runtime API, SQS's event source mapping, the
//! real agent, EC2 with real disks, and the command that its users have.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod batch;
#[path = "../e2e/common/disk.rs"]
#[allow(dead_code, reason = "shared with the tests of local builds")]
mod disk;
mod failures;
mod here;
mod leaks;
mod mapping;
mod on_demand;
mod programs;
mod recorder;
mod rights;
mod runtime;
mod services;
mod several;
mod stack;
mod triggers;
mod world;
