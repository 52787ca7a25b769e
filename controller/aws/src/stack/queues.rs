//! The hosts' queues: made when a host first reports, readable by that instance alone.

use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use bakehouse_controller::stack;
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{HostId, HostReport, StackConfig};
use serde_json::json;

use crate::stack::{errors::Call, message};

/// The tag that says whose a queue is.
const TAG: &str = "bakehouse:stack";
/// How long a message that an agent has taken stays hidden unless it says otherwise. It does, while it works.
const VISIBILITY: &str = "60";
/// How long a message waits for its host: one that has been away longer gets none of what it missed.
const RETENTION: &str = "86400";

/// The queues of a stack's hosts.
#[derive(Clone, Debug)]
pub struct Queues {
    client: Client,
    stack: StackConfig,
}

impl Queues {
    /// The queues of a stack.
    pub fn new(sdk: &SdkConfig, stack: &StackConfig) -> Self {
        Self { client: Client::new(sdk), stack: stack.clone() }
    }

    fn name(&self, host: &HostId) -> String {
        format!("{}{host}", self.stack.host_queue_prefix)
    }

    fn url(&self, host: &HostId) -> String {
        message::beside(&self.stack.inbox_url, &self.name(host))
    }
}

impl stack::Queues for Queues {
    async fn ensure(&self, report: &HostReport) -> Result<(), Fault> {
        let host = &report.host;
        let call = Call::new("sqs", "CreateQueue", self.name(host));
        // Else one host could have the queue of another made readable for itself.
        if host.as_str() != report.instance.as_str() {
            let words = format!("{call}: the host calls itself {host}, and its instance {}", report.instance);
            return Err(Fault::new(FaultKind::Permanent, words));
        }
        let attributes = attributes(&self.stack, host, &self.name(host));
        let create = self.client.create_queue().queue_name(self.name(host)).tags(TAG, &self.stack.name);
        match create.set_attributes(Some(attributes.clone())).send().await {
            Ok(_) => Ok(()),
            // It is there, made by another version of ours.
            Err(error) if error.as_service_error().is_some_and(|error| error.is_queue_name_exists()) => {
                let call = Call::new("sqs", "SetQueueAttributes", self.name(host));
                let set = self.client.set_queue_attributes().queue_url(self.url(host)).set_attributes(Some(attributes));
                set.send().await.map(|_| ()).map_err(|error| call.fault(error))
            }
            Err(error) => Err(call.fault(error)),
        }
    }

    async fn remove(&self, host: &HostId) -> Result<(), Fault> {
        let call = Call::new("sqs", "DeleteQueue", self.name(host));
        let deleted = self.client.delete_queue().queue_url(self.url(host)).send().await;
        match deleted.map_err(|error| call.fault(error)) {
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(()),
            done => done.map(|_| ()),
        }
    }
}

fn attributes(stack: &StackConfig, host: &HostId, name: &str) -> HashMap<QueueAttributeName, String> {
    HashMap::from([
        (QueueAttributeName::VisibilityTimeout, VISIBILITY.to_owned()),
        (QueueAttributeName::MessageRetentionPeriod, RETENTION.to_owned()),
        (QueueAttributeName::MaximumMessageSize, message::MOST.to_string()),
        (QueueAttributeName::SqsManagedSseEnabled, "true".to_owned()),
        (QueueAttributeName::Policy, policy(stack, host, name)),
    ])
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
