//! The stack's adapters against a moto server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod bundles;
mod config;
mod contract;
mod logs;
mod messages;
mod network;
mod stack;
mod table;
