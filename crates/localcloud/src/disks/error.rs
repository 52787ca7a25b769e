//! The errors of the embedded cloud on disks.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::ApiError;

/// An error of the embedded cloud on disks.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// A file or a device failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What was being done, as "copying to".
        action: &'static str,
        /// The file or device.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// The state file can't be parsed.
    #[error("reading {}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
        /// The state before the last change, if that can be read.
        previous: Option<PathBuf>,
    },
    /// The state file does not exist, but the previous one does.
    #[error("{} is gone", path.display())]
    StateGone {
        /// The file.
        path: PathBuf,
        /// The state before the last change, if that can be read.
        previous: Option<PathBuf>,
    },
    /// The file of a disk that the state knows does not exist.
    #[error("the disk {} is gone", path.display())]
    DiskGone {
        /// The file.
        path: PathBuf,
    },
    /// A disk that was to be removed as unknown is in the state.
    #[error("the disk {} is in use", path.display())]
    Known {
        /// The file.
        path: PathBuf,
    },
    /// The state file was written by another version.
    #[error("{} has version {found}; this bakehouse reads version {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The version that this program reads.
        expected: u64,
    },
    /// A file that can't be imported as a disk.
    #[error("{} {reason}", path.display())]
    NotADisk {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// A device that is in use.
    #[error("{} is in use: {by}", path.display())]
    Busy {
        /// The device.
        path: PathBuf,
        /// The user, as far as it could be found.
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
    /// For `map_err`: an error of this action on this path.
    pub(super) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.as_ref().to_owned(), source }
    }

    /// The same for the disk of a volume or a snapshot that the state knows: a missing file is
    /// [`LocalError::DiskGone`].
    pub(super) fn disk(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::DiskGone { path: path.as_ref().to_owned() },
            _ => Self::io(action, path)(source),
        }
    }

    /// What to do about it, if that is more than the message says.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::State { path, previous: Some(previous), .. } => {
                let damaged = quoted(&with_suffix(path, ".damaged"));
                Some(format!("{RESTORE}\n  mv {} {damaged} && {}", quoted(path), restore(previous, path)))
            }
            Self::StateGone { path, previous: Some(previous) } => {
                Some(format!("{RESTORE}\n  {}", restore(previous, path)))
            }
            Self::State { path, previous: None, .. } => {
                Some(format!("move {} away to begin anew; {START_ANEW}", path.display()))
            }
            Self::StateGone { path, previous: None } => {
                let previous = with_suffix(path, ".1");
                Some(format!("{} is damaged: move it away to begin anew; {START_ANEW}", previous.display()))
            }
            Self::DiskGone { .. } => {
                Some("if it was removed by hand, `bakehouse local rm` removes the images that need it, too".to_owned())
            }
            _ => None,
        }
    }
}

/// Before the command that restores the state before the last change.
const RESTORE: &str = "the state before the last change is kept beside it. This restores it; disks that it does not \
                       know stay, and `bakehouse sweep` lists them:";

/// What is lost, and what is not, if no state can be restored.
const START_ANEW: &str = "all images are forgotten then, but their disks stay: `bakehouse sweep` lists them, and \
                          `bakehouse local import` makes images of them again";

fn restore(previous: &Path, path: &Path) -> String {
    format!("cp {} {}", quoted(previous), quoted(path))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A path, quoted for a shell if necessary.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,".contains(c);
    if path.chars().all(is_plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
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
