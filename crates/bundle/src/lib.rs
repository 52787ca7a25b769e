//! Bundles: a template and the files that it names, in one object.
//!
//! A bundle is a gzipped tar archive. Its first entry, `bakehouse.json`, is the [`Manifest`]; the others are files with
//! the paths that they had on the machine where the template was written, without the leading slash. So loading the
//! template again, with the unpacked bundle as [`Context::root`](../bakehouse_template/struct.Context.html), yields the
//! same values and messages as on that machine. The same files always yield the same bytes, so a bundle is stored under
//! its digest.
//!
//! - [`pack`] makes a bundle. A file that can't be packed faithfully (a device, a link that leads out) is rejected.
//! - [`verify`] compares a bundle with its digest.
//! - [`unpack`] trusts nothing in an archive. It is the only way from an object in a bucket to files on a host.
//! - [`relocate`] replaces the paths of a loaded template by paths in the bundle.

mod entry;
mod gather;
mod limits;
mod manifest;
mod pack;
mod path;
mod source_files;
mod unpack;
mod verify;

pub use entry::{Entry, EntryKind, PackError};
pub use limits::Limits;
pub use manifest::{MANIFEST, Manifest};
pub use pack::{PackRequest, Packed, pack};
pub use path::path_in_bundle;
pub use source_files::{MissingFile, relocate, source_files};
pub use unpack::{UnpackError, UnpackErrorKind, remove, unpack};
pub use verify::{Mismatch, sha256, verify};
