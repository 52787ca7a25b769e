//! The stack's template (`infra/bakehouse.yaml`): what can be shown of it without an account.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on has failed")]

mod config;
mod docs;
mod lint;
mod rights;
mod stack;
mod user_data;
