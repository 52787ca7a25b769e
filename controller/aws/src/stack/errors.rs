//! What these services' errors mean, in one place: as a [`Fault`] where a build asks, as a [`StoreError`] where a record
//! is asked for. Codes are matched, never texts; HTTP states only where a service sends no code (S3 to HEAD-like calls).

use std::{error::Error, fmt};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use bakehouse_controller::{faults::fault_of, ports::StoreError};
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
        let credentials = causes(&error).find_map(|cause| cause.downcast_ref::<CredentialsError>());
        let (kind, words, hint) = match (&error, credentials) {
            (SdkError::ServiceError(refused), _) => {
                let (code, message) = (refused.err().code(), refused.err().message());
                if is_denied(code.unwrap_or_default(), message.unwrap_or_default(), status) {
                    let (words, hint) = self.denied(code, message.unwrap_or_default());
                    (FaultKind::Permanent, words, Some(hint))
                } else {
                    (kind(code, status), said(code, message, status), hint(code.unwrap_or_default()))
                }
            }
            // Never sent: the credentials are asked for before that.
            (_, Some(credentials)) => {
                let (words, hint) = no_credentials(credentials);
                (FaultKind::Permanent, words, Some(hint))
            }
            (SdkError::ConstructionFailure(_), None) => (FaultKind::Permanent, chain(&error), None),
            // It may have been sent, and may have been done.
            (_, None) => (FaultKind::Ambiguous, chain(&error), None),
        };
        let unsigned = credentials.is_some();
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default().to_owned();
        Failed { call: self.clone(), kind, code, words, hint, unsigned }
    }

    /// A call that may not be made: which permission is missing, as EC2's refusals are told; and what to do.
    fn denied(&self, code: Option<&str>, message: &str) -> (String, String) {
        // One code of all that the table there knows: it is the words that matter.
        let known = code.filter(|code| code.starts_with("AccessDenied")).unwrap_or("AccessDenied");
        let fault = fault_of(self.service, self.action, known, message);
        let words = fault.message.strip_prefix(&format!("{}: ", self.action)).unwrap_or(&fault.message).to_owned();
        // S3 does not tell strangers which objects there are.
        let or = if self.action == "GetObject" { ", or there is no such object" } else { "" };
        (format!("{words}{or}"), fault.hint.unwrap_or_default())
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
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.thing)
    }
}

/// What to do about a code, where we know.
fn hint(code: &str) -> Option<String> {
    let words = match code {
        "ResourceNotFoundException" | "NoSuchBucket" | "QueueDoesNotExist" | NO_QUEUE => {
            "is the stack deployed in this region and account?"
        }
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => "sign in to AWS again",
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            "AWS does not know these credentials, or the account has not enabled this region"
        }
        _ => return None,
    };
    Some(words.to_owned())
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

impl Failed {
    /// The call and what became of it, in one line; of a call that may not be made, the missing permission is in it.
    pub fn line(&self) -> String {
        format!("{}: {}", self.call, self.words)
    }
}

impl From<Failed> for Fault {
    fn from(failed: Failed) -> Self {
        let fault = Self::new(failed.kind, failed.line());
        match failed.hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        // A store's error has no place for advice of its own. What was denied says itself what is missing.
        let operation = match &failed.hint {
            Some(hint) if !failed.words.starts_with("AccessDenied") => format!("{} ({hint})", failed.call),
            _ => failed.call.to_string(),
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
        | "RequestTimeoutException" => FaultKind::Ambiguous,
        "AWS.SimpleQueueService.QueueDeletedRecently" | "QueueDeletedRecently" => FaultKind::NotReady,
        NO_QUEUE | "QueueDoesNotExist" | "NoSuchKey" | "ParameterNotFound" => FaultKind::NotFound,
        // Logs' word for a group or a stream; DynamoDB's for a table, which is never only gone for a moment.
        "" if status.is_some_and(|status| status == 404) => FaultKind::NotFound,
        _ if status.is_some_and(|status| status >= 500) => FaultKind::Ambiguous,
        _ => FaultKind::Permanent,
    }
}

fn is_denied(code: &str, message: &str, status: Option<u16>) -> bool {
    match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => true,
        // Of a key's service: only its words say which of its actions it was.
        "KMS.AccessDeniedException" | "KmsAccessDenied" => message.contains("not authorized to perform: "),
        "" => status == Some(403),
        _ => false,
    }
}

/// Why there is nothing to sign with, and what to do. The SDK's own words do not say where it looked; their cause may.
fn no_credentials(error: &CredentialsError) -> (String, String) {
    let because = |words: &str| format!("the credentials could not be had: {words}");
    let text = chain(error);
    match (error, error.source(), refusal(&text)) {
        (CredentialsError::CredentialsNotLoaded(_), Some(cause), _) => (chain(cause), NO_CREDENTIALS.to_owned()),
        (.., Some(message)) => {
            let fault = fault_of("sts", "AssumeRole", "AccessDenied", message);
            (because(&fault.message), fault.hint.unwrap_or_default())
        }
        _ => (because(&text), NO_CREDENTIALS.to_owned()),
    }
}

/// What STS says of a role that may not be assumed. Its error has a type that the SDK keeps to itself, and so stands in a
/// chain of causes as text, between quotation marks.
fn refusal(text: &str) -> Option<&str> {
    let (_, message) = text.split_once("message: \"")?;
    let message = message.split('"').next()?;
    message.contains("not authorized to perform: ").then_some(message)
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

    fn told(code: &str, message: &str, status: u16) -> Failed {
        let words = ErrorMetadata::builder().code(code).message(message).build();
        let error = SdkError::service_error(SendMessageError::generic(words), answer(status));
        Call::new("sqs", "SendMessage", "to the inbox").failed(error)
    }

    fn refused(code: &str, status: u16) -> Failed {
        told(code, "why", status)
    }

    #[test]
    fn codes_are_sorted_by_what_follows() {
        assert_eq!(refused("ProvisionedThroughputExceededException", 400).kind, FaultKind::Throttled);
        assert_eq!(refused("KMS.ThrottlingException", 400).kind, FaultKind::Throttled);
        assert_eq!(refused("SlowDown", 503).kind, FaultKind::Throttled);
        assert_eq!(refused("InternalServerError", 500).kind, FaultKind::Ambiguous);
        assert_eq!(refused("SomethingNew", 502).kind, FaultKind::Ambiguous);
        assert_eq!(refused("SomethingNew", 400).kind, FaultKind::Permanent);
        assert_eq!(refused("QueueDoesNotExist", 400).kind, FaultKind::NotFound);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let fault = Fault::from(refused("AccessDenied", 403));
        assert_eq!(fault.kind, FaultKind::Permanent);
        let words = "AccessDenied: the permission sqs:SendMessage is missing";
        assert_eq!(fault.to_string(), format!("SendMessage to the inbox: {words}"));
        assert_eq!(fault.hint.unwrap(), "allow sqs:SendMessage in the policy of the role or user that makes this call");
        let StoreError::Failed { operation, source } = StoreError::from(refused("AccessDenied", 403)) else {
            panic!("not Failed")
        };
        assert_eq!(operation, "SendMessage to the inbox");
        assert_eq!(source.to_string(), words);
    }

    const MESSAGE: &str = "User: arn:aws:iam::123456789012:user/mo is not authorized to perform: kms:GenerateDataKey on \
                           resource: arn:aws:kms:us-east-1:123456789012:key/1 because no identity-based policy allows \
                           the kms:GenerateDataKey action";

    #[test]
    fn what_aws_says_of_a_missing_permission_is_kept() {
        for code in ["AccessDeniedException", "KMS.AccessDeniedException"] {
            let line = told(code, MESSAGE, 400).line();
            let known = code.strip_prefix("KMS.").map_or(code, |_| "AccessDenied");
            assert_eq!(
                line,
                format!(
                    "SendMessage to the inbox: {known}: the permission kms:GenerateDataKey is missing on \
                     arn:aws:kms:us-east-1:123456789012:key/1 for arn:aws:iam::123456789012:user/mo (no identity-based \
                     policy allows the kms:GenerateDataKey action)"
                )
            );
        }
        // Of a key that says nothing it is not known what is missing, but it is not the call's own permission.
        assert_eq!(
            told("KMS.AccessDeniedException", "no", 400).line(),
            "SendMessage to the inbox: KMS.AccessDeniedException: no"
        );
    }

    #[test]
    fn an_object_that_may_not_be_there_is_no_certain_lack_of_a_permission() {
        let error = SdkError::service_error(SendMessageError::generic(ErrorMetadata::builder().build()), answer(403));
        let failed = Call::new("s3", "GetObject", "bundles/x in the bucket b").failed(error);
        assert_eq!(
            failed.line(),
            "GetObject bundles/x in the bucket b: AccessDenied: the permission s3:GetObject is missing, or there is no \
             such object"
        );
    }

    #[test]
    fn what_was_perhaps_done_is_in_doubt_and_what_was_never_sent_is_refused() {
        let call = Call::new("sqs", "SendMessage", "to the inbox");
        let late = SdkError::<SendMessageError, HttpResponse>::timeout_error("10 s");
        assert_eq!(call.failed(late).kind, FaultKind::Ambiguous);
        let cut = SdkError::<SendMessageError, HttpResponse>::dispatch_failure(ConnectorError::io("cut".into()));
        assert_eq!(call.failed(cut).kind, FaultKind::Ambiguous);
        let nobody = ConnectorError::other(CredentialsError::not_loaded("no providers").into(), None);
        let nobody = call.failed(SdkError::<SendMessageError, HttpResponse>::dispatch_failure(nobody));
        assert_eq!(nobody.kind, FaultKind::Permanent);
        assert!(nobody.unsigned, "{nobody:?}");
        assert_eq!(nobody.line(), "SendMessage to the inbox: no providers");
    }
}
