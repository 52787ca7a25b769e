//! AttachVolume and DetachVolume. A device name of an instance can be attached to once.

use bakehouse_protocol::{DeviceName, InstanceId, Region, Timestamp};

use super::{
    errors::{no_instance, no_volume},
    record::{AttachmentRecord, Detach},
    state::{Model, RegionState},
};
use crate::{
    ApiError,
    request::{AttachVolume, DetachVolume},
    resource::{AttachmentState, InstanceState, VolumeAttachment, VolumeState},
};

/// The part of a name that identifies the slot: `f` for both `/dev/sdf` and `/dev/xvdf`, which exclude each other.
fn slot(device: &DeviceName) -> &str {
    let name = device.as_str().trim_start_matches("/dev/");
    name.strip_prefix("xvd").or_else(|| name.strip_prefix("sd")).unwrap_or(name)
}

/// Whether HVM instances accept the name (EC2 guide, "Device naming"): `sd[a-z]`, `xvd[a-z]`, `xvd[a-c][a-z]`,
/// `xvdd[a-x]`.
fn is_valid(device: &DeviceName) -> bool {
    let long = device.as_str().starts_with("/dev/xvd");
    match slot(device).as_bytes() {
        [b'a'..=b'z'] => true,
        [b'a'..=b'c', b'a'..=b'z'] | [b'd', b'a'..=b'x'] => long,
        _ => false,
    }
}

impl RegionState {
    fn is_taken(&self, instance: &InstanceId, device: &DeviceName, now: Timestamp) -> bool {
        let same = |other: &DeviceName| slot(other) == slot(device);
        let attached = self.volumes.values().filter_map(|volume| volume.attached(now));
        attached.filter(|it| &it.instance == instance).any(|it| same(&it.device))
            || self.device_holds.iter().any(|hold| &hold.instance == instance && same(&hold.device) && hold.until > now)
            || self.instances.get(instance).is_some_and(|it| it.reserved.iter().any(same))
    }
}

impl Model {
    /// AttachVolume.
    ///
    /// # Errors
    /// As [`crate::Ec2::attach_volume`].
    pub fn attach_volume(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &AttachVolume,
    ) -> Result<VolumeAttachment, ApiError> {
        let now = self.advance(now);
        let attached_at = now + self.delays.attach;
        let AttachVolume { volume_id, instance_id, device } = request;
        let state = self.region_mut(region)?;
        let instance = state.instances.get(instance_id).ok_or_else(|| no_instance(instance_id))?.clone();
        if !is_valid(device) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Value ({device}) for parameter device is invalid. {device} is not a valid EBS device name."),
            ));
        }
        let volume = state.volume(volume_id, now)?;
        match volume.state(now) {
            VolumeState::Available => {}
            VolumeState::InUse => {
                return Err(ApiError::new("VolumeInUse", format!("{volume_id} is already attached to an instance")));
            }
            _ => {
                return Err(ApiError::new("IncorrectState", format!("{volume_id} is not 'available'.")));
            }
        }
        if volume.facts.availability_zone != instance.facts.availability_zone {
            return Err(ApiError::new(
                "InvalidVolume.ZoneMismatch",
                format!("The volume '{volume_id}' is not in the same availability zone as instance '{instance_id}'"),
            ));
        }
        if !matches!(instance.state(now), InstanceState::Running | InstanceState::Stopped) {
            return Err(ApiError::new("IncorrectState", format!("Instance '{instance_id}' is not 'running'.")));
        }
        if state.is_taken(instance_id, device, now) {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"),
            ));
        }
        let attachments = state.volumes.values().filter_map(|it| it.attached(now));
        if attachments.filter(|it| it.instance == *instance_id).count() >= instance.limit {
            return Err(ApiError::new(
                "AttachmentLimitExceeded",
                format!("Instance {instance_id} has reached its limit of {} volumes", instance.limit),
            ));
        }
        let volume = state.volume(volume_id, now)?;
        volume.attachment = Some(AttachmentRecord {
            instance: instance_id.clone(),
            device: device.clone(),
            attach_time: now,
            attached_at,
            detach: None,
            owner: None,
        });
        Ok(VolumeAttachment {
            volume_id: volume_id.clone(),
            instance_id: instance_id.clone(),
            device: device.clone(),
            state: AttachmentState::Attaching,
            attach_time: now,
        })
    }

    /// DetachVolume. A mounted volume becomes `busy` and is detached when it is unmounted ([`Model::set_mounted`]).
    ///
    /// # Errors
    /// As [`crate::Ec2::detach_volume`].
    pub fn detach_volume(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &DetachVolume,
    ) -> Result<VolumeAttachment, ApiError> {
        self.detach(now, region, request, None)
    }

    /// DetachVolume, where the caller knows whether the volume is mounted.
    ///
    /// # Errors
    /// As [`crate::Ec2::detach_volume`].
    pub fn detach_volume_as(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &DetachVolume,
        mounted: bool,
    ) -> Result<VolumeAttachment, ApiError> {
        self.detach(now, region, request, Some(mounted))
    }

    fn detach(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &DetachVolume,
        mounted: Option<bool>,
    ) -> Result<VolumeAttachment, ApiError> {
        let now = self.advance(now);
        let DetachVolume { volume_id, instance_id } = request;
        let delays = self.delays;
        let state = self.region_mut(region)?;
        let volume = state.volume(volume_id, now)?;
        let volume_state = volume.state(now);
        let mounted = mounted.unwrap_or(volume.mounted);
        let Some(attachment) = volume.attachment.as_mut().filter(|_| volume_state == VolumeState::InUse) else {
            return Err(ApiError::new(
                "IncorrectState",
                format!("Volume '{volume_id}' is in the '{volume_state}' state."),
            ));
        };
        if instance_id.as_ref().is_some_and(|id| *id != attachment.instance) {
            return Err(ApiError::new(
                "InvalidAttachment.NotFound",
                format!("The volume '{volume_id}' is not attached to the instance given"),
            ));
        }
        match attachment.detach {
            Some(Detach::At(_)) => {
                return Err(ApiError::new(
                    "IncorrectState",
                    format!("Volume '{volume_id}' is in the 'detaching' state."),
                ));
            }
            _ if mounted => attachment.detach = Some(Detach::Busy),
            _ => {
                let hold = attachment.start_detach(now, &delays);
                state.device_holds.push(hold);
            }
        }
        let volume = state.volume(volume_id, now)?;
        volume.mounted = mounted;
        let attachment = volume.attachment.as_ref();
        attachment
            .map(|it| VolumeAttachment {
                volume_id: volume_id.clone(),
                instance_id: it.instance.clone(),
                device: it.device.clone(),
                // EC2 answers `detaching` even if it is detached at once.
                state: if it.detach == Some(Detach::Busy) { AttachmentState::Busy } else { AttachmentState::Detaching },
                attach_time: it.attach_time,
            })
            .ok_or_else(|| no_volume(volume_id))
    }
}
