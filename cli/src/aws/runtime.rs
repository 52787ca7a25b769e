//! The threads of the SDK.

use tokio::runtime::{Builder, Runtime};

use crate::report::CliError;

/// Starts a runtime that uses the thread which waits for it.
pub(crate) fn current_thread() -> Result<Runtime, CliError> {
    Builder::new_current_thread().enable_all().build().map_err(failed)
}

/// Starts a runtime with two threads of its own, for builds.
pub(crate) fn with_threads() -> Result<Runtime, CliError> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)
}

fn failed(error: std::io::Error) -> CliError {
    CliError::failed(format!("can't start the threads for AWS: {error}"))
}
