//! The work volume: created, attached, detached and deleted.

use bakehouse_ec2::{
    Ec2, request,
    resource::{AttachmentState, VolumeState},
};
use bakehouse_machine::{Fault, event::VolumeStatus, in_region::InRegion};
use bakehouse_protocol::{DeviceName, InstanceId, Region, VolumeId};

use super::{Cloud, call_fault};
use crate::ports::{Keys, Parameters};

impl<E: Ec2, P: Parameters + Keys> Cloud<E, P> {
    /// Creates the work volume, once for each client token.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn ensure_volume(&self, create: &InRegion<request::CreateVolume>) -> Result<VolumeId, Fault> {
        let InRegion { region, request } = create;
        let volume = self.0.create_volume(&region.region, request.clone()).await;
        Ok(volume.map_err(call_fault("CreateVolume", &request.availability_zone))?.volume_id)
    }

    /// Returns a volume's status.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn describe_volume(&self, region: &Region, id: &VolumeId) -> Result<VolumeStatus, Fault> {
        let volume = self.volume(region, id).await?;
        Ok(match volume.state {
            VolumeState::Creating => VolumeStatus::Creating,
            VolumeState::Available => VolumeStatus::Available,
            VolumeState::Error => VolumeStatus::Error,
            VolumeState::InUse => match volume.attachments.first().map(|attachment| attachment.state) {
                Some(AttachmentState::Attached) => VolumeStatus::Attached,
                Some(AttachmentState::Detaching | AttachmentState::Detached) => VolumeStatus::Detaching,
                Some(AttachmentState::Busy) => VolumeStatus::Busy,
                // `in-use` without a visible attachment: not visible yet.
                Some(AttachmentState::Attaching) | None => VolumeStatus::Attaching,
            },
            _ => VolumeStatus::Deleted,
        })
    }

    /// Attaches a volume; success if it is attached there already.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn attach_volume(
        &self,
        region: &Region,
        id: &VolumeId,
        instance: &InstanceId,
        device: &DeviceName,
    ) -> Result<(), Fault> {
        let request =
            request::AttachVolume { volume_id: id.clone(), instance_id: instance.clone(), device: device.clone() };
        let Err(error) = self.0.attach_volume(region, request).await else { return Ok(()) };
        if error.code == "VolumeInUse" {
            let attached = self.volume(region, id).await?.attachments;
            if attached.iter().any(|it| &it.instance_id == instance && &it.device == device) {
                return Ok(());
            }
        }
        Err(call_fault("AttachVolume", id)(error))
    }

    /// Starts to detach a volume; success if it is detached already.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn detach_volume(&self, region: &Region, id: &VolumeId) -> Result<(), Fault> {
        let request = request::DetachVolume { volume_id: id.clone(), instance_id: None };
        match self.0.detach_volume(region, request).await {
            Ok(_) => Ok(()),
            // Detaching already, or detached: the next DescribeVolumes shows which.
            Err(error) if error.code == "IncorrectState" => match self.volume(region, id).await?.state {
                VolumeState::InUse | VolumeState::Available => Ok(()),
                _ => Err(call_fault("DetachVolume", id)(error)),
            },
            Err(error) => Err(call_fault("DetachVolume", id)(error)),
        }
    }

    /// Deletes a volume.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn delete_volume(&self, region: &Region, id: &VolumeId) -> Result<(), Fault> {
        let request = request::DeleteVolume { volume_id: id.clone() };
        match self.0.delete_volume(region, request).await {
            Err(error)
                if error.code == "IncorrectState" && self.volume(region, id).await?.state == VolumeState::Deleting =>
            {
                Ok(())
            }
            other => other.map_err(call_fault("DeleteVolume", id)),
        }
    }
}
