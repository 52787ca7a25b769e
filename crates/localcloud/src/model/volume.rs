//! CreateVolume and DeleteVolume.

use bakehouse_protocol::{Region, Timestamp, VolumeId};

use super::{
    check::{check_tags, check_token},
    encryption::{Encryption, made_from},
    errors::{incomplete, mismatch, no_snapshot, no_volume},
    record::{Ready, SnapshotRecord, Token, VolumeRecord},
    state::{Model, RegionState},
};
use crate::{
    ApiError,
    request::{CreateVolume, DeleteVolume},
    resource::{SnapshotState, Volume, VolumeState},
};

/// The largest size of each volume type, in GiB (EBS volume types, 2026).
fn max_gib(volume_type: &str) -> Option<u32> {
    match volume_type {
        "standard" => Some(1024),
        "gp2" | "io1" | "st1" | "sc1" => Some(16_384),
        "gp3" | "io2" => Some(65_536),
        _ => None,
    }
}

/// Checks what only some volume types take, and what needs a snapshot.
fn check_performance(volume_type: &str, request: &CreateVolume) -> Result<(), ApiError> {
    let combination = |message: String| Err(ApiError::new("InvalidParameterCombination", message));
    let value = |message: &str| Err(ApiError::new("InvalidParameterValue", message.to_owned()));
    match (request.iops, volume_type) {
        (None, "io1" | "io2") => {
            let message = format!("The parameter iops must be specified for {volume_type} volumes.");
            return Err(ApiError::new("MissingParameter", message));
        }
        (Some(_), "io1" | "io2" | "gp3") | (None, _) => {}
        (Some(_), _) => return combination(format!("The parameter iops is not supported for {volume_type} volumes.")),
    }
    match (request.throughput, volume_type) {
        (None, _) | (Some(125..=2000), "gp3") => {}
        (Some(_), "gp3") => return value("Throughput must be between 125 and 2000 MiB/s."),
        (Some(_), _) => {
            return combination(format!("The parameter throughput is not supported for {volume_type} volumes."));
        }
    }
    match (request.volume_initialization_rate, &request.snapshot_id) {
        (None, _) | (Some(100..=300), Some(_)) => Ok(()),
        (Some(_), None) => combination("The parameter VolumeInitializationRate needs a snapshot.".to_owned()),
        (Some(_), Some(_)) => value("VolumeInitializationRate must be between 100 and 300 MiB/s."),
    }
}

/// Whether a zone is in a region: the region's name and one letter.
fn is_in_region(zone: &str, region: &str) -> bool {
    zone.strip_prefix(region).is_some_and(|letter| matches!(letter.as_bytes(), [b'a'..=b'f']))
}

impl RegionState {
    /// A volume that is not deleted.
    pub(super) fn volume(&mut self, id: &VolumeId, now: Timestamp) -> Result<&mut VolumeRecord, ApiError> {
        self.volumes.get_mut(id).filter(|it| !it.is_gone(now)).ok_or_else(|| no_volume(id))
    }
}

impl Model {
    /// CreateVolume. The same client token returns the same volume, as it is now.
    ///
    /// # Errors
    /// As [`crate::Ec2::create_volume`].
    pub fn create_volume(
        &mut self,
        now: Timestamp,
        region: &Region,
        request: &CreateVolume,
    ) -> Result<Volume, ApiError> {
        let now = self.advance(now);
        if self.is_foreign() {
            let message = "The embedded cloud has volumes of its own account only.";
            return Err(ApiError::new("OperationNotPermitted", message));
        }
        check_token(request.client_token.as_ref())?;
        if let Some(volume) = self.volume_by_token(now, region, request)? {
            return Ok(volume);
        }
        check_tags(&request.tags)?;
        if !is_in_region(request.availability_zone.as_str(), region.as_str()) {
            return Err(ApiError::new(
                "InvalidZone.NotFound",
                format!("The zone '{}' does not exist.", request.availability_zone),
            ));
        }
        let size = self.volume_size(now, region, request)?;
        let volume_type = request.volume_type.clone().unwrap_or_else(|| "gp2".to_owned());
        let max = max_gib(&volume_type)
            .ok_or_else(|| ApiError::new("UnknownVolumeType", format!("Unsupported volume type '{volume_type}'.")))?;
        if size == 0 || size > max {
            return Err(ApiError::new(
                "InvalidParameterValue",
                format!("Volume of {size}GiB is invalid: must be 1GiB to {max}GiB for volume type {volume_type}."),
            ));
        }
        check_performance(&volume_type, request)?;
        let encryption = self.volume_encryption(region, request)?;
        let facts = Volume {
            volume_id: self.ids.next("vol-")?,
            snapshot_id: request.snapshot_id.clone(),
            size,
            volume_type,
            iops: request.iops,
            throughput: request.throughput,
            encrypted: encryption.encrypted,
            kms_key_id: encryption.kms_key_id,
            volume_initialization_rate: request.volume_initialization_rate,
            availability_zone: request.availability_zone.clone(),
            state: VolumeState::Creating,
            create_time: now,
            attachments: Vec::new(),
            tags: request.tags.clone(),
        };
        let record = VolumeRecord {
            ready: Ready::At(now + self.delays.create_volume),
            attachment: None,
            mounted: false,
            last_snapshot: None,
            gone_at: None,
            facts: facts.clone(),
        };
        let state = self.region_mut(region)?;
        if let Some(token) = &request.client_token {
            let entry = Token { request: request.clone(), id: facts.volume_id.clone(), at: now };
            state.volume_tokens.insert(token.clone(), entry);
        }
        state.volumes.insert(facts.volume_id.clone(), record);
        // EC2 answers `creating` even if the volume is available at once.
        Ok(facts)
    }

    fn volume_encryption(&self, region: &Region, request: &CreateVolume) -> Result<Encryption, ApiError> {
        let snapshots = &self.region(region)?.snapshots;
        let snapshot = request.snapshot_id.as_ref().and_then(|id| snapshots.get(id));
        let source = snapshot.map(SnapshotRecord::encryption).unwrap_or_default();
        made_from(&source, request.encrypted, request.kms_key_id.as_ref(), true)
    }

    fn volume_by_token(
        &self,
        now: Timestamp,
        region: &Region,
        request: &CreateVolume,
    ) -> Result<Option<Volume>, ApiError> {
        let state = self.region(region)?;
        let Some(token) = request.client_token.as_ref().and_then(|token| state.volume_tokens.get(token)) else {
            return Ok(None);
        };
        // Neither region nor zone counts as a parameter (EC2's guide on idempotency).
        let same_zone = CreateVolume { availability_zone: token.request.availability_zone.clone(), ..request.clone() };
        if same_zone != token.request {
            return Err(mismatch());
        }
        Ok(state.volumes.get(&token.id).map(|it| it.view(now)))
    }

    fn volume_size(&self, now: Timestamp, region: &Region, request: &CreateVolume) -> Result<u32, ApiError> {
        let Some(id) = &request.snapshot_id else {
            return request.size.ok_or_else(|| {
                ApiError::new("MissingParameter", "The request must contain the parameter size/snapshot")
            });
        };
        let snapshots = &self.region(region)?.snapshots;
        let snapshot =
            snapshots.get(id).filter(|it| !it.is_gone(now) && self.may_read(it)).ok_or_else(|| no_snapshot(id))?;
        match snapshot.state(now) {
            SnapshotState::Completed => {}
            state => return Err(incomplete(state)),
        }
        let minimum = snapshot.facts.volume_size;
        match request.size {
            Some(size) if size < minimum => Err(ApiError::new(
                "InvalidParameterValue",
                format!("Volume of {size}GiB is smaller than snapshot '{id}', expect size >= {minimum}GiB"),
            )),
            Some(size) => Ok(size),
            None => Ok(minimum),
        }
    }

    /// DeleteVolume.
    ///
    /// # Errors
    /// As [`crate::Ec2::delete_volume`].
    pub fn delete_volume(&mut self, now: Timestamp, region: &Region, request: &DeleteVolume) -> Result<(), ApiError> {
        let now = self.advance(now);
        let gone_at = now + self.delays.delete_volume;
        let volume = self.region_mut(region)?.volume(&request.volume_id, now)?;
        match (volume.state(now), volume.attached(now)) {
            (VolumeState::InUse, Some(attachment)) => Err(ApiError::new(
                "VolumeInUse",
                format!("Volume {} is currently attached to {}", request.volume_id, attachment.instance),
            )),
            (VolumeState::Available | VolumeState::Error, _) => {
                volume.gone_at = Some(gone_at);
                Ok(())
            }
            (state, _) => Err(ApiError::new(
                "IncorrectState",
                format!("Volume '{}' is in the '{state}' state.", request.volume_id),
            )),
        }
    }
}
