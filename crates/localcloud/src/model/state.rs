//! [`Model`]: an account's regions and what they hold. The calls are in the modules beside this one.

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};

use super::{
    delays::Delays,
    errors::no_region,
    ids::Ids,
    record::{DeviceHold, ImageRecord, InstanceRecord, SnapshotRecord, Token, VolumeRecord},
};
use crate::{
    ApiError,
    request::{CopyImage, CreateVolume},
};

/// One account's view of EC2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The account that calls.
    pub(super) account: String,
    pub(super) ids: Ids,
    pub(super) delays: Delays,
    /// The latest moment seen. A clock that goes back does not take states back.
    latest: Timestamp,
    pub(super) regions: BTreeMap<Region, RegionState>,
}

/// What one region holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RegionState {
    pub(super) instances: BTreeMap<InstanceId, InstanceRecord>,
    pub(super) volumes: BTreeMap<VolumeId, VolumeRecord>,
    pub(super) snapshots: BTreeMap<SnapshotId, SnapshotRecord>,
    pub(super) images: BTreeMap<ImageId, ImageRecord>,
    /// Client tokens of CreateVolume.
    pub(super) volume_tokens: BTreeMap<String, Token<CreateVolume, VolumeId>>,
    /// Client tokens of CopyImage.
    pub(super) copy_tokens: BTreeMap<String, Token<CopyImage, ImageId>>,
    /// Device names that stay taken for a while after a detach.
    pub(super) device_holds: Vec<DeviceHold>,
    /// Names of deregistered images that stay taken for a while.
    pub(super) name_holds: BTreeMap<String, Timestamp>,
    pub(super) deregistered: BTreeSet<ImageId>,
}

impl Model {
    /// An empty account in these regions.
    pub fn new(
        account: impl Into<String>,
        regions: impl IntoIterator<Item = Region>,
        seed: u64,
        delays: Delays,
    ) -> Self {
        Self {
            account: account.into(),
            ids: Ids::new(seed),
            delays,
            latest: Timestamp::default(),
            regions: regions.into_iter().map(|region| (region, RegionState::default())).collect(),
        }
    }

    /// The account that calls.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Makes the ids from now on differ from those that this same state has given, or gives, with another salt. For a
    /// state that is kept in a file: an older one that is put back must not give the ids of what was made after it once
    /// more. The salt is not written with the state.
    pub fn salt_ids(&mut self, salt: u64) {
        self.ids.salt = salt;
    }

    /// How long things take from now on; what is under way keeps its times.
    pub fn set_delays(&mut self, delays: Delays) {
        self.delays = delays;
    }

    /// The regions there are.
    pub fn describe_regions(&self) -> Vec<Region> {
        self.regions.keys().cloned().collect()
    }

    /// Takes note of the time, forgets what is over, and returns the moment to work with.
    pub(super) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        let now = self.latest;
        for region in self.regions.values_mut() {
            region.forget(now);
        }
        now
    }

    /// The moment to work with where nothing is changed.
    pub(super) fn at(&self, now: Timestamp) -> Timestamp {
        self.latest.max(now)
    }

    pub(super) fn region(&self, region: &Region) -> Result<&RegionState, ApiError> {
        self.regions.get(region).ok_or_else(|| no_region(region))
    }

    pub(super) fn region_mut(&mut self, region: &Region) -> Result<&mut RegionState, ApiError> {
        self.regions.get_mut(region).ok_or_else(|| no_region(region))
    }
}

impl RegionState {
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.volume_tokens.retain(|_, token| token.remembered(now));
        self.copy_tokens.retain(|_, token| token.remembered(now));
        let tokens = &self.volume_tokens;
        self.volumes.retain(|id, volume| !volume.gone(now) || tokens.values().any(|token| &token.id == id));
        self.snapshots.retain(|_, snapshot| !snapshot.gone(now));
        self.device_holds.retain(|hold| hold.until > now);
        self.name_holds.retain(|_, until| *until > now);
    }
}
