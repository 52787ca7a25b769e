//! The least policy of a template, held against the calls that its builds make.
#![allow(clippy::unwrap_used)]

mod calls;
mod golden;
