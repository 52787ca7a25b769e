//! The hosts' queues: created when a host first reports, readable by that instance alone.

use aws_config::SdkConfig;
use bakehouse_aws::{
    Sqs,
    message::{MOST, queue_url_beside},
};
use bakehouse_controller::stack;
use bakehouse_protocol::{Fault, FaultKind, HostId, HostReport, StackConfig};
use serde_json::json;

/// The tag with the name of the queue's stack.
const TAG: &str = "bakehouse:stack";
/// The default visibility time-out in seconds. The agent extends it while a job runs.
const VISIBILITY: &str = "60";
/// How long a message waits for its host, in seconds.
const RETENTION: &str = "86400";

/// The queues of a stack's hosts.
#[derive(Clone, Debug)]
pub struct Queues {
    sqs: Sqs,
    stack: StackConfig,
}

impl Queues {
    /// Returns the queues of a stack's hosts.
    pub fn new(sdk: &SdkConfig, stack: &StackConfig) -> Self {
        Self { sqs: Sqs::new(sdk), stack: stack.clone() }
    }

    fn name(&self, host: &HostId) -> String {
        format!("{}{host}", self.stack.host_queue_prefix)
    }

    fn url(&self, host: &HostId) -> String {
        queue_url_beside(&self.stack.inbox_url, &self.name(host))
    }
}

impl stack::Queues for Queues {
    async fn ensure(&self, report: &HostReport) -> Result<(), Fault> {
        let host = &report.host;
        let name = self.name(host);
        // Otherwise a host could get access to the queue of another.
        if host.as_str() != report.instance.as_str() {
            let (host, instance) = (host.as_str(), report.instance.as_str());
            let why = format!("CreateQueue {name}: the host's name {host} is not its instance {instance}");
            return Err(Fault::new(FaultKind::Permanent, why));
        }
        let attributes = attributes(&self.stack, host, &name);
        let ensured = self.sqs.ensure_queue(&name, &self.url(host), &attributes, (TAG, &self.stack.name)).await;
        Ok(ensured?)
    }

    async fn remove(&self, host: &HostId) -> Result<(), Fault> {
        Ok(self.sqs.delete_queue(&self.name(host), &self.url(host)).await?)
    }
}

fn attributes(stack: &StackConfig, host: &HostId, name: &str) -> [(&'static str, String); 5] {
    [
        ("VisibilityTimeout", VISIBILITY.to_owned()),
        ("MessageRetentionPeriod", RETENTION.to_owned()),
        ("MaximumMessageSize", MOST.to_string()),
        ("SqsManagedSseEnabled", "true".to_owned()),
        ("Policy", policy(stack, host, name)),
    ]
}

/// Returns the queue's policy. Jobs contain all secrets of a template, so no other host may read them, though all hosts
/// have the same role. Only requests with an instance's own role credentials have `ec2:SourceInstanceArn` (IAM's user
/// guide, "AWS global condition context keys"): the denial applies to all others, whatever their own policies allow.
fn policy(stack: &StackConfig, host: &HostId, name: &str) -> String {
    let StackConfig { region, account, host_role_arn, .. } = stack;
    // `aws`, or another partition.
    let partition = host_role_arn.split(':').nth(1).unwrap_or("aws");
    let queue = format!("arn:{partition}:sqs:{region}:{account}:{name}");
    let instance = format!("arn:{partition}:ec2:{region}:{account}:instance/{host}");
    let read = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"];
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TheHostReads",
                "Effect": "Allow",
                "Principal": { "AWS": host_role_arn },
                "Action": [read[0], read[1], read[2], "sqs:GetQueueAttributes"],
                "Resource": queue,
                "Condition": { "ArnEquals": { "ec2:SourceInstanceArn": instance } },
            },
            {
                "Sid": "NobodyElseReads",
                "Effect": "Deny",
                "Principal": "*",
                "Action": read,
                "Resource": queue,
                "Condition": { "ArnNotEquals": { "ec2:SourceInstanceArn": instance } },
            },
        ],
    });
    policy.to_string()
}
