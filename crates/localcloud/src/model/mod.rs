//! EC2's semantics, pure: no I/O, no clock, no randomness. The time is an argument; ids come from a seeded generator
//! in the state. What a resource's state is at a moment is worked out from the times that its record keeps, so nothing
//! needs to tick.
//!
//! ```text
//! volume      creating -> available -> in-use -> available -> deleting -> (gone)
//!                 \-> error ----------------------------------/
//! attachment  attaching -> attached -> detaching -> (gone; its name is free a little later)
//!                               \-> busy -/          busy: still mounted when asked
//! snapshot    pending -> completed -> (gone)         deleted while pending: gone when it completes
//!                 \-> error ---------/
//! instance    stopped -> pending -> running -> stopping -> stopped
//! image       pending -> available -> (deregistered; its name is free a little later)
//!                 \-> failed --------/
//! ```
//! What needs what: a volume or an image needs a completed snapshot; attaching needs an available volume in the
//! instance's zone and a free name; deleting a volume needs it attached to nothing; deleting a snapshot needs that no
//! image holds it; a copy needs an available image; attributes change on an available image only.
//!
//! Where the documents are silent the model takes the stricter reading: CopyImage refuses a name that is taken,
//! `/dev/sdf` and `/dev/xvdf` exclude each other, deleting a volume twice is `IncorrectState` until it is gone.

mod attach;
mod copy;
mod delays;
mod describe;
mod filter;
mod ids;
mod image;
mod instance;
mod pending;
mod record;
mod snapshot;
mod tags;
#[cfg(test)]
mod tests;
mod volume;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};

pub use delays::Delays;
pub use pending::{Held, KeptAttachment};
pub use record::{DeviceHold, Owner};
pub use world::{Everything, Import};

use crate::{
    ApiError,
    request::{CopyImage, CreateVolume},
};
use record::{ImageRecord, InstanceRecord, SnapshotRecord, Token, VolumeRecord};

/// One account's view of EC2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The account that calls.
    account: String,
    ids: ids::Ids,
    delays: Delays,
    /// The latest moment seen. A clock that goes back does not take states back.
    latest: Timestamp,
    regions: BTreeMap<Region, RegionState>,
}

/// What one region holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RegionState {
    instances: BTreeMap<InstanceId, InstanceRecord>,
    volumes: BTreeMap<VolumeId, VolumeRecord>,
    snapshots: BTreeMap<SnapshotId, SnapshotRecord>,
    images: BTreeMap<ImageId, ImageRecord>,
    /// Client tokens of CreateVolume.
    volume_tokens: BTreeMap<String, Token<CreateVolume, VolumeId>>,
    /// Client tokens of CopyImage.
    copy_tokens: BTreeMap<String, Token<CopyImage, ImageId>>,
    /// Device names that stay taken for a while after a detach.
    device_holds: Vec<DeviceHold>,
    /// Names of deregistered images that stay taken for a while.
    name_holds: BTreeMap<String, Timestamp>,
    deregistered: BTreeSet<ImageId>,
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
            ids: ids::Ids::new(seed),
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
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        let now = self.latest;
        for region in self.regions.values_mut() {
            region.forget(now);
        }
        now
    }

    /// The moment to work with where nothing is changed.
    fn at(&self, now: Timestamp) -> Timestamp {
        self.latest.max(now)
    }

    fn region(&self, region: &Region) -> Result<&RegionState, ApiError> {
        self.regions.get(region).ok_or_else(|| no_region(region))
    }

    fn region_mut(&mut self, region: &Region) -> Result<&mut RegionState, ApiError> {
        self.regions.get_mut(region).ok_or_else(|| no_region(region))
    }
}

fn no_region(region: &Region) -> ApiError {
    ApiError::new("InvalidParameterValue", format!("Invalid region name '{region}'"))
}

impl RegionState {
    fn forget(&mut self, now: Timestamp) {
        self.volume_tokens.retain(|_, token| token.remembered(now));
        self.copy_tokens.retain(|_, token| token.remembered(now));
        let tokens = &self.volume_tokens;
        self.volumes.retain(|id, volume| !volume.gone(now) || tokens.values().any(|token| &token.id == id));
        self.snapshots.retain(|_, snapshot| !snapshot.gone(now));
        self.device_holds.retain(|hold| hold.until > now);
        self.name_holds.retain(|_, until| *until > now);
    }
}
