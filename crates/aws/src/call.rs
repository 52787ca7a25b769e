//! A call of AWS, as errors name it, and how it failed.

use std::{error::Error, fmt};

use aws_sdk_sqs::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use bakehouse_ec2::{
    ApiError,
    faults::{fault_of, is_refusal},
};
use bakehouse_protocol::{Fault, FaultKind};

use crate::sdk_error::api_error;

/// A call: which permission it needs, and how its errors name it.
#[derive(Clone, Debug)]
pub struct Call {
    service: &'static str,
    action: &'static str,
    target: String,
}

impl Call {
    /// `service` and `action` as in a policy: `dynamodb`, `UpdateItem`. `target`: what it is about, for people.
    pub fn new(service: &'static str, action: &'static str, target: impl Into<String>) -> Self {
        Self { service, action, target: target.into() }
    }

    /// Returns how the call failed, sorted.
    pub fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> CallError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let ApiError { code, message } = api_error(error);
        let code = match code.as_ref() {
            // S3 sends no body where it answers like to a HEAD request.
            "Http403" => "AccessDenied",
            "Http404" => "NotFound",
            code => code,
        };
        let mut fault = fault_of(self.service, &self.to_string(), code, &message);
        let denied = is_refusal(code, &message);
        if fault.kind == FaultKind::Permanent && status.is_some_and(|status| status >= 500) {
            // A code that the table does not have: the service failed, not the request.
            fault.kind = FaultKind::Ambiguous;
        }
        if self.action == "GetObject" && code.starts_with("AccessDenied") {
            // S3 does not tell callers without s3:ListBucket which objects exist.
            fault.message.push_str(", or there is no such object");
        }
        CallError { call: self.clone(), code: code.to_owned(), fault, denied }
    }

    /// Returns the same as a fault.
    pub fn fault<E>(&self, error: SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        self.failed(error).into()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.target)
    }
}

/// A call that was not performed, or perhaps was not. Its text is what the service said, without the call.
#[derive(Clone, Debug)]
pub struct CallError {
    /// The call.
    pub call: Call,
    /// The service's code, or one of [`ApiError`]'s if the service did not answer.
    pub code: String,
    /// What follows, with the call in its message.
    pub fault: Fault,
    /// Whether the caller lacks a permission, which the message names.
    pub denied: bool,
}

impl CallError {
    /// Returns whether there was no response: the fault is in the connection, not the service.
    pub fn is_unanswered(&self) -> bool {
        [ApiError::NOT_SENT, ApiError::NO_ANSWER, ApiError::NO_ENDPOINT, ApiError::NOT_TRUSTED]
            .contains(&self.code.as_str())
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.fault.message.as_str();
        let call = format!("{}: ", self.call);
        f.write_str(message.strip_prefix(&call).unwrap_or(message))
    }
}

impl Error for CallError {}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        error.fault
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::provider::error::CredentialsError;
    use aws_sdk_s3::primitives::SdkBody;
    use aws_sdk_sqs::{
        error::{ConnectorError, ErrorMetadata},
        operation::send_message::SendMessageError,
    };

    use super::*;

    fn send() -> Call {
        Call::new("sqs", "SendMessage", "to the inbox")
    }

    fn response(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
    }

    fn refused(call: &Call, code: &str, message: &str, status: u16) -> CallError {
        let error = ErrorMetadata::builder().code(code).message(message).build();
        call.failed(SdkError::service_error(SendMessageError::generic(error), response(status)))
    }

    #[test]
    fn codes_are_sorted_by_what_follows() {
        let kind = |code, status| refused(&send(), code, "why", status).fault.kind;
        assert_eq!(kind("ProvisionedThroughputExceededException", 400), FaultKind::Throttled);
        assert_eq!(kind("SlowDown", 503), FaultKind::Throttled);
        assert_eq!(kind("InternalServerError", 500), FaultKind::Ambiguous);
        assert_eq!(kind("SomethingNew", 502), FaultKind::Ambiguous);
        assert_eq!(kind("SomethingNew", 400), FaultKind::Permanent);
        assert_eq!(kind("QueueDoesNotExist", 400), FaultKind::NotFound);
    }

    #[test]
    fn a_missing_permission_is_named() {
        let error = refused(&send(), "AccessDenied", "", 403);
        assert_eq!(error.to_string(), "AccessDenied: the permission sqs:SendMessage is missing");
        assert!(error.denied);
        let fault = Fault::from(error);
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert_eq!(
            fault.to_string(),
            "SendMessage to the inbox: AccessDenied: the permission sqs:SendMessage is missing"
        );
        assert_eq!(fault.hint.unwrap(), "allow sqs:SendMessage in the policy of the role or user that makes this call");
    }

    const MESSAGE: &str = "User: arn:aws:iam::123456789012:user/mo is not authorized to perform: kms:GenerateDataKey on \
                           resource: arn:aws:kms:us-east-1:123456789012:key/1 because no identity-based policy allows \
                           the kms:GenerateDataKey action";

    #[test]
    fn a_refusal_of_the_key_names_the_permission_of_the_key() {
        for code in ["AccessDeniedException", "KMS.AccessDeniedException"] {
            assert_eq!(
                refused(&send(), code, MESSAGE, 400).to_string(),
                format!(
                    "{code}: the permission kms:GenerateDataKey is missing on \
                     arn:aws:kms:us-east-1:123456789012:key/1 for arn:aws:iam::123456789012:user/mo (no identity-based \
                     policy allows the kms:GenerateDataKey action)"
                )
            );
        }
        // A key's refusal without a text does not tell what is missing; it is not the call's own permission.
        assert_eq!(
            refused(&send(), "KMS.AccessDeniedException", "no", 400).to_string(),
            "KMS.AccessDeniedException: no"
        );
    }

    #[test]
    fn a_refused_object_may_not_exist() {
        let get = Call::new("s3", "GetObject", "bundles/x in the bucket b");
        let nothing = SendMessageError::generic(ErrorMetadata::builder().build());
        let error = get.failed(SdkError::service_error(nothing, response(403)));
        assert_eq!(
            error.fault.message,
            "GetObject bundles/x in the bucket b: AccessDenied: the permission s3:GetObject is missing, or there is no \
             such object"
        );
        let error = refused(&get, "AccessDenied", "Access Denied", 403);
        assert!(error.to_string().ends_with("the permission s3:GetObject is missing, or there is no such object"));
    }

    #[test]
    fn a_call_that_may_have_been_performed_is_ambiguous() {
        let late = send().failed(SdkError::<SendMessageError, HttpResponse>::timeout_error("10 s"));
        assert_eq!((late.fault.kind, late.is_unanswered()), (FaultKind::Ambiguous, true));
        let cut = SdkError::<SendMessageError, HttpResponse>::dispatch_failure(ConnectorError::io("cut".into()));
        assert_eq!(send().failed(cut).fault.kind, FaultKind::Ambiguous);
    }

    #[test]
    fn a_call_without_credentials_is_never_sent() {
        let nobody = ConnectorError::other(CredentialsError::not_loaded("no providers").into(), None);
        let error = send().failed(SdkError::<SendMessageError, HttpResponse>::dispatch_failure(nobody));
        assert_eq!((error.fault.kind, error.code.as_str()), (FaultKind::Permanent, ApiError::NO_CREDENTIALS));
        assert!(!error.is_unanswered());
    }
}
