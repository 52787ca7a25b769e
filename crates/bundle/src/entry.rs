//! What a bundle holds, and why one can't be made.

use std::{
    io,
    path::{Path, PathBuf},
};

/// One thing in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where: its path on the machine where the bundle was made, without the leading slash.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// The bytes of a file.
    pub size: u64,
    /// Its permission bits.
    pub mode: u32,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory that is uploaded as a whole.
    Directory,
    /// A symbolic link in such a directory, to something beside or below it.
    Link(String),
}

/// A bundle could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file could not be read.
    #[error("{doing} {path} for the bundle: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something that a bundle does not carry.
    #[error("{path} cannot go into a bundle: {why}")]
    Refused {
        /// What.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Two files would stand at one place, because one of the paths has a `..` after a link.
    #[error("{first} and {second} would both stand at /{entry} in the bundle: write one of them without \"..\"")]
    Clash {
        /// The place.
        entry: String,
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// It has become too large.
    #[error("the bundle would have {what}; the largest in it: {largest}")]
    TooLarge {
        /// How large.
        what: String,
        /// The largest files.
        largest: String,
    },
}

impl PackError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }

    pub(crate) fn refused(path: &Path, why: impl Into<String>) -> Self {
        Self::Refused { path: path.to_owned(), why: why.into() }
    }
}
