//! The ports over AWS: SQS, S3, CloudWatch Logs, and the instance metadata service.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region as AwsRegion, SdkConfig};
use bakehouse_aws::{CallError, Limits, instance};
use bakehouse_ec2::ApiError;
use bakehouse_protocol::{BundleRef, Fault, FaultKind, InboxMessage, Region, chain};

use crate::{
    ports::{BoxFuture, Bundles, Identity, Inbox, Line, Logs, Message, Queue},
    queue_poller::VISIBILITY_SECONDS,
};

/// The time-out of fetching a bundle.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// Returns the SDK's configuration of all clients. The environment may set the endpoint (`AWS_ENDPOINT_URL`).
pub async fn config(region: &Region) -> SdkConfig {
    let limits = Limits::default();
    aws_config::defaults(BehaviorVersion::latest())
        .region(AwsRegion::new(region.to_string()))
        .timeout_config(limits.timeouts())
        .retry_config(limits.retries())
        .load()
        .await
}

/// Returns the fault of a failed call. Missing credentials are temporary here, as they come from the metadata service,
/// which may fail for a while.
fn fault(error: CallError) -> Fault {
    let kind = if error.code == ApiError::NO_CREDENTIALS { FaultKind::Throttled } else { error.fault.kind };
    Fault { kind, ..error.fault }
}

/// SQS.
#[derive(Clone, Debug)]
pub struct Sqs {
    sqs: bakehouse_aws::Sqs,
    inbox: String,
}

impl Sqs {
    /// Returns SQS with the inbox of this URL.
    pub fn new(config: &SdkConfig, inbox: &str) -> Self {
        Self { sqs: bakehouse_aws::Sqs::new(config), inbox: inbox.to_owned() }
    }
}

/// Converts seconds for SQS.
fn seconds(seconds: u32) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

impl Queue for Sqs {
    fn find<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<String, Fault>> {
        Box::pin(async move { self.sqs.queue_url(name).await.map_err(fault) })
    }

    fn receive<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<Message>, Fault>> {
        Box::pin(async move { self.sqs.receive(url, seconds(VISIBILITY_SECONDS)).await.map_err(fault) })
    }

    fn delete<'a>(&'a self, url: &'a str, receipt: &'a str) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { self.sqs.delete(url, receipt).await.map_err(fault) })
    }

    fn change_visibility<'a>(&'a self, url: &'a str, receipt: &'a str, time: u32) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { self.sqs.change_visibility(url, receipt, seconds(time)).await.map_err(fault) })
    }
}

impl Inbox for Sqs {
    fn send<'a>(&'a self, message: &'a InboxMessage) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { Ok(self.sqs.send(&self.inbox, "to the inbox".to_owned(), message, 0).await?) })
    }
}

impl Bundles for bakehouse_aws::Bundles {
    fn fetch<'a>(&'a self, bundle: &'a BundleRef) -> BoxFuture<'a, Result<Vec<u8>, Fault>> {
        Box::pin(async move {
            let timed_out = |_| {
                let message = format!("fetching the bundle {} took longer than {FETCH_TIMEOUT:?}", bundle.key);
                Fault::new(FaultKind::Ambiguous, message)
            };
            tokio::time::timeout(FETCH_TIMEOUT, Self::fetch(self, bundle)).await.map_err(timed_out)?
        })
    }
}

impl Logs for bakehouse_aws::Logs {
    fn put<'a>(&'a self, stream: &'a str, lines: &'a [Line]) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move { self.write(stream, lines.to_vec()).await })
    }
}

/// Returns this instance, from the metadata service.
pub async fn identity() -> Result<Identity, Fault> {
    let found = instance::identity(&instance::metadata()).await.map_err(|error| {
        let kind = match &error {
            instance::InstanceError::NoInstance(_) => FaultKind::Throttled,
            instance::InstanceError::Unreadable(_) => FaultKind::Permanent,
        };
        Fault::new(kind, format!("can't read the instance metadata: {}", chain(&error)))
    })?;
    let instance::Instance { instance_id, region, zone, architecture } = found;
    Ok(Identity { instance: instance_id, region, zone, architecture })
}
