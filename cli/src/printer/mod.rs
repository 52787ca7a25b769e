//! Prints what happens to a build while it runs, as text or JSON.

mod changes;
mod failing;
mod human;
mod json;

#[cfg(test)]
pub(crate) use changes::tests;
pub(crate) use changes::{left, things_left};
pub(crate) use failing::{ReportedFailures, Retrying, line as failing_line};
pub(crate) use human::Human;
pub(crate) use json::Json;
