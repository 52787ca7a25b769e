//! The options of the post-processors: their own and those that every post-processor has.

use super::{
    provisioners::{SHELL_LOCAL_IGNORED, SHELL_LOCAL_OPTIONS},
    table::{Kind, Opt, Table, opt},
};
use crate::fields::{BUILD, CHECKSUM_OUTPUT};

/// The options of every post-processor.
const COMMON: &[Opt] = &[
    opt("name", Kind::String, "the name that `-except` takes; default the type"),
    opt("keep_input_artifact", Kind::Bool, "whether the images stay; they always do here: these three keep them"),
];

/// `manifest`.
pub(crate) const MANIFEST: Table = Table::new(
    "manifest",
    &[
        opt("output", Kind::String, "the file; default `packer-manifest.json`"),
        opt("strip_path", Kind::Bool, "file names without directories; images have no files"),
        opt("strip_time", Kind::Bool, "leave out the time of the build"),
        opt("custom_data", Kind::DeferredMap(BUILD), "further values to write"),
    ],
)
.common(COMMON)
.renamed(&[("filename", "output")]);

/// `checksum`.
pub(crate) const CHECKSUM: Table = Table::new(
    "checksum",
    &[
        opt("checksum_types", Kind::StringList, "md5 (default), sha1, sha224, sha256, sha384, sha512"),
        opt("output", Kind::Deferred(CHECKSUM_OUTPUT), "the file; nothing is written, as images have no files"),
    ],
)
.common(COMMON);

/// `shell-local`.
pub(crate) const POST_SHELL_LOCAL: Table =
    Table::new("shell-local (post-processor)", SHELL_LOCAL_OPTIONS).common(COMMON).ignored(SHELL_LOCAL_IGNORED);
