//! Converts failed calls to store errors.

use std::error::Error;

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use bakehouse_aws::{Call, CallError, SendError};
use bakehouse_controller::ports::StoreError;

/// Converts the error of a call to the table.
pub(crate) fn failed<E>(call: &Call, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    from_call(call.failed(error))
}

/// Converts the error of sending a message.
pub(crate) fn not_sent(error: SendError) -> StoreError {
    match error {
        SendError::Message { call, source } => {
            StoreError::Failed { operation: call.to_string(), source: Box::new(source) }
        }
        SendError::Call(error) => from_call(error),
    }
}

fn from_call(error: CallError) -> StoreError {
    // A store error has no field for a hint. A missing permission is named in its text.
    let operation = match &error.fault.hint {
        Some(hint) if !error.denied => format!("{} ({hint})", error.call),
        _ => error.call.to_string(),
    };
    StoreError::Failed { operation, source: Box::new(error) }
}
