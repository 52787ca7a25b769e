//! The hosts' queues: made when a host first reports, readable by that instance alone.

use aws_config::SdkConfig;
use bakehouse_aws::{
    Sqs,
    message::{MOST, queue_url_beside},
};
use bakehouse_controller::stack;
use bakehouse_protocol::{Fault, FaultKind, HostId, HostReport, StackConfig};
use serde_json::json;

/// The tag that says whose a queue is.
const TAG: &str = "bakehouse:stack";
/// How long a message that an agent has taken stays hidden unless it says otherwise. It does, while it works.
const VISIBILITY: &str = "60";
/// How long a message waits for its host: one that has been away longer gets none of what it missed.
const RETENTION: &str = "86400";

/// The queues of a stack's hosts.
#[derive(Clone, Debug)]
pub struct Queues {
    sqs: Sqs,
    stack: StackConfig,
}

impl Queues {
    /// The queues of a stack.
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
        // Else one host could have the queue of another made readable for itself.
        if host.as_str() != report.instance.as_str() {
            let (host, instance) = (host.as_str(), report.instance.as_str());
            let why = format!("CreateQueue {name}: the host calls itself {host}, and its instance {instance}");
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

/// The queue's policy. What lies in it are whole jobs, with every secret of a template: no other host may see it, though
/// all have one role. `ec2:SourceInstanceArn` is in every request that is signed with credentials which an instance got
/// for its role, and in no other (IAM's user guide, "AWS global condition context keys"): so the denial meets all
/// others, whatever their own policies allow.
fn policy(stack: &StackConfig, host: &HostId, name: &str) -> String {
    let StackConfig { region, account, host_role_arn, .. } = stack;
    // `aws`, or one of the partitions apart.
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
