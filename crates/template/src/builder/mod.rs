//! The rules of the options of `amazon-chroot`, which make its [`BuildSpec`](bakehouse_protocol::BuildSpec).

mod access;
mod account_copies;
mod attributes;
mod chroot;
mod copying;
mod csv;
mod encryption;
mod image;
mod kms;
mod lifecycle;
mod lookup;
mod mappings;
mod partition;
mod rules;
mod sharing;
mod source;
mod spec;
mod tags;
mod volume;

pub(crate) use lookup::{access, query};
pub(crate) use spec::spec;
