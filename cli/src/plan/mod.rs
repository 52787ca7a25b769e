//! What `bakehouse plan` shows of a build: what it depends on is looked up, then the build is run on a model, and the
//! rest are pure functions of that run.

mod attributes;
mod estimate;
mod offline;
mod report;
mod text;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod option_table_tests;

pub(crate) use offline::{offline, planned_build};
pub(crate) use report::{Assumed, PlanReport};
