//! Telling people and machines what happens to a build while it runs.

mod changes;
mod failing;
mod human;
mod json;

#[cfg(test)]
pub(crate) use changes::tests;
pub(crate) use changes::{left, things_left};
pub(crate) use failing::{Retrying, Told as ToldFailing, line as failing_line};
pub(crate) use human::Human;
pub(crate) use json::Json;
