//! The options layer: each block's options declared once in a table, and blocks read by their table.

mod amazon_chroot;
mod provisioners;
mod read;
mod reference;
mod scalars;
mod table;
mod values;

pub(crate) use amazon_chroot::AMAZON_CHROOT;
pub(crate) use provisioners::{FILE, SHELL};
pub(crate) use read::read;
pub use reference::reference;
pub(crate) use values::Values;
