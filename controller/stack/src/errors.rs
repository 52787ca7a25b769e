//! What these services' errors mean, in one place: as a [`Fault`] where a build asks, as a [`StoreError`] where a record
//! is asked for. Codes are matched, never texts; HTTP states only where a service sends no code (S3 to HEAD-like calls).

use std::{error::Error, fmt};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use bakehouse_controller::ports::StoreError;
use bakehouse_machine::{Fault, FaultKind};

/// One call: how its errors name it, and which permission it needs.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    service: &'static str,
    action: &'static str,
    thing: String,
}

impl Call {
    /// `service` and `action` as in a policy: `dynamodb`, `UpdateItem`.
    pub(crate) fn new(service: &'static str, action: &'static str, thing: impl Into<String>) -> Self {
        Self { service, action, thing: thing.into() }
    }

    /// What went wrong, sorted.
    pub(crate) fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> Failed
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let (kind, words) = match &error {
            SdkError::ServiceError(refused) => {
                let (code, message) = (refused.err().code(), refused.err().message());
                (kind(code, status), said(code, message, status))
            }
            // Never sent: the credentials are asked for before that.
            _ if is_credentials(&error) => (FaultKind::Refused, chain(&error)),
            SdkError::ConstructionFailure(_) => (FaultKind::Refused, chain(&error)),
            // It may have been sent, and may have been done.
            _ => (FaultKind::InDoubt, chain(&error)),
        };
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
        let unsigned = is_credentials(&error);
        let hint = if unsigned { Some(NO_CREDENTIALS.to_owned()) } else { self.hint(&code, status) };
        Failed { call: self.clone(), kind, code, words, hint, unsigned }
    }

    /// The same as a fault.
    pub(crate) fn fault<E>(&self, error: SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.failed(error).into()
    }

    /// The same as a store's error.
    pub(crate) fn stored<E>(&self, error: SdkError<E, HttpResponse>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.failed(error).into()
    }

    fn hint(&self, code: &str, status: Option<u16>) -> Option<String> {
        let Self { service, action, .. } = self;
        match code {
            _ if is_denied(code, status) => {
                // S3 does not tell strangers which objects there are.
                let or = if action == &"GetObject" { ", or there is no such object" } else { "" };
                Some(format!("the permission {service}:{action} is missing{or}"))
            }
            "ResourceNotFoundException" | "NoSuchBucket" | "QueueDoesNotExist" | NO_QUEUE => {
                Some("is the stack deployed in this region and account?".to_owned())
            }
            "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => Some("sign in to AWS again".to_owned()),
            "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
                Some("AWS does not know these credentials".to_owned())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.thing)
    }
}

const NO_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";
const NO_CREDENTIALS: &str = "there are no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID and \
    AWS_SECRET_ACCESS_KEY, or run this where a role gives them";

/// A call that was not performed, or perhaps.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{words}")]
pub struct Failed {
    pub(crate) call: Call,
    /// What follows from it.
    pub kind: FaultKind,
    /// The service's code; empty if the service did not answer.
    pub code: String,
    /// The service's words.
    pub words: String,
    /// What to do about it, where we know.
    pub hint: Option<String>,
    /// There were no credentials to sign the call with.
    pub unsigned: bool,
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        let fault = Self::new(failed.kind, format!("{}: {}", failed.call, failed.words));
        match failed.hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        // A store's error has no place for advice of its own.
        let operation = match &failed.hint {
            Some(hint) => format!("{} ({hint})", failed.call),
            None => failed.call.to_string(),
        };
        Self::Failed { operation, source: Box::new(failed) }
    }
}

fn kind(code: Option<&str>, status: Option<u16>) -> FaultKind {
    match code.unwrap_or_default() {
        // Limits on calls: they pass by themselves. "LimitExceededException" and its like are not here: they are limits
        // on how many things there may be.
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "Throttling"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "TransactionInProgressException"
        | "ReplicatedWriteConflictException"
        | "TransactionConflictException"
        | "KMS.ThrottlingException"
        | "KmsThrottled"
        | "OverLimit"
        | "SlowDown"
        | "OperationAborted"
        | "ConditionalRequestConflict" => FaultKind::Throttled,
        "InternalServerError"
        | "InternalServerErrorException"
        | "InternalFailure"
        | "InternalError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => FaultKind::InDoubt,
        "AWS.SimpleQueueService.QueueDeletedRecently" | "QueueDeletedRecently" => FaultKind::NotYet,
        NO_QUEUE | "QueueDoesNotExist" | "NoSuchKey" | "ParameterNotFound" => FaultKind::Gone,
        // Logs' word for a group or a stream; DynamoDB's for a table, which is never only gone for a moment.
        "" if status.is_some_and(|status| status == 404) => FaultKind::Gone,
        _ if status.is_some_and(|status| status >= 500) => FaultKind::InDoubt,
        _ => FaultKind::Refused,
    }
}

fn is_denied(code: &str, status: Option<u16>) -> bool {
    match code {
        "AccessDenied" | "AccessDeniedException" | "KMS.AccessDeniedException" | "UnauthorizedOperation" => true,
        "" => status == Some(403),
        _ => false,
    }
}

fn said(code: Option<&str>, message: Option<&str>, status: Option<u16>) -> String {
    match (code, message, status) {
        (Some(code), Some(message), _) => format!("{code}: {message}"),
        (Some(words), None, _) | (None, Some(words), _) => words.to_owned(),
        (None, None, Some(status)) => format!("HTTP {status}"),
        (None, None, None) => "no reason was given".to_owned(),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
}

/// An error and its causes in one line. The SDK's own words repeat none of their causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words: Vec<String> = causes(error).map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

fn is_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<CredentialsError>())
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::primitives::SdkBody;
    use aws_sdk_sqs::{
        error::{ConnectorError, ErrorMetadata},
        operation::send_message::SendMessageError,
    };

    use super::*;

    fn answer(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
    }

    fn refused(code: &str, status: u16) -> Failed {
        let words = ErrorMetadata::builder().code(code).message("why").build();
        let error = SdkError::service_error(SendMessageError::generic(words), answer(status));
        Call::new("sqs", "SendMessage", "to the inbox").failed(error)
    }

    #[test]
    fn codes_are_sorted_by_what_follows() {
        assert_eq!(refused("ProvisionedThroughputExceededException", 400).kind, FaultKind::Throttled);
        assert_eq!(refused("KMS.ThrottlingException", 400).kind, FaultKind::Throttled);
        assert_eq!(refused("SlowDown", 503).kind, FaultKind::Throttled);
        assert_eq!(refused("InternalServerError", 500).kind, FaultKind::InDoubt);
        assert_eq!(refused("SomethingNew", 502).kind, FaultKind::InDoubt);
        assert_eq!(refused("SomethingNew", 400).kind, FaultKind::Refused);
        assert_eq!(refused("QueueDoesNotExist", 400).kind, FaultKind::Gone);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let fault = Fault::from(refused("AccessDenied", 403));
        assert_eq!(fault.kind, FaultKind::Refused);
        assert_eq!(fault.to_string(), "SendMessage to the inbox: AccessDenied: why");
        assert_eq!(fault.hint.unwrap(), "the permission sqs:SendMessage is missing");
        let StoreError::Failed { operation, source } = StoreError::from(refused("AccessDenied", 403)) else {
            panic!("not Failed")
        };
        assert_eq!(operation, "SendMessage to the inbox (the permission sqs:SendMessage is missing)");
        assert_eq!(source.to_string(), "AccessDenied: why");
    }

    #[test]
    fn what_was_perhaps_done_is_in_doubt_and_what_was_never_sent_is_refused() {
        let call = Call::new("sqs", "SendMessage", "to the inbox");
        let late = SdkError::<SendMessageError, HttpResponse>::timeout_error("10 s");
        assert_eq!(call.failed(late).kind, FaultKind::InDoubt);
        let cut = SdkError::<SendMessageError, HttpResponse>::dispatch_failure(ConnectorError::io("cut".into()));
        assert_eq!(call.failed(cut).kind, FaultKind::InDoubt);
        let nobody = ConnectorError::other(CredentialsError::not_loaded("no providers").into(), None);
        let nobody = call.failed(SdkError::<SendMessageError, HttpResponse>::dispatch_failure(nobody));
        assert_eq!(nobody.kind, FaultKind::Refused);
        assert!(nobody.unsigned, "{nobody:?}");
    }
}
