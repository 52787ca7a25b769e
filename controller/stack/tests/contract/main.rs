//! The stack's adapters against a moto server; where the local place has an adapter for the same port, the same body of
//! test runs on both.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bundles;
mod config;
mod leases;
mod logs;
mod lossy;
mod messages;
mod registry;
mod stack;
mod store;
