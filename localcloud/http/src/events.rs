//! What EventBridge would tell: a volume became available, a snapshot was completed, an image became available.
//!
//! The server looks after what the calls to it have begun, until it has come to its end. What others do to the same
//! cloud is not told, as EventBridge may lose any of these too: they are hints.

use bakehouse_ec2::{
    blocking::Ec2,
    request::{DescribeImages, DescribeSnapshots, DescribeVolumes},
    resource::{ImageState, Snapshot, SnapshotState, VolumeState},
};
use bakehouse_protocol::{Region, Timestamp};
use serde_json::{Value, json};

use crate::{actions::Begun, answer::iso};

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// When it was seen.
    pub at: Timestamp,
    /// Whose it is.
    pub account: String,
    /// Where it was.
    pub region: Region,
    /// What it was.
    pub change: Change,
    /// A number of its own, to make its id of.
    number: u64,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A volume: `createVolume` came to `available` or `failed`, `deleteVolume` to `deleted`.
    Volume {
        /// Which.
        id: String,
        /// As `createVolume`.
        event: &'static str,
        /// As `available`.
        result: &'static str,
    },
    /// A snapshot: `createSnapshot` came to `succeeded` or `failed`.
    Snapshot {
        /// Which, of which volume, from when.
        snapshot: Box<Snapshot>,
        /// As `succeeded`.
        result: &'static str,
    },
    /// An image.
    Image {
        /// Which.
        id: String,
        /// As `available`.
        state: &'static str,
        /// Why it failed, if it did.
        message: String,
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
                    "startTime": iso(snapshot.start_time),
                    "endTime": iso(self.at),
                });
                ("EBS Snapshot Notification", id, detail)
            }
            Change::Image { id, state, message } => (
                "EC2 AMI State Change",
                format!("arn:aws:ec2:{region}::image/{id}"),
                json!({ "RequestId": self.id(), "ImageId": id, "State": state, "ErrorMessage": message }),
            ),
        };
        json!({
            "version": "0",
            "id": self.id(),
            "detail-type": detail_type,
            "source": "aws.ec2",
            "account": account,
            // EventBridge tells whole seconds.
            "time": format!("{}Z", iso(self.at).get(..19).unwrap_or_default()),
            "region": region,
            "resources": [resource],
            "detail": detail,
        })
    }

    fn id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.number)
    }
}

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    open: Vec<(Region, Begun)>,
    told: u64,
}

impl UnderWay {
    pub(crate) fn add(&mut self, region: &Region, begun: Vec<Begun>) {
        self.open.extend(begun.into_iter().map(|it| (region.clone(), it)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What may have changed, to be looked at without holding anything.
    pub(crate) fn take(&mut self) -> Vec<(Region, Begun)> {
        std::mem::take(&mut self.open)
    }

    /// Tells a change.
    pub(crate) fn tell(&mut self, at: Timestamp, account: &str, region: Region, change: Change) -> Notification {
        self.told += 1;
        Notification { at, account: account.to_owned(), region, change, number: self.told }
    }
}

/// How a thing stands.
pub(crate) enum Standing {
    /// It is still on its way, or the cloud could not be asked.
    Open,
    /// It has come to its end.
    Ended(Change),
    /// It was removed before it came to its end; nobody is told.
    Gone,
}

/// Looks at one thing that is under way.
pub(crate) fn look(cloud: &dyn Ec2, region: &Region, begun: &Begun) -> Standing {
    match begun {
        Begun::Volume(id) => {
            let ask = DescribeVolumes { volume_ids: vec![id.clone()], filters: Vec::new() };
            let volume = |event, result| Standing::Ended(Change::Volume { id: id.to_string(), event, result });
            match cloud.describe_volumes(region, ask).map(|all| all.first().map(|it| it.state)) {
                Ok(Some(VolumeState::Available | VolumeState::InUse)) => volume("createVolume", "available"),
                Ok(Some(VolumeState::Error)) => volume("createVolume", "failed"),
                Ok(Some(VolumeState::Deleting | VolumeState::Deleted)) => Standing::Gone,
                // A fresh one may not be known yet.
                _ => Standing::Open,
            }
        }
        Begun::Deletion(id) => {
            let ask = DescribeVolumes { volume_ids: vec![id.clone()], filters: Vec::new() };
            let gone = match cloud.describe_volumes(region, ask) {
                Ok(all) => all.iter().all(|it| it.state == VolumeState::Deleted),
                Err(error) => error.code == "InvalidVolume.NotFound",
            };
            if gone {
                let change = Change::Volume { id: id.to_string(), event: "deleteVolume", result: "deleted" };
                return Standing::Ended(change);
            }
            Standing::Open
        }
        Begun::Snapshot(id) => {
            let ask = DescribeSnapshots { snapshot_ids: vec![id.clone()], ..DescribeSnapshots::default() };
            let Some(snapshot) = cloud.describe_snapshots(region, ask).ok().and_then(|mut all| all.pop()) else {
                return Standing::Open;
            };
            let result = match snapshot.state {
                SnapshotState::Pending => return Standing::Open,
                SnapshotState::Completed => "succeeded",
                SnapshotState::Error => "failed",
            };
            Standing::Ended(Change::Snapshot { snapshot: Box::new(snapshot), result })
        }
        Begun::Image(id) => {
            let ask = DescribeImages { image_ids: vec![id.clone()], ..DescribeImages::default() };
            let Some(image) = cloud.describe_images(region, ask).ok().and_then(|mut all| all.pop()) else {
                return Standing::Open;
            };
            let state = match image.state {
                ImageState::Pending => return Standing::Open,
                ImageState::Available | ImageState::Failed => image.state.as_str(),
            };
            let message = image.state_reason.unwrap_or_default();
            Standing::Ended(Change::Image { id: id.to_string(), state, message })
        }
        Begun::Deregistered(id) => Standing::Ended(Change::Image {
            id: id.to_string(),
            state: "deregistered",
            message: String::new(),
        }),
    }
}

/// Whether the end of one thing makes waiting for another one pointless.
pub(crate) fn ends(ended: &Begun, other: &Begun) -> bool {
    match (ended, other) {
        (Begun::Deletion(gone), Begun::Volume(id)) => gone == id,
        (Begun::Deregistered(gone), Begun::Image(id)) => gone == id,
        _ => false,
    }
}
