//! [`Model`]: the regions and their resources. The calls are in the sibling modules.

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

/// EC2 with the resources of all accounts. Images and snapshots have owners; volumes and instances are those of the
/// model's own account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The model's own account.
    account: String,
    /// The account that makes the next calls; absent: the model's own.
    #[serde(skip)]
    caller: Option<String>,
    pub(super) ids: Ids,
    pub(super) delays: Delays,
    /// The latest time that a call was made at. States are not reverted by a clock that goes back.
    latest: Timestamp,
    pub(super) regions: BTreeMap<Region, RegionState>,
}

/// The resources of one region.
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
    /// Device names that are not free yet after a detach.
    pub(super) device_holds: Vec<DeviceHold>,
    /// Names of deregistered images that are not free yet, after their account, and until when.
    pub(super) name_holds: BTreeMap<String, Timestamp>,
    pub(super) deregistered: BTreeSet<ImageId>,
}

impl Model {
    /// An EC2 without resources, of this account, in these regions.
    pub fn new(
        account: impl Into<String>,
        regions: impl IntoIterator<Item = Region>,
        seed: u64,
        delays: Delays,
    ) -> Self {
        Self {
            account: account.into(),
            caller: None,
            ids: Ids::new(seed),
            delays,
            latest: Timestamp::default(),
            regions: regions.into_iter().map(|region| (region, RegionState::default())).collect(),
        }
    }

    /// The model's own account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Sets the account that makes the calls from now on; `None`: the model's own. It is not serialised.
    pub fn set_caller(&mut self, account: Option<String>) {
        self.caller = account;
    }

    /// The account that calls.
    pub fn caller(&self) -> &str {
        self.caller.as_deref().unwrap_or(&self.account)
    }

    /// Whether another account calls, which has no volumes and no instances here.
    pub(super) fn is_foreign(&self) -> bool {
        self.caller() != self.account
    }

    /// Makes the ids from now on differ from those that the same state generates with another salt. For a state that is
    /// kept in a file: an older one that is restored must not generate the ids of resources that were created after it.
    /// The salt is not serialised.
    pub fn salt_ids(&mut self, salt: u64) {
        self.ids.salt = salt;
    }

    /// Sets how long changes take from now on. Those under way keep their times.
    pub fn set_delays(&mut self, delays: Delays) {
        self.delays = delays;
    }

    /// DescribeRegions.
    pub fn describe_regions(&self) -> Vec<Region> {
        self.regions.keys().cloned().collect()
    }

    /// Records the time, drops what has expired, and returns the time to use.
    pub(super) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        let now = self.latest;
        for region in self.regions.values_mut() {
            region.drop_expired(now);
        }
        now
    }

    /// The time to use where nothing is changed.
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
    pub(super) fn drop_expired(&mut self, now: Timestamp) {
        self.volume_tokens.retain(|_, token| token.is_valid(now));
        self.copy_tokens.retain(|_, token| token.is_valid(now));
        let tokens = &self.volume_tokens;
        self.volumes.retain(|id, volume| !volume.is_gone(now) || tokens.values().any(|token| &token.id == id));
        self.snapshots.retain(|_, snapshot| !snapshot.is_gone(now));
        self.device_holds.retain(|hold| hold.until > now);
        self.name_holds.retain(|_, until| *until > now);
    }
}
