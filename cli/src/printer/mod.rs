//! Telling people and machines what happens to a build while it runs.

mod changes;
mod human;
mod json;

#[cfg(test)]
pub(crate) use changes::tests;
pub(crate) use changes::{left, things_left};
pub(crate) use human::Human;
pub(crate) use json::Json;
