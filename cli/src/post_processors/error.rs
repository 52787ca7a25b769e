//! Why a post-processor failed.

use std::io;

/// Why a post-processor failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    /// A file could not be used.
    #[error("{operation} {path}")]
    File {
        /// What was done, such as `writing the manifest`.
        operation: &'static str,
        /// To which file.
        path: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The manifest is there, but is none.
    #[error("the manifest {path} is not one: {source}")]
    Manifest {
        /// The file.
        path: String,
        /// What is wrong in it.
        source: serde_json::Error,
    },
    /// A text of the template could not be rendered. The text itself is not shown: it may hold a secret.
    #[error("rendering {what}: {message}")]
    Render {
        /// The option.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// A script could not be run.
    #[error("running {script}")]
    Start {
        /// The script.
        script: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A script ended badly.
    #[error("{script} {how}")]
    Ended {
        /// The script.
        script: String,
        /// How it ended: `exited with status 3`.
        how: String,
    },
    /// The user cancelled.
    #[error("cancelled in {script}")]
    Cancelled {
        /// The script.
        script: String,
    },
}

/// Returns the error of an operation on a file.
pub(super) fn file<'a>(operation: &'static str, path: &'a std::path::Path) -> impl FnOnce(io::Error) -> PostError + 'a {
    move |source| PostError::File { operation, path: path.display().to_string(), source }
}
