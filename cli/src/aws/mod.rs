//! What speaks to a stack.

mod desk;
mod session;

pub(crate) use desk::StackDesk;
pub(crate) use session::{Session, failed, trouble};
