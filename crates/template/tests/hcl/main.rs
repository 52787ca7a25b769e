//! HCL2 templates.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

#[path = "../common/mod.rs"]
mod common;

mod blocks;
mod data;
mod diagnostics;
mod dynamic;
mod files;
mod limits;
mod locals;
mod steps;
mod variables;
mod wild;
