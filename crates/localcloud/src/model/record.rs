//! The record of each resource: its facts and times. The state at a moment is computed from them.

use std::collections::BTreeSet;

use bakehouse_protocol::{DeviceName, InstanceId, Millis, Timestamp};
use serde::{Deserialize, Serialize};

use super::{delays::Delays, encryption::Encryption, protection::Protection};
use crate::resource::{
    AttachmentState, Image, ImageState, Instance, InstanceState, Snapshot, SnapshotState, Volume, VolumeAttachment,
    VolumeState,
};

/// EC2 does not document how long a client token is valid here; for other calls it is a day.
const TOKEN_AGE: Millis = Millis::minutes(24 * 60);

/// A process, distinguished from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
    /// The id of that boot.
    pub boot: String,
}

/// When a resource is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ready {
    /// From this time on.
    At(Timestamp),
    /// When this process has finished copying its disk.
    Held(Owner),
    /// Never, for this reason.
    Failed(String),
}

impl Ready {
    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        matches!(self, Self::At(at) if *at <= now)
    }

    pub(super) fn is_pending(&self, now: Timestamp) -> bool {
        match self {
            Self::At(at) => *at > now,
            Self::Held(_) => true,
            Self::Failed(_) => false,
        }
    }
}

/// A client token: the request that it was used for and the resource that was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token<R, I> {
    pub(super) request: R,
    pub(super) id: I,
    pub(super) at: Timestamp,
}

impl<R, I> Token<R, I> {
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        now.since(self.at) < TOKEN_AGE
    }
}

/// A device name that is not free yet although nothing is attached there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceHold {
    /// The instance.
    pub instance: InstanceId,
    /// The device name.
    pub device: DeviceName,
    /// When it is free.
    pub until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InstanceRecord {
    /// Its `state` is the one before `change`.
    pub(super) facts: Instance,
    /// The time and the state of its next change.
    #[serde(default)]
    pub(super) change: Option<(Timestamp, InstanceState)>,
    /// How many volumes may be attached.
    pub(super) limit: usize,
    /// Device names that are taken although describe calls do not show them.
    pub(super) reserved: BTreeSet<DeviceName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VolumeRecord {
    /// Its `state` and `attachments` are not kept up to date.
    pub(super) facts: Volume,
    pub(super) ready: Ready,
    pub(super) attachment: Option<AttachmentRecord>,
    /// Whether it is mounted: then a detach stays `busy`.
    pub(super) mounted: bool,
    pub(super) last_snapshot: Option<Timestamp>,
    pub(super) gone_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AttachmentRecord {
    pub(super) instance: InstanceId,
    pub(super) device: DeviceName,
    /// When AttachVolume was called.
    #[serde(alias = "asked")]
    pub(super) attach_time: Timestamp,
    pub(super) attached_at: Timestamp,
    pub(super) detach: Option<Detach>,
    /// The process that keeps the device open, if there is one.
    pub(super) owner: Option<Owner>,
}

impl AttachmentRecord {
    /// Starts to detach, and returns the hold that keeps the device name taken a while longer.
    pub(super) fn start_detach(&mut self, now: Timestamp, delays: &Delays) -> DeviceHold {
        let gone_at = now + delays.detach;
        self.detach = Some(Detach::At(gone_at));
        DeviceHold {
            instance: self.instance.clone(),
            device: self.device.clone(),
            until: gone_at + delays.device_release,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Detach {
    /// DetachVolume was called, but it is mounted.
    Busy,
    /// Detached at this time.
    At(Timestamp),
}

impl AttachmentRecord {
    pub(super) fn state(&self, now: Timestamp) -> AttachmentState {
        match self.detach {
            Some(Detach::At(at)) if at <= now => AttachmentState::Detached,
            Some(Detach::At(_)) => AttachmentState::Detaching,
            Some(Detach::Busy) => AttachmentState::Busy,
            None if self.attached_at > now => AttachmentState::Attaching,
            None => AttachmentState::Attached,
        }
    }
}

impl VolumeRecord {
    pub(super) fn state(&self, now: Timestamp) -> VolumeState {
        match (self.gone_at, &self.ready) {
            (Some(at), _) if at <= now => VolumeState::Deleted,
            (Some(_), _) => VolumeState::Deleting,
            (None, Ready::Failed(_)) => VolumeState::Error,
            (None, ready) if ready.is_pending(now) => VolumeState::Creating,
            (None, _) if self.attached(now).is_some() => VolumeState::InUse,
            (None, _) => VolumeState::Available,
        }
    }

    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.state(now) == VolumeState::Deleted
    }

    /// The attachment, if there is one now.
    pub(super) fn attached(&self, now: Timestamp) -> Option<&AttachmentRecord> {
        self.attachment.as_ref().filter(|attachment| attachment.state(now) != AttachmentState::Detached)
    }

    pub(super) fn attachment_view(&self, now: Timestamp) -> Option<VolumeAttachment> {
        self.attached(now).map(|attachment| VolumeAttachment {
            volume_id: self.facts.volume_id.clone(),
            instance_id: attachment.instance.clone(),
            device: attachment.device.clone(),
            state: attachment.state(now),
            attach_time: attachment.attach_time,
        })
    }

    pub(super) fn view(&self, now: Timestamp) -> Volume {
        Volume {
            state: self.state(now),
            attachments: self.attachment_view(now).into_iter().collect(),
            ..self.facts.clone()
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotRecord {
    /// Its `state`, `state_message` and `progress` are not kept up to date.
    pub(super) facts: Snapshot,
    pub(super) ready: Ready,
    /// It is removed as soon as it is no longer pending.
    pub(super) deleted: bool,
}

impl SnapshotRecord {
    pub(super) fn encryption(&self) -> Encryption {
        Encryption { encrypted: self.facts.encrypted, kms_key_id: self.facts.kms_key_id.clone() }
    }

    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        self.deleted && !self.ready.is_pending(now)
    }

    pub(super) fn state(&self, now: Timestamp) -> SnapshotState {
        match &self.ready {
            Ready::Failed(_) => SnapshotState::Error,
            ready if ready.is_ready(now) => SnapshotState::Completed,
            _ => SnapshotState::Pending,
        }
    }

    fn percent(&self, now: Timestamp) -> u64 {
        match self.ready {
            Ready::At(at) if at <= now => 100,
            Ready::At(at) => {
                let whole = at.since(self.facts.start_time).0.max(1);
                (now.since(self.facts.start_time).0 * 100 / whole).min(99)
            }
            Ready::Held(_) | Ready::Failed(_) => 0,
        }
    }

    pub(super) fn view(&self, now: Timestamp) -> Snapshot {
        Snapshot {
            state: self.state(now),
            state_message: match &self.ready {
                Ready::Failed(reason) => Some(reason.clone()),
                Ready::At(_) | Ready::Held(_) => None,
            },
            progress: format!("{}%", self.percent(now)),
            ..self.facts.clone()
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    /// Its `state`, `state_reason` and `deregistration_protection` are not kept up to date.
    pub(super) facts: Image,
    pub(super) created: Timestamp,
    pub(super) ready: Ready,
    #[serde(default)]
    pub(super) protection: Protection,
}

impl ImageRecord {
    pub(super) fn state(&self, now: Timestamp) -> ImageState {
        match &self.ready {
            Ready::Failed(_) => ImageState::Failed,
            ready if ready.is_ready(now) => ImageState::Available,
            _ => ImageState::Pending,
        }
    }

    pub(super) fn view(&self, now: Timestamp) -> Image {
        Image {
            deregistration_protection: self.protection.describe(now).to_owned(),
            state: self.state(now),
            state_reason: match &self.ready {
                Ready::Failed(reason) => Some(reason.clone()),
                Ready::At(_) | Ready::Held(_) => None,
            },
            ..self.facts.clone()
        }
    }

    /// Whether `account` may see and launch it. The embedded cloud knows of no organization's members.
    pub(super) fn visible_to(&self, account: &str) -> bool {
        self.facts.owner_id == account || self.facts.public() || self.facts.launch_permission.users.contains(account)
    }
}
