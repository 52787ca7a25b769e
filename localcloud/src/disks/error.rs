//! What can go wrong with files and devices.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::ApiError;

/// A call of the embedded cloud that failed.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file or a device.
    #[error("{action} {}", path.display())]
    Io {
        /// What was being done, as "copying to".
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The state file can't be understood.
    #[error("reading {}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The state file was written by another version.
    #[error("{} has version {found}; this bakehouse reads version {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        expected: u64,
    },
    /// A disk that can't be brought in.
    #[error("{} {why}", path.display())]
    NotADisk {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// A device that somebody uses.
    #[error("{} is in use: {by}", path.display())]
    Busy {
        /// The device.
        path: PathBuf,
        /// By whom, as far as could be found.
        by: String,
    },
    /// A program that is missing or failed.
    #[error("{program} failed: {message}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it said.
        message: String,
    },
    /// The model refused.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl LocalError {
    /// For `map_err`: what was being done to which path.
    pub(super) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }
}

impl From<LocalError> for ApiError {
    /// Keeps EC2's errors; anything else becomes [`ApiError::LOCAL_DISK`] with its whole chain as text, since an
    /// [`ApiError`] carries no source.
    fn from(error: LocalError) -> Self {
        if let LocalError::Api(error) = error {
            return error;
        }
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            message.push_str(": ");
            message.push_str(&error.to_string());
            source = error.source();
        }
        Self::new(Self::LOCAL_DISK, message)
    }
}
