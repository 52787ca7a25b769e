//! What EventBridge would tell: a volume became available, a snapshot was completed, an image became available, an
//! instance stopped.
//!
//! The server looks after what the calls to it have begun, until it has come to its end. What others do to the same
//! cloud is not told, as EventBridge may lose any of these too: they are hints.

use pollster::FutureExt as _;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use bakehouse_ec2::resource::{ImageState, InstanceState, Snapshot, SnapshotState, VolumeState};
use bakehouse_protocol::{Millis, Region, Timestamp};
use serde_json::{Value, json};

use crate::{
    EmbeddedCloud,
    http::call::Begun,
    request::{DescribeImages, DescribeInstances, DescribeSnapshots, DescribeVolumes},
    timestamp::{iso8601, iso8601_seconds},
};

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

    /// An instance.
    Instance {
        /// Which.
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

/// One thing that is under way.
#[derive(Clone, Debug)]
struct Open {
    region: Region,
    begun: Begun,
    since: Timestamp,
}

/// How long a thing that the cloud does not know may still come to be known.
const UNKNOWN: Millis = Millis::minutes(5);

/// How many notifications are kept for whoever asks later.
const KEPT: usize = 10_000;

/// What is under way, and what was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    open: Vec<Open>,
    count: u64,
    kept: VecDeque<Notification>,
}

impl Told {
    pub(crate) fn begun(&mut self, at: Timestamp, region: &Region, begun: Vec<Begun>) {
        self.open.extend(begun.into_iter().map(|begun| Open { region: region.clone(), begun, since: at }));
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.open.is_empty()
    }

    pub(crate) fn kept(&self) -> Vec<Notification> {
        self.kept.iter().cloned().collect()
    }

    /// Looks once at all that is under way, and tells what has come to its end. `told` is not held while the cloud is
    /// asked, so that calls go on meanwhile.
    pub(crate) fn look(
        told: &Mutex<Self>,
        cloud: &dyn EmbeddedCloud,
        account: &str,
        now: Timestamp,
    ) -> Vec<Notification> {
        let lock = || told.lock().unwrap_or_else(PoisonError::into_inner);
        let open = lock().open.clone();
        let standings: Vec<(Open, Standing)> = open
            .into_iter()
            .map(|open| {
                let standing = look(cloud, &open.region, &open.begun);
                (open, standing)
            })
            .collect();
        let mut told = lock();
        let mut new = Vec::new();
        for (open, standing) in standings {
            let ended = match standing {
                Standing::Open => None,
                Standing::Unknown if now.since(open.since) < UNKNOWN => None,
                Standing::Unknown => Some(None),
                Standing::Ended(change) => Some(Some(change)),
            };
            let Some(change) = ended else {
                continue;
            };
            told.open.retain(|it| it.begun != open.begun && !ends(&open.begun, &it.begun));
            if let Some(change) = change {
                told.count += 1;
                let number = told.count;
                let account = account.to_owned();
                let notification = Notification { at: now, account, region: open.region, change, number };
                if told.kept.len() == KEPT {
                    told.kept.pop_front();
                }
                told.kept.push_back(notification.clone());
                new.push(notification);
            }
        }
        new
    }
}

/// How a thing stands.
enum Standing {
    /// It is still on its way.
    Open,
    /// The cloud does not know it: not yet, or no more.
    Unknown,
    /// It has come to its end.
    Ended(Change),
}

/// Looks at one thing that is under way.
fn look(cloud: &dyn EmbeddedCloud, region: &Region, begun: &Begun) -> Standing {
    match begun {
        Begun::Volume(id) => {
            let ask = DescribeVolumes { volume_ids: vec![id.clone()], filters: Vec::new() };
            let volume = |event, result| Standing::Ended(Change::Volume { id: id.to_string(), event, result });
            match cloud.describe_volumes(region, ask).block_on().map(|all| all.first().map(|it| it.state)) {
                Ok(Some(VolumeState::Available | VolumeState::InUse)) => volume("createVolume", "available"),
                Ok(Some(VolumeState::Error)) => volume("createVolume", "failed"),
                Ok(Some(VolumeState::Creating)) => Standing::Open,
                _ => Standing::Unknown,
            }
        }
        Begun::Deletion(id) => {
            let ask = DescribeVolumes { volume_ids: vec![id.clone()], filters: Vec::new() };
            let gone = match cloud.describe_volumes(region, ask).block_on() {
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
            let Some(snapshot) = cloud.describe_snapshots(region, ask).block_on().ok().and_then(|mut all| all.pop())
            else {
                return Standing::Unknown;
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
            let Some(image) = cloud.describe_images(region, ask).block_on().ok().and_then(|mut all| all.pop()) else {
                return Standing::Unknown;
            };
            let state = match image.state {
                ImageState::Pending => return Standing::Open,
                ImageState::Available | ImageState::Failed => image.state.as_str(),
            };
            let message = image.state_reason.unwrap_or_default();
            Standing::Ended(Change::Image { id: id.to_string(), state, message })
        }
        Begun::Instance(id, to) => {
            let ask = DescribeInstances { instance_ids: vec![id.clone()], filters: Vec::new() };
            let Some(instance) = cloud.describe_instances(region, ask).ok().and_then(|mut all| all.pop()) else {
                return Standing::Unknown;
            };
            // It may have passed through a state between two looks.
            let is_past = matches!(
                (to, instance.state),
                (InstanceState::Pending, InstanceState::Running) | (InstanceState::Stopping, InstanceState::Stopped)
            );
            if instance.state != *to && !is_past {
                return Standing::Open;
            }
            Standing::Ended(Change::Instance { id: id.to_string(), state: to.as_str() })
        }
        Begun::Deregistered(id) => {
            Standing::Ended(Change::Image { id: id.to_string(), state: "deregistered", message: String::new() })
        }
    }
}

/// Whether the end of one thing makes waiting for another one pointless.
fn ends(ended: &Begun, other: &Begun) -> bool {
    match (ended, other) {
        (Begun::Deletion(gone), Begun::Volume(id)) => gone == id,
        (Begun::Deregistered(gone), Begun::Image(id)) => gone == id,
        // Started while it was still to stop, or the other way round.
        (Begun::Instance(id, InstanceState::Pending), Begun::Instance(other, InstanceState::Stopped))
        | (Begun::Instance(id, InstanceState::Stopping), Begun::Instance(other, InstanceState::Running)) => id == other,
        _ => false,
    }
}
