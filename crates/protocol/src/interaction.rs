//! How a person takes part in a running job: what the job asks, and what may be answered.

use alloc::string::String;
use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How a person takes part in a job. The default is: not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interaction {
    /// Whether somebody reads [`crate::ReportBody::Waiting`] and answers. If not, a breakpoint is an error.
    pub answers: bool,
    /// `-debug`: the job waits before each provisioner, and before it leaves the image.
    pub debug: bool,
    /// `-on-error`.
    pub on_error: OnError,
}

/// `-on-error`: what follows when a provisioner has failed. The agent always leaves the image and unmounts the volume,
/// because its mounts end with its process. Whether the volume and what else was made in the cloud are then removed is
/// up to the sender of the job; for that [`OnError::Abort`] means: they stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The error-cleanup-provisioner runs, and the build is undone.
    #[default]
    Cleanup,
    /// Nothing runs, and what was made stays.
    Abort,
    /// The job waits with the image mounted and asks which of [`Answer::Retry`], [`Answer::Cleanup`] and
    /// [`Answer::Abort`] it is to be. If nobody can answer: as [`OnError::Cleanup`].
    Ask,
    /// The error-cleanup-provisioner runs, and what was made stays.
    RunCleanupProvisioner,
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// A `breakpoint` provisioner; it goes on at [`Answer::Continue`].
    Breakpoint {
        /// Its note, perhaps empty.
        note: String,
    },
    /// With `-debug`: this comes next, at [`Answer::Continue`].
    Next {
        /// The title of a provisioner, or "leaving the image".
        title: String,
    },
    /// With `-on-error=ask`: a provisioner has failed; see [`OnError::Ask`].
    Failed {
        /// Why.
        message: String,
    },
}

impl fmt::Display for Waiting {
    /// Formats it for a person, without what can be answered.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Breakpoint { note } if note.is_empty() => f.write_str("at a breakpoint"),
            Self::Breakpoint { note } => write!(f, "at a breakpoint: {note}"),
            Self::Next { title } => write!(f, "before {title}"),
            Self::Failed { message } => write!(f, "failed: {message}"),
        }
    }
}

/// An answer to a job that waits. As text it is one of the lines that the process of a job reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Go on.
    Continue,
    /// Run the failed provisioner again, from its beginning.
    Retry,
    /// End the job; the error-cleanup-provisioner runs first.
    Cleanup,
    /// End the job, and run nothing first.
    Abort,
}

impl Answer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Continue, Self::Retry, Self::Cleanup, Self::Abort];

    /// Returns its text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Retry => "retry",
            Self::Cleanup => "cleanup",
            Self::Abort => "abort",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAnswer;

impl FromStr for Answer {
    type Err = InvalidAnswer;

    fn from_str(text: &str) -> Result<Self, InvalidAnswer> {
        Self::ALL.into_iter().find(|answer| answer.as_str() == text).ok_or(InvalidAnswer)
    }
}
