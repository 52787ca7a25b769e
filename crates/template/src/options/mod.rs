//! The options: declared once, in a table for each type of block, by which blocks are read.

mod amazon_chroot;
mod ansible;
mod builder_blocks;
mod coerce;
mod data_sources;
mod post_processors;
mod provisioners;
mod read;
mod reference;
mod table;
mod values;

pub(crate) use amazon_chroot::AMAZON_CHROOT;
pub(crate) use ansible::{ANSIBLE, ANSIBLE_LOCAL};
pub(crate) use data_sources::{ACCESS, AMI_DATA, NULL_DATA, PARAMETER_DATA, SECRET_DATA};
pub(crate) use post_processors::{CHECKSUM, MANIFEST, POST_SHELL_LOCAL};
pub(crate) use provisioners::{BREAKPOINT, FILE, SHELL, SHELL_LOCAL, SLEEP};
pub(crate) use read::read;
pub use reference::{builder_options, reference};
pub(crate) use table::{Kind, Table};
pub(crate) use values::Values;
