//! Tests of [`decide`](crate::decide). What whole builds do is shown by the scenarios of the controller crate.

mod cases;
mod failing;
mod fixtures;
mod properties;
mod records;
