//! Bundles: a template and the files that it names, in one object.
//!
//! A bundle is a gzipped tar archive. Its first entry, `bakehouse.json`, is the [`Manifest`]; the others are a miniature
//! root: every file has the path that it had on the machine where the template was written, without the leading slash.
//! So whoever loads the template again, with the bundle's directory as
//! [`Context::root`](../bakehouse_template/struct.Context.html), gets the values and messages that its author would get.
//! The same files always give the same bytes, so the digest under which a bundle is kept names what is in it.
//!
//! - [`pack`] makes one. What can't be carried faithfully (a device, a link that leads out) is refused with its path.
//! - [`verify`] compares one with its digest.
//! - [`unpack`] trusts nothing that an archive says. It is the only way from an object in a bucket to files on a host.
//! - [`localise`] turns the paths of a loaded template into paths inside the bundle.

mod entry;
mod entry_path;
mod gather;
mod limits;
mod local;
mod manifest;
mod pack;
mod unpack;
mod verify;

pub use entry::{Entry, Kind, PackError};
pub use limits::Limits;
pub use local::{Absent, local_path, localise, sources};
pub use manifest::{MANIFEST, Manifest};
pub use pack::{Order, Packed, pack};
pub use unpack::{UnpackError, Why, remove, unpack};
pub use verify::{Mismatch, sha256, verify};
