//! The options: declared once, in a table for each type of block, by which blocks are read.

mod amazon_chroot;
mod coerce;
mod provisioners;
mod read;
mod reference;
mod table;
mod values;

pub(crate) use amazon_chroot::AMAZON_CHROOT;
pub(crate) use provisioners::{FILE, SHELL};
pub(crate) use read::read;
pub use reference::reference;
pub(crate) use values::Values;
