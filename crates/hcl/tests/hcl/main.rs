//! Expressions and files as Packer users write them, and what they come to.
#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

mod expressions;
mod format;
mod functions;
mod limits;
mod names;
mod support;
mod syntax;
