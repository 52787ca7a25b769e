//! HCL2 templates.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

#[path = "../common/mod.rs"]
mod common;

mod blocks;
mod wild;
