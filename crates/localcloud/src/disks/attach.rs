//! Attaching and detaching: a loop device, its partitions, and a link by volume id.

use std::{fs, os::unix::fs::symlink, path::PathBuf, time::Duration};

use bakehouse_protocol::{Region, VolumeId};

use super::{
    cloud::LocalCloud,
    device::{self, LoopDevice},
    error::LocalError,
};
use crate::{
    request::{AttachVolume, DetachVolume},
    resource::{AttachmentState, Volume, VolumeAttachment},
};

/// How long a detach waits for those that only read a device briefly (as udev does), and for an unmount under way.
const PATIENCE: Duration = Duration::from_millis(500);

/// The name of a volume's link, as udev makes it on EC2: the model and the serial number, which is the id without its
/// dash.
const LINK_PREFIX: &str = "nvme-Amazon_Elastic_Block_Store_";

impl LocalCloud {
    /// The path of the link to a volume's device.
    pub fn link_path(&self, id: &VolumeId) -> PathBuf {
        self.by_id().join(format!("{LINK_PREFIX}{}", id.as_str().replacen('-', "", 1)))
    }

    pub(super) fn attach(&self, region: &Region, request: &AttachVolume) -> Result<VolumeAttachment, LocalError> {
        let id = &request.volume_id;
        let attachment = self.change(|model, now| {
            let attachment = model.attach_volume(now, region, request)?;
            model.set_attachment_owner(now, region, id, self.owner.clone())?;
            Ok(attachment)
        })?;
        let attached = LoopDevice::attach(&self.volume_path(id)).and_then(|device| {
            self.link(id, &device)?;
            self.add_names(id, &request.device, device.path()).inspect_err(|_| self.unlink(id))?;
            Ok(device)
        });
        match attached {
            Ok(device) => {
                self.devices().insert(id.clone(), device);
                Ok(attachment)
            }
            Err(error) => {
                // The first error is the one to report; an attachment that stays in the state ends with this process.
                let _ = self.change(|model, now| {
                    model.end_attachment(now, region, id);
                    Ok(())
                });
                Err(error)
            }
        }
    }

    /// Creates the link, or replaces a stale one, atomically.
    fn link(&self, id: &VolumeId, device: &LoopDevice) -> Result<(), LocalError> {
        let link = self.link_path(id);
        let temporary = self.by_id().join(format!(".{id}.{}", self.owner.pid));
        // It may exist from an earlier process with this number.
        let _ = fs::remove_file(&temporary);
        symlink(device.path(), &temporary).map_err(LocalError::io("creating", &temporary))?;
        fs::rename(&temporary, &link).map_err(LocalError::io("creating", &link))
    }

    pub(super) fn unlink(&self, id: &VolumeId) {
        self.remove_names(id);
        // If it can't be removed it is stale, and a sweep finds it.
        let _ = fs::remove_file(self.link_path(id));
    }

    pub(super) fn detach(&self, region: &Region, request: &DetachVolume) -> Result<VolumeAttachment, LocalError> {
        let id = &request.volume_id;
        // Detaching the device can't be undone, so the call is first checked on a copy of the model.
        self.view()?.detach_volume(self.now(), region, request)?;
        let free = self.detach_device(id, PATIENCE)?;
        self.change(|model, now| Ok(model.detach_volume_as(now, region, request, !free)?))
    }

    /// Detaches a volume's device; false if it is in use.
    fn detach_device(&self, id: &VolumeId, patience: Duration) -> Result<bool, LocalError> {
        let Some(mut device) = self.devices().remove(id) else {
            return self.detach_device_of_other(id);
        };
        let prepared = match device.users(patience) {
            None => device.prepare_detach().map(|()| true),
            Some(_) => Ok(false),
        };
        match prepared {
            Ok(true) => {
                device.detach()?;
                self.unlink(id);
                return Ok(true);
            }
            Ok(false) => {}
            // It came into use meanwhile.
            Err(LocalError::Io { source, .. }) if source.raw_os_error() == Some(nix::libc::EBUSY) => {}
            Err(error) => {
                self.devices().insert(id.clone(), device);
                return Err(error);
            }
        }
        self.devices().insert(id.clone(), device);
        Ok(false)
    }

    /// Detaches the device of a volume that another process attached.
    fn detach_device_of_other(&self, id: &VolumeId) -> Result<bool, LocalError> {
        let path = self.volume_path(id);
        for found in device::loops_under(&self.dir).iter().filter(|it| it.backing == path) {
            match device::detach_unused(found) {
                Ok(()) => {}
                Err(LocalError::Busy { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.unlink(id);
        Ok(true)
    }

    /// Continues detaches that were busy and no longer are, as EC2 does by itself. Returns whether there were any.
    pub(super) fn settle_busy(&self, region: &Region, volumes: &[Volume]) -> Result<bool, LocalError> {
        let mut settled = false;
        let busy = |it: &&Volume| it.attachments.iter().any(|it| it.state == AttachmentState::Busy);
        for volume in volumes.iter().filter(busy) {
            if self.detach_device(&volume.volume_id, Duration::ZERO)? {
                self.change(|model, now| Ok(model.set_mounted(now, region, &volume.volume_id, false)?))?;
                settled = true;
            }
        }
        Ok(settled)
    }
}
