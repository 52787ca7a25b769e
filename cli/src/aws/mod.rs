//! Access to a stack.

mod session;
mod stack_builds;

pub(crate) use session::{Session, error};
pub(crate) use stack_builds::StackBuilds;
