//! Notifications as EventBridge sends them: a volume became available, a snapshot was completed, an image became
//! available, an instance stopped.

use bakehouse_ec2::resource::Snapshot;
use bakehouse_protocol::{Region, Timestamp};
use serde_json::{Value, json};

use crate::timestamp::{iso8601, iso8601_seconds};

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// When it was noticed.
    pub at: Timestamp,
    /// The account of the resource.
    pub account: String,
    /// The region of the resource.
    pub region: Region,
    /// The change.
    pub change: Change,
    /// From which its id is made: different for each notification.
    pub(crate) number: u64,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A volume: `createVolume` ended with `available` or `failed`, `deleteVolume` with `deleted`.
    Volume {
        /// Its id.
        id: String,
        /// As `createVolume`.
        event: &'static str,
        /// As `available`.
        result: &'static str,
    },
    /// A snapshot: `createSnapshot` ended with `succeeded` or `failed`.
    Snapshot {
        /// The snapshot.
        snapshot: Box<Snapshot>,
        /// As `succeeded`.
        result: &'static str,
    },
    /// An image.
    Image {
        /// Its id.
        id: String,
        /// As `available`.
        state: &'static str,
        /// Why it failed; empty if it did not.
        message: String,
    },
    /// An instance.
    Instance {
        /// Its id.
        id: String,
        /// As `stopped`.
        state: &'static str,
    },
}

impl Notification {
    /// The event as EventBridge sends it.
    pub fn to_json(&self) -> Value {
        let Self { account, region, .. } = self;
        let (detail_type, resource, detail) = match &self.change {
            Change::Volume { id, event, result } => (
                "EBS Volume Notification",
                format!("arn:aws:ec2:{region}:{account}:volume/{id}"),
                json!({ "event": event, "result": result, "cause": "", "request-id": self.id() }),
            ),
            Change::Snapshot { snapshot, result } => {
                // In this event the region stands where the account does elsewhere.
                let arn = |kind: &str, id: &str| format!("arn:aws:ec2::{region}:{kind}/{id}");
                let id = arn("snapshot", snapshot.snapshot_id.as_str());
                let detail = json!({
                    "event": "createSnapshot",
                    "result": result,
                    "cause": snapshot.state_message.clone().unwrap_or_default(),
                    "request-id": "",
                    "snapshot_id": id,
                    "source": arn("volume", snapshot.volume_id.as_str()),
                    "startTime": iso8601(snapshot.start_time),
                    "endTime": iso8601(self.at),
                });
                ("EBS Snapshot Notification", id, detail)
            }
            Change::Image { id, state, message } => (
                "EC2 AMI State Change",
                format!("arn:aws:ec2:{region}::image/{id}"),
                json!({ "RequestId": self.id(), "ImageId": id, "State": state, "ErrorMessage": message }),
            ),
            Change::Instance { id, state } => (
                "EC2 Instance State-change Notification",
                format!("arn:aws:ec2:{region}:{account}:instance/{id}"),
                json!({ "instance-id": id, "state": state }),
            ),
        };
        json!({
            "version": "0",
            "id": self.id(),
            "detail-type": detail_type,
            "source": "aws.ec2",
            "account": account,
            "time": iso8601_seconds(self.at),
            "region": region,
            "resources": [resource],
            "detail": detail,
        })
    }

    fn id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.number)
    }
}
