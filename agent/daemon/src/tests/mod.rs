//! The daemon with fakes of all that it uses, in virtual time.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod admission;
mod jobs;
mod logs;
mod queue;
mod shutdown;
mod values;
