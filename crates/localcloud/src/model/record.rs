//! What is kept of each resource: facts and times. The state at a moment is worked out from them.

use std::collections::BTreeSet;

use bakehouse_protocol::{DeviceName, InstanceId, Millis, Timestamp};
use serde::{Deserialize, Serialize};

use super::delays::Delays;
use crate::resource::{
    AttachmentState, Image, ImageState, Instance, InstanceState, Snapshot, SnapshotState, Volume, VolumeAttachment,
    VolumeState,
};

/// EC2 does not say how long it remembers a client token; a day is what it states for other calls.
const TOKEN_AGE: Millis = Millis::minutes(24 * 60);

/// A process, told apart from a later one with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start: u64,
    /// Which boot that was.
    pub boot: String,
}

/// When a resource is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ready {
    /// From this moment on.
    At(Timestamp),
    /// When this process says so.
    Held(Owner),
    /// Never; why.
    Failed(String),
}

impl Ready {
    pub(super) fn is(&self, now: Timestamp) -> bool {
        matches!(self, Self::At(at) if *at <= now)
    }

    pub(super) fn pending(&self, now: Timestamp) -> bool {
        match self {
            Self::At(at) => *at > now,
            Self::Held(_) => true,
            Self::Failed(_) => false,
        }
    }
}

/// A client token and what it made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token<R, I> {
    pub(super) request: R,
    pub(super) id: I,
    pub(super) at: Timestamp,
}

impl<R, I> Token<R, I> {
    pub(super) fn remembered(&self, now: Timestamp) -> bool {
        now.since(self.at) < TOKEN_AGE
    }
}

/// A device name that is not free yet although nothing is attached there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceHold {
    /// The instance.
    pub instance: InstanceId,
    /// The name.
    pub device: DeviceName,
    /// From when on it is free.
    pub until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InstanceRecord {
    /// `state` in it is the one it had before `change`.
    pub(super) facts: Instance,
    /// From when on it is in another state.
    #[serde(default)]
    pub(super) change: Option<(Timestamp, InstanceState)>,
    /// How many volumes may be attached.
    pub(super) limit: usize,
    /// Names that are taken although describe calls show nothing there.
    pub(super) reserved: BTreeSet<DeviceName>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VolumeRecord {
    /// `state` and `attachments` in it are not kept up to date.
    pub(super) facts: Volume,
    pub(super) ready: Ready,
    pub(super) attachment: Option<AttachmentRecord>,
    /// Whether somebody has it mounted: then a detach stays `busy`.
    pub(super) mounted: bool,
    pub(super) last_snapshot: Option<Timestamp>,
    pub(super) gone_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AttachmentRecord {
    pub(super) instance: InstanceId,
    pub(super) device: DeviceName,
    pub(super) asked: Timestamp,
    pub(super) attached_at: Timestamp,
    pub(super) detach: Option<Detach>,
    /// The process that keeps the device open, where there is one.
    pub(super) owner: Option<Owner>,
}

impl AttachmentRecord {
    /// Begins the detaching; gives the hold that keeps the device name a while longer.
    pub(super) fn begin_to_go(&mut self, now: Timestamp, delays: &Delays) -> DeviceHold {
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
    /// Asked for, but it is mounted.
    Busy,
    /// Over at this moment.
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
            (None, ready) if ready.pending(now) => VolumeState::Creating,
            (None, _) if self.attached(now).is_some() => VolumeState::InUse,
            (None, _) => VolumeState::Available,
        }
    }

    pub(super) fn gone(&self, now: Timestamp) -> bool {
        self.state(now) == VolumeState::Deleted
    }

    /// The attachment, if there is one at this moment.
    pub(super) fn attached(&self, now: Timestamp) -> Option<&AttachmentRecord> {
        self.attachment.as_ref().filter(|attachment| attachment.state(now) != AttachmentState::Detached)
    }

    pub(super) fn attachment_view(&self, now: Timestamp) -> Option<VolumeAttachment> {
        self.attached(now).map(|attachment| VolumeAttachment {
            volume_id: self.facts.volume_id.clone(),
            instance_id: attachment.instance.clone(),
            device: attachment.device.clone(),
            state: attachment.state(now),
            attach_time: attachment.asked,
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
    /// `state`, `state_message` and `progress` in it are not kept up to date.
    pub(super) facts: Snapshot,
    pub(super) ready: Ready,
    /// It goes as soon as it is no longer pending.
    pub(super) deleted: bool,
}

impl SnapshotRecord {
    pub(super) fn gone(&self, now: Timestamp) -> bool {
        self.deleted && !self.ready.pending(now)
    }

    pub(super) fn state(&self, now: Timestamp) -> SnapshotState {
        match &self.ready {
            Ready::Failed(_) => SnapshotState::Error,
            ready if ready.is(now) => SnapshotState::Completed,
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
                Ready::Failed(why) => Some(why.clone()),
                Ready::At(_) | Ready::Held(_) => None,
            },
            progress: format!("{}%", self.percent(now)),
            ..self.facts.clone()
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    /// `state` and `state_reason` in it are not kept up to date.
    pub(super) facts: Image,
    pub(super) created: Timestamp,
    pub(super) ready: Ready,
}

impl ImageRecord {
    pub(super) fn state(&self, now: Timestamp) -> ImageState {
        match &self.ready {
            Ready::Failed(_) => ImageState::Failed,
            ready if ready.is(now) => ImageState::Available,
            _ => ImageState::Pending,
        }
    }

    pub(super) fn view(&self, now: Timestamp) -> Image {
        Image {
            state: self.state(now),
            state_reason: match &self.ready {
                Ready::Failed(why) => Some(why.clone()),
                Ready::At(_) | Ready::Held(_) => None,
            },
            ..self.facts.clone()
        }
    }

    /// Whether `account` may see and launch it.
    pub(super) fn visible_to(&self, account: &str) -> bool {
        self.facts.owner_id == account || self.facts.public() || self.facts.launch_permission.users.contains(account)
    }
}
