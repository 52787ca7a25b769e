//! The rules of `amazon-chroot`: its options to a [`BuildSpec`](bakehouse_protocol::BuildSpec).

mod access;
mod chroot;
mod csv;
mod image;
mod mappings;
mod rules;
mod source;
mod spec;

pub(crate) use spec::spec;
