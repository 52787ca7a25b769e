//! The endpoint of a cloud in virtual time, over HTTP as from any client.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod answers;
mod client;
mod imds;
mod properties;
mod refusals;
mod test_api;
