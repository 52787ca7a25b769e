//! The stack's adapters against a moto server; where the local place has an adapter for the same port, the same body of
//! test runs on both.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod bundles;
mod config;
mod leases;
mod logs;
mod messages;
mod network;
mod registry;
mod stack;
mod store;
