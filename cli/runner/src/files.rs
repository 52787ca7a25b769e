//! Errors of files in the state directory.

use std::io;

use bakehouse_controller::ports::StoreError;

/// Returns a function that converts an I/O error to the store error of an operation.
pub(crate) fn failed(operation: String) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Failed { operation, source: Box::new(source) }
}
