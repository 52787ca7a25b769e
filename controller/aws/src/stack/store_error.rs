//! Failed calls as errors of a store.

use std::error::Error;

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use bakehouse_aws::{Call, CallError, SendError};
use bakehouse_controller::ports::StoreError;

/// Returns how a call to the store failed.
pub(crate) fn failed<E>(call: &Call, error: SdkError<E, HttpResponse>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    from_call(call.failed(error))
}

/// Returns how sending a message failed.
pub(crate) fn not_sent(error: SendError) -> StoreError {
    match error {
        SendError::Message { call, source } => {
            StoreError::Failed { operation: call.to_string(), source: Box::new(source) }
        }
        SendError::Call(error) => from_call(error),
    }
}

fn from_call(error: CallError) -> StoreError {
    // A store's error has no place for a hint. A missing permission is named in the text itself.
    let operation = match &error.fault.hint {
        Some(hint) if !error.is_denied() => format!("{} ({hint})", error.call),
        _ => error.call.to_string(),
    };
    StoreError::Failed { operation, source: Box::new(error) }
}
