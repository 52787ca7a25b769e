//! Tests of [`decide()`](crate::decide()). Whole builds are covered by the scenarios of the controller crate.

mod account_copies;
mod decisions;
mod failing;
mod fixtures;
mod properties;
mod records;
