//! How a call failed, in a code and one line: EC2's own code, or one of ours where there is none.
//!
//! | What happened | Code | Sorted as |
//! |---|---|---|
//! | no connection: refused, unreachable, connecting took too long, name resolution is down | `NotSent` | Throttled |
//! | the endpoint's name is known to no name server | `NoSuchEndpoint` | Refused |
//! | the endpoint's certificate is not trusted | `EndpointNotTrusted` | Refused |
//! | no credentials | `NoCredentials` | Refused |
//! | a role that may not be assumed | `AccessDenied`, in STS's words | Refused |
//! | credentials took too long (metadata service, STS) | `NotSent` | Throttled |
//! | sent, and no answer: a time-out, a broken connection | `NoAnswer` | InDoubt |
//! | a 5xx or a 2xx that can't be read | `AnswerNotUnderstood` | InDoubt |
//! | a 4xx that can't be read (a proxy's) | `Http407` | Refused |
//!
//! That a refused connection is "Throttled", which waits and never fails by itself, and not "Refused": EC2's endpoints
//! are there; when one does not answer, it or the way to it is being repaired. Nothing was sent, so nothing is in doubt.
//! The sorting is done by `controller/src/faults.rs`.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_async::future::pagination_stream::PaginationStream;
use bakehouse_ec2::ApiError;

/// That no source has credentials. It stands behind the SDK's own error, which does not say where it looked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are no credentials; looked in {looked_in}")]
pub(crate) struct NoCredentials {
    pub(crate) looked_in: String,
}

/// The error of a call.
pub(crate) fn told<E>(error: SdkError<E, HttpResponse>) -> ApiError
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
    if let Some(credentials) = find::<CredentialsError>(error) {
        return match (find::<NoCredentials>(error), credentials) {
            (Some(none), _) => ApiError::new(ApiError::NO_CREDENTIALS, none.to_string()),
            (None, CredentialsError::ProviderTimedOut(_)) => {
                ApiError::new(ApiError::NOT_SENT, format!("fetching the credentials took too long: {text}"))
            }
            _ => {
                let text = chain(credentials);
                match refusal(&text) {
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

/// What STS says of a role that may not be assumed. Its error has a type that the SDK keeps to itself, and so stands in a
/// chain of causes as text, between quotation marks.
fn refusal(text: &str) -> Option<&str> {
    let (_, message) = text.split_once("message: \"")?;
    let message = message.split('"').next()?;
    message.contains("not authorized to perform: ").then_some(message)
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

/// An error and its causes in one line. The SDK's wrappers repeat what they wrap.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let part = error.to_string().replace('\n', " ");
        match parts.last() {
            Some(last) if last.contains(&part) => {}
            _ => parts.push(part),
        }
        next = error.source();
    }
    parts.join(": ")
}

/// Every item of every page.
pub(crate) async fn pages<I, T, E>(
    mut items: PaginationStream<Result<I, SdkError<E, HttpResponse>>>,
    mut read: impl FnMut(I) -> Result<T, ApiError>,
) -> Result<Vec<T>, ApiError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(read(item.map_err(told)?)?);
    }
    Ok(all)
}

/// Where calls go, for errors about the way there.
#[derive(Clone, Debug)]
pub(crate) struct Whereto<'a> {
    pub(crate) service: &'static str,
    pub(crate) region: &'a str,
    pub(crate) endpoint: Option<&'a str>,
}

impl Whereto<'_> {
    fn host(&self) -> String {
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        match self.endpoint {
            Some(url) => url.to_owned(),
            None => format!("{}.{}.{suffix}", self.service, self.region),
        }
    }

    /// The same error, with where the call was to go if that is what it is about.
    pub(crate) fn named(&self, error: ApiError) -> ApiError {
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

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn a_chain_is_one_line_without_repetition() {
        let inner = Layer("connection reset", None);
        let middle = Layer("io error: connection reset", Some(Box::new(inner)));
        assert_eq!(
            chain(&Layer("dispatch\nfailure", Some(Box::new(middle)))),
            "dispatch failure: io error: connection reset"
        );
    }

    #[test]
    fn a_role_that_may_not_be_assumed_is_told_in_the_words_of_sts() {
        let words = "User: arn:aws:iam::123456789012:user/mo is not authorized to perform: sts:AssumeRole on resource: \
                     arn:aws:iam::123456789012:role/bake";
        let told = format!("unhandled error (AccessDenied): Error {{ code: \"AccessDenied\", message: \"{words}\" }}");
        let error = CredentialsError::provider_error(format!("service error: {told}"));
        let told = unanswered(&error, true);
        assert_eq!((told.code.as_ref(), told.message.as_str()), ("AccessDenied", words));
        assert_eq!(refusal("message: \"the token has expired\""), None);
        assert_eq!(refusal("nothing"), None);
    }

    #[test]
    fn a_region_that_does_not_exist_is_said_in_one_line() {
        let whereto = Whereto { service: "ec2", region: "xx-nowhere-1", endpoint: None };
        let error = whereto.named(ApiError::new(ApiError::NO_ENDPOINT, "dns error"));
        assert_eq!(
            error.to_string(),
            "NoSuchEndpoint: there is no endpoint ec2.xx-nowhere-1.amazonaws.com (region xx-nowhere-1): its name is not known"
        );
        let china = Whereto { service: "ec2", region: "cn-north-1", endpoint: None };
        assert!(china.host().ends_with(".com.cn"));
        let own = ApiError::new("InvalidVolume.NotFound", "x");
        assert_eq!(whereto.named(own.clone()), own);
    }
}
