//! Packer's JSON templates.

mod applies;
mod builds;
mod console;
mod document;
mod inspect;
mod syntax;
mod template;
mod variables;

pub(crate) use console::console;
pub(crate) use inspect::inspect;
pub(crate) use syntax::parse;
pub(crate) use template::{check_syntax, read};
