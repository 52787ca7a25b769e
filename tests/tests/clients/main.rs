//! Other clients of the embedded cloud: the AWS CLI and Packer, as their users have them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod aws_cli;
mod aws_disks;
mod calls;
#[allow(dead_code, unused_imports, reason = "made for tests/e2e")]
#[path = "../e2e/common/mod.rs"]
mod common;
mod files;
mod packer;
mod served;
mod validate;
mod xml;
