//! Prints what happens to a build while it runs, as text, as JSON, or as Packer does for machines.

mod build_printer;
mod changes;
mod failing;
mod human;
mod json;
mod machine_readable;

pub(crate) use build_printer::BuildPrinter;
#[cfg(test)]
pub(crate) use changes::tests;
pub(crate) use changes::{left, things_left};
pub(crate) use failing::{ReportedFailures, Retrying, line as failing_line};
pub(crate) use human::Human;
pub(crate) use json::Json;
pub(crate) use machine_readable::MachineReadable;
