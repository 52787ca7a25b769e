//! The endpoint before a cloud in virtual time, asked over HTTP as any client would.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod answers;
mod client;
mod imds;
mod properties;
mod refusals;
mod test_api;
