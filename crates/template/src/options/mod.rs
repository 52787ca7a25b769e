//! The options: declared once, in a table for each type of block, by which blocks are read.

mod amazon_chroot;
mod coerce;
mod data_sources;
mod provisioners;
mod read;
mod reference;
mod table;
mod values;

pub(crate) use amazon_chroot::AMAZON_CHROOT;
pub(crate) use data_sources::{ACCESS, AMI_DATA, NULL_DATA, PARAMETER_DATA, SECRET_DATA};
pub(crate) use provisioners::{FILE, SHELL};
pub(crate) use read::read;
pub use reference::reference;
pub(crate) use table::{Kind, Table};
pub(crate) use values::Values;

/// Returns the options of a provisioner or post-processor; `None` for one that is not supported.
pub(crate) fn table(kind: &str) -> Option<&'static Table> {
    [&SHELL, &FILE].into_iter().find(|table| table.owner == kind)
}
