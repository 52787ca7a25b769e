//! Errors of files of the state directory.

use std::io;

use bakehouse_controller::ports::StoreError;

/// Returns what makes an error of the store of a failed operation.
pub(crate) fn failed(operation: String) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Failed { operation, source: Box::new(source) }
}
