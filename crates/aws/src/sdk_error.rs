//! Converts the SDK's errors to a code and one line: the service's code, or one of ours where there is none.
//!
//! | What happened | Code | Sorted as |
//! |---|---|---|
//! | no connection: refused, unreachable, connecting took too long, name resolution is down | `NotSent` | Throttled |
//! | the endpoint's name is known to no name server | `NoSuchEndpoint` | Permanent |
//! | the endpoint's certificate is not trusted | `EndpointNotTrusted` | Permanent |
//! | no credentials | `NoCredentials` | Permanent |
//! | a role that may not be assumed | `AccessDenied`, in STS's words | Permanent |
//! | credentials took too long (metadata service, STS), or STS is throttled or has failed | `NotSent` | Throttled |
//! | sent, and no answer: a time-out, a broken connection | `NoAnswer` | Ambiguous |
//! | a 5xx or a 2xx that can't be read | `AnswerNotUnderstood` | Ambiguous |
//! | a 4xx that can't be read (a proxy's) | `Http407` | Permanent |
//!
//! A refused connection is Throttled, which waits and never fails a build by itself, and not Permanent: AWS's endpoints
//! exist; when one does not answer, it or the way to it is being repaired. Nothing was sent, so nothing is ambiguous.
//! The sorting is done by `crates/ec2/src/faults.rs`.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use bakehouse_ec2::{ApiError, faults::sts_refusal};
use bakehouse_protocol::chain;

/// No source has credentials. The cause of the SDK's own error, which does not say where it looked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are no credentials; looked in {looked_in}")]
pub struct NoCredentials {
    /// The sources, for people.
    pub looked_in: String,
}

/// STS could not issue credentials now, as it is throttled or has failed: it will, later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotIssuedNow(pub String);

/// Returns the code and the text of an error of the SDK.
pub fn api_error<E>(error: SdkError<E, HttpResponse>) -> ApiError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|raw| raw.status().as_u16());
    let sent = match &error {
        SdkError::ServiceError(service) => match service.err().code() {
            Some(code) => return ApiError::new(code.to_owned(), service.err().message().unwrap_or_default()),
            None => true,
        },
        SdkError::ConstructionFailure(_) => false,
        SdkError::DispatchFailure(failure) => !failure.is_user(),
        _ => true,
    };
    match status {
        Some(status @ (300..=499)) => {
            ApiError::new(format!("Http{status}"), format!("status {status} without an error of AWS in it"))
        }
        Some(status) => ApiError::new(
            ApiError::NOT_UNDERSTOOD,
            format!("status {status}, and the answer could not be read: {}", chain(&error)),
        ),
        None => unanswered(&error, sent),
    }
}

fn unanswered(error: &(dyn Error + 'static), sent: bool) -> ApiError {
    let text = chain(error);
    if let Some(NotIssuedNow(why)) = find(error) {
        return ApiError::new(ApiError::NOT_SENT, format!("the credentials could not be fetched: {why}"));
    }
    if let Some(credentials) = find::<CredentialsError>(error) {
        return match (find::<NoCredentials>(error), credentials) {
            (Some(none), _) => ApiError::new(ApiError::NO_CREDENTIALS, none.to_string()),
            (None, CredentialsError::ProviderTimedOut(_)) => {
                ApiError::new(ApiError::NOT_SENT, format!("fetching the credentials took too long: {text}"))
            }
            _ => {
                let text = chain(credentials);
                match sts_refusal(&text) {
                    Some(message) => ApiError::new("AccessDenied", message),
                    None => {
                        ApiError::new(ApiError::NO_CREDENTIALS, format!("the credentials could not be had: {text}"))
                    }
                }
            }
        };
    }
    let connecting = find::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect());
    let code = match &text {
        // What the resolver says tells "there is no such name" from "nobody could be asked".
        text if text.contains("failed to lookup address") => {
            let asked = !text.contains("Temporary failure") && !text.contains("Try again");
            if asked { ApiError::NO_ENDPOINT } else { ApiError::NOT_SENT }
        }
        text if connecting && text.contains("certificate") => ApiError::NOT_TRUSTED,
        _ if connecting => ApiError::NOT_SENT,
        _ if !sent => ApiError::NOT_MADE,
        _ => ApiError::NO_ANSWER,
    };
    ApiError::new(code, text)
}

/// The first error of this kind among an error and its causes.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref() {
            None => next = error.source(),
            found => return found,
        }
    }
    None
}

/// Where a call goes, for errors about the way there.
#[derive(Clone, Debug)]
pub struct Endpoint<'a> {
    /// The service's prefix of host names: `ec2`.
    pub service: &'static str,
    /// The region's name.
    pub region: &'a str,
    /// The URL, if it is not AWS's own.
    pub url: Option<&'a str>,
}

impl Endpoint<'_> {
    fn host(&self) -> String {
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        match self.url {
            Some(url) => url.to_owned(),
            None => format!("{}.{}.{suffix}", self.service, self.region),
        }
    }

    /// Returns the same error, with the endpoint in its text if it is about the way there.
    pub fn add_to(&self, error: ApiError) -> ApiError {
        let host = self.host();
        match error.code.as_ref() {
            ApiError::NO_ENDPOINT => {
                let message = format!("there is no endpoint {host} (region {}): its name is not known", self.region);
                ApiError { message, ..error }
            }
            ApiError::NOT_TRUSTED | ApiError::NOT_SENT | ApiError::NO_ANSWER => {
                ApiError { message: format!("{host}: {}", error.message), ..error }
            }
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_may_not_be_assumed_is_told_in_the_words_of_sts() {
        let words = "User: arn:aws:iam::123456789012:user/mo is not authorized to perform: sts:AssumeRole on resource: \
                     arn:aws:iam::123456789012:role/bake";
        let told = format!("unhandled error (AccessDenied): Error {{ code: \"AccessDenied\", message: \"{words}\" }}");
        let error = CredentialsError::provider_error(format!("service error: {told}"));
        let told = unanswered(&error, true);
        assert_eq!((told.code.as_ref(), told.message.as_str()), ("AccessDenied", words));
    }

    #[test]
    fn a_region_that_does_not_exist_is_said_in_one_line() {
        let endpoint = Endpoint { service: "ec2", region: "xx-nowhere-1", url: None };
        let error = endpoint.add_to(ApiError::new(ApiError::NO_ENDPOINT, "dns error"));
        assert_eq!(
            error.to_string(),
            "NoSuchEndpoint: there is no endpoint ec2.xx-nowhere-1.amazonaws.com (region xx-nowhere-1): its name is not known"
        );
        let china = Endpoint { service: "ec2", region: "cn-north-1", url: None };
        assert!(china.host().ends_with(".com.cn"));
        let own = ApiError::new("InvalidVolume.NotFound", "x");
        assert_eq!(endpoint.add_to(own.clone()), own);
    }
}
