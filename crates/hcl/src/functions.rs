//! Packer's functions that need no network, by their names in HCL.

mod arguments;
mod function;
mod strings;
mod table;

pub(crate) use arguments::Arguments;
pub(crate) use table::find;
pub use table::names;
