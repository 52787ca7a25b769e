//! The rules of the options of `amazon-chroot`, which make its [`BuildSpec`](bakehouse_protocol::BuildSpec).

mod access;
mod chroot;
mod csv;
mod image;
mod lookup;
mod mappings;
mod rules;
mod source;
mod spec;

pub(crate) use lookup::{access, query};
pub(crate) use spec::spec;
