//! The ports over AWS: SQS, S3, CloudWatch Logs, and the instance metadata service.

use std::{error::Error, fmt, time::Duration};

use aws_config::{BehaviorVersion, Region as AwsRegion, SdkConfig, imds, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_sqs::{
    error::{ProvideErrorMetadata, SdkError},
    types::MessageSystemAttributeName,
};
use bakehouse_protocol::{
    BundleRef, Envelope, InboxMessage, InstanceId, Region, Timestamp, Zone, chain, spec::Architecture,
};
use serde::Deserialize;

use crate::{
    ports::{Bundles, Identity, Inbox, Later, Line, Logs, Message, Queue, Trouble},
    queue_poller::HIDDEN,
};

const CONNECT: Duration = Duration::from_secs(3);
const ATTEMPT: Duration = Duration::from_secs(10);
const OPERATION: Duration = Duration::from_secs(30);
/// How long a look for messages waits for one: the most that SQS does.
const POLL: i32 = 20;
/// A bundle is fetched within this time.
const FETCH: Duration = Duration::from_secs(120);

/// What the clients are made from. The endpoint may be told by the environment (`AWS_ENDPOINT_URL`), as with every SDK.
pub async fn config(region: &Region) -> SdkConfig {
    let times = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .region(AwsRegion::new(region.to_string()))
        .timeout_config(times)
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .load()
        .await
}

/// One call: how its errors name it, and which permission it needs.
struct Call<'a> {
    /// As in a policy: `sqs`.
    service: &'static str,
    action: &'static str,
    /// With what, after the action's name.
    thing: &'a str,
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.thing)
    }
}

/// What a refusal's text says that was not allowed: often it is the call itself, sometimes what it needs beside, such as
/// the use of a key.
const WHICH: &str = "not authorized to perform: ";

impl Call<'_> {
    /// An error of the SDK in one line: the call, and what the service or the network said; of a call that may not be
    /// made, the missing permission.
    fn trouble<E, R>(&self, error: &SdkError<E, R>) -> Trouble
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: fmt::Debug + Send + Sync + 'static,
    {
        let (code, message) = match error.as_service_error() {
            Some(service) => (service.code().unwrap_or_default(), service.message().unwrap_or_default()),
            None => return Trouble::Failed(format!("{self}: {}", chain(error))),
        };
        match code.rsplit('.').next().unwrap_or_default() {
            "NonExistentQueue" | "QueueDoesNotExist" | "NoSuchKey" | "NoSuchBucket" | "ResourceNotFoundException" => {
                Trouble::Gone(format!("{self}: {code} {message}"))
            }
            "AccessDenied" | "AccessDeniedException" => {
                Trouble::Refused(format!("{self}: {}{code} {message}", self.missing(code, message)))
            }
            _ => Trouble::Failed(format!("{self}: {code} {message}")),
        }
    }

    /// The permission that is missing, as far as it is known.
    fn missing(&self, code: &str, message: &str) -> String {
        let told = message.split_once(WHICH).and_then(|(_, rest)| rest.split_whitespace().next());
        let told = told.map(|word| word.trim_end_matches(['.', ','])).filter(|word| word.contains(':'));
        let action = match told {
            Some(action) => action.to_owned(),
            // It is about the queue's key, not about the call itself.
            None if code.starts_with("KMS.") => return String::new(),
            None => format!("{}:{}", self.service, self.action),
        };
        // S3 does not tell those who may not list a bucket which objects there are.
        let or = if self.action == "GetObject" { ", or there is no such object" } else { "" };
        format!("the permission {action} is missing{or}: ")
    }
}

/// SQS.
#[derive(Clone, Debug)]
pub struct Sqs {
    client: aws_sdk_sqs::Client,
    inbox: String,
}

impl Sqs {
    /// With the inbox of this URL.
    pub fn new(config: &SdkConfig, inbox: &str) -> Self {
        Self { client: aws_sdk_sqs::Client::new(config), inbox: inbox.to_owned() }
    }
}

impl Queue for Sqs {
    fn find<'a>(&'a self, name: &'a str) -> Later<'a, Result<String, Trouble>> {
        Box::pin(async move {
            let call = Call { service: "sqs", action: "GetQueueUrl", thing: name };
            let found = self.client.get_queue_url().queue_name(name).send().await;
            let found = found.map_err(|error| call.trouble(&error))?;
            found.queue_url.ok_or_else(|| Trouble::Failed(format!("{call}: no URL")))
        })
    }

    fn receive<'a>(&'a self, url: &'a str) -> Later<'a, Result<Vec<Message>, Trouble>> {
        Box::pin(async move {
            let times = TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ATTEMPT + Duration::from_secs(u64::from(POLL.unsigned_abs())))
                .operation_timeout(OPERATION + Duration::from_secs(u64::from(POLL.unsigned_abs())))
                .build();
            let received = self
                .client
                .receive_message()
                .queue_url(url)
                .wait_time_seconds(POLL)
                .max_number_of_messages(10)
                .visibility_timeout(i32::try_from(HIDDEN).unwrap_or(i32::MAX))
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .customize()
                .config_override(aws_sdk_sqs::Config::builder().timeout_config(times))
                .send()
                .await
                .map_err(|error| {
                    Call { service: "sqs", action: "ReceiveMessage", thing: &format!("from {url}") }.trouble(&error)
                })?;
            let messages = received.messages.unwrap_or_default().into_iter().map(|message| {
                let sent = message
                    .attributes
                    .and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok());
                Message {
                    id: message.message_id.unwrap_or_default(),
                    receipt: message.receipt_handle.unwrap_or_default(),
                    body: message.body.unwrap_or_default(),
                    sent: Timestamp(sent.unwrap_or_default()),
                }
            });
            Ok(messages.collect())
        })
    }

    fn delete<'a>(&'a self, url: &'a str, receipt: &'a str) -> Later<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let deleted = self.client.delete_message().queue_url(url).receipt_handle(receipt).send().await;
            deleted.map(drop).map_err(|error| {
                Call { service: "sqs", action: "DeleteMessage", thing: &format!("from {url}") }.trouble(&error)
            })
        })
    }

    fn hide<'a>(&'a self, url: &'a str, receipt: &'a str, seconds: u32) -> Later<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
            let hide = self.client.change_message_visibility().queue_url(url).receipt_handle(receipt);
            let hidden = hide.visibility_timeout(seconds).send().await;
            hidden.map(drop).map_err(|error| {
                Call { service: "sqs", action: "ChangeMessageVisibility", thing: &format!("at {url}") }.trouble(&error)
            })
        })
    }
}

impl Inbox for Sqs {
    fn send<'a>(&'a self, message: &'a InboxMessage) -> Later<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let call = Call { service: "sqs", action: "SendMessage", thing: "to the inbox" };
            let body = serde_json::to_string(&Envelope::new(message.clone()))
                .map_err(|error| Trouble::Refused(format!("{call}: {error}")))?;
            let sent = self.client.send_message().queue_url(&self.inbox).message_body(body).send().await;
            sent.map(drop).map_err(|error| call.trouble(&error))
        })
    }
}

/// S3.
#[derive(Clone, Debug)]
pub struct S3 {
    client: aws_sdk_s3::Client,
    bucket: String,
}

impl S3 {
    /// This bucket.
    pub fn new(config: &SdkConfig, bucket: &str) -> Self {
        Self { client: aws_sdk_s3::Client::new(config), bucket: bucket.to_owned() }
    }

    async fn get(&self, bundle: &BundleRef) -> Result<Vec<u8>, Trouble> {
        let thing = format!("{} in the bucket {}", bundle.key, self.bucket);
        let call = Call { service: "s3", action: "GetObject", thing: &thing };
        let object = self.client.get_object().bucket(&self.bucket).key(&bundle.key).send().await;
        let mut body = object.map_err(|error| call.trouble(&error))?.body;
        let mut bytes = Vec::new();
        // One more than there may be is enough for a look at the digest to fail.
        while bytes.len() as u64 <= bundle.size {
            match body.try_next().await {
                Ok(Some(part)) => bytes.extend_from_slice(&part),
                Ok(None) => break,
                Err(error) => return Err(Trouble::Failed(format!("{call}: {}", chain(&error)))),
            }
        }
        Ok(bytes)
    }
}

impl Bundles for S3 {
    fn fetch<'a>(&'a self, bundle: &'a BundleRef) -> Later<'a, Result<Vec<u8>, Trouble>> {
        Box::pin(async move {
            let late = || Trouble::Failed(format!("fetching the bundle {} took longer than {FETCH:?}", bundle.key));
            tokio::time::timeout(FETCH, self.get(bundle)).await.unwrap_or_else(|_| Err(late()))
        })
    }
}

/// CloudWatch Logs.
#[derive(Clone, Debug)]
pub struct CloudWatch {
    client: aws_sdk_cloudwatchlogs::Client,
    group: String,
}

impl CloudWatch {
    /// This log group.
    pub fn new(config: &SdkConfig, group: &str) -> Self {
        Self { client: aws_sdk_cloudwatchlogs::Client::new(config), group: group.to_owned() }
    }

    async fn put_once(&self, stream: &str, lines: &[Line]) -> Result<(), Trouble> {
        let thing = format!("{stream} in the log group {}", self.group);
        let call = Call { service: "logs", action: "PutLogEvents", thing: &thing };
        let events = lines.iter().map(|line| {
            let at = i64::try_from(line.at.0).unwrap_or(i64::MAX);
            InputLogEvent::builder().timestamp(at).message(&line.text).build()
        });
        let events = events.collect::<Result<Vec<_>, _>>().map_err(|error| Trouble::Refused(error.to_string()))?;
        let put = self.client.put_log_events().log_group_name(&self.group).log_stream_name(stream);
        put.set_log_events(Some(events)).send().await.map(drop).map_err(|error| call.trouble(&error))
    }
}

impl Logs for CloudWatch {
    fn put<'a>(&'a self, stream: &'a str, lines: &'a [Line]) -> Later<'a, Result<(), Trouble>> {
        Box::pin(async move {
            match self.put_once(stream, lines).await {
                Err(Trouble::Gone(_)) => {}
                other => return other,
            }
            let made = self.client.create_log_stream().log_group_name(&self.group).log_stream_name(stream).send().await;
            match made {
                Err(error) if error.as_service_error().is_none_or(|e| !e.is_resource_already_exists_exception()) => {
                    let thing = format!("{stream} in the log group {}", self.group);
                    return Err(Call { service: "logs", action: "CreateLogStream", thing: &thing }.trouble(&error));
                }
                _ => {}
            }
            self.put_once(stream, lines).await
        })
    }
}

/// Which instance this is, by its metadata service (`AWS_EC2_METADATA_SERVICE_ENDPOINT` may name another).
pub async fn identity() -> Result<Identity, Trouble> {
    let doing = "asking the instance metadata service which instance this is";
    let client = imds::Client::builder().build();
    let document = client.get("/latest/dynamic/instance-identity/document").await;
    let document = document.map_err(|error| Trouble::Failed(format!("{doing}: {}", chain(&error))))?;
    parse(document.as_ref()).map_err(|what| Trouble::Refused(format!("{doing}: {what}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    instance_id: InstanceId,
    region: Region,
    availability_zone: Zone,
    architecture: Architecture,
}

fn parse(document: &str) -> Result<Identity, serde_json::Error> {
    let Document { instance_id, region, availability_zone, architecture } = serde_json::from_str(document)?;
    Ok(Identity { instance: instance_id, region, zone: availability_zone, architecture })
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{
        error::{ConnectorError, ErrorMetadata},
        operation::send_message::SendMessageError,
    };

    use super::*;

    const CALL: Call<'_> = Call { service: "sqs", action: "SendMessage", thing: "to the inbox" };

    fn refused(call: &Call<'_>, code: &str, message: &str) -> Trouble {
        let words = ErrorMetadata::builder().code(code).message(message).build();
        call.trouble(&SdkError::service_error(SendMessageError::generic(words), ()))
    }

    #[test]
    fn a_call_that_may_not_be_made_names_the_missing_permission() {
        let message = "User: arn:aws:sts::123456789012:assumed-role/host/i-1 is not authorized to perform: \
                       kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:123456789012:key/1";
        assert_eq!(
            refused(&CALL, "KMS.AccessDeniedException", message),
            Trouble::Refused(format!(
                "SendMessage to the inbox: the permission kms:GenerateDataKey is missing: KMS.AccessDeniedException \
                 {message}"
            ))
        );
        assert_eq!(
            refused(&CALL, "AccessDenied", "Access to the resource is denied."),
            Trouble::Refused(
                "SendMessage to the inbox: the permission sqs:SendMessage is missing: AccessDenied Access to the \
                 resource is denied."
                    .into()
            )
        );
        let fetch = Call { service: "s3", action: "GetObject", thing: "bundles/x in the bucket b" };
        let Trouble::Refused(words) = refused(&fetch, "AccessDenied", "Access Denied") else { panic!("not refused") };
        assert!(words.contains("the permission s3:GetObject is missing, or there is no such object: "), "{words}");
    }

    #[test]
    fn what_else_goes_wrong_names_the_call() {
        let gone = refused(&CALL, "AWS.SimpleQueueService.NonExistentQueue", "no");
        let words = "SendMessage to the inbox: AWS.SimpleQueueService.NonExistentQueue no";
        assert_eq!(gone, Trouble::Gone(words.into()));
        let cut = SdkError::<SendMessageError, ()>::dispatch_failure(ConnectorError::io("cut off".into()));
        let Trouble::Failed(words) = CALL.trouble(&cut) else { panic!("not failed") };
        assert!(words.starts_with("SendMessage to the inbox: ") && words.ends_with("cut off"), "{words}");
    }

    #[test]
    fn the_identity_document() {
        let text = r#"{"accountId": "123456789012", "architecture": "arm64", "availabilityZone": "us-west-2b",
            "billingProducts": null, "imageId": "ami-5fb8c835", "instanceId": "i-1234567890abcdef0",
            "instanceType": "t4g.micro", "pendingTime": "2016-11-19T16:32:11Z", "region": "us-west-2", "version": "2017-09-30"}"#;
        let identity = parse(text).unwrap();
        assert_eq!(identity.instance.as_str(), "i-1234567890abcdef0");
        assert_eq!((identity.zone.as_str(), identity.architecture), ("us-west-2b", Architecture::Arm64));
    }
}
