//! Access to a stack.

pub(crate) mod access;
pub(crate) mod runtime;
mod session;
mod stack_builds;
mod values;

pub(crate) use session::{Session, error};
pub(crate) use stack_builds::StackBuilds;
pub(crate) use values::AwsValues;
