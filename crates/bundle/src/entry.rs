//! The entries of a bundle, and why one can't be made.

use std::{
    io,
    path::{Path, PathBuf},
};

/// An entry of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path on the machine where the bundle was made, without the leading slash.
    pub path: String,
    /// Its type.
    pub kind: EntryKind,
    /// The size of a file in bytes; otherwise 0.
    pub size: u64,
    /// Its permission bits.
    pub mode: u32,
}

/// The type of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory that is uploaded as a whole.
    Directory,
    /// A symbolic link in such a directory, to something beside or below it, with its target.
    Link(String),
}

/// Why a bundle could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file could not be read.
    #[error("{doing} {path} for the bundle: {source}")]
    Io {
        /// The operation.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file that can't be put into a bundle.
    #[error("{path} cannot be put into a bundle: {why}")]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Two files would have the same path in the bundle, because one of their paths has a `..` after a link.
    #[error("{first} and {second} would both be /{entry} in the bundle: write one of them without \"..\"")]
    Conflict {
        /// The path in the bundle.
        entry: String,
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The bundle would exceed a limit.
    #[error("the bundle would have {what}; the largest files: {largest}")]
    TooLarge {
        /// What exceeds the limit.
        what: String,
        /// The largest files.
        largest: String,
    },
}

impl PackError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }

    pub(crate) fn rejected(path: &Path, why: impl Into<String>) -> Self {
        Self::Rejected { path: path.to_owned(), why: why.into() }
    }
}
