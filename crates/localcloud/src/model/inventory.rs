//! Listing all resources, which no call of EC2 does.

use bakehouse_protocol::{Region, Timestamp};

use super::{record::DeviceHold, state::Model};
use crate::resource::{Image, Instance, Snapshot, Volume};

/// The resources of one region at one moment: of every owner, and also those that describe calls do not show yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionResources {
    /// The region.
    pub region: Region,
    /// The instances, without their mappings.
    pub instances: Vec<Instance>,
    /// The volumes, without deleted ones.
    pub volumes: Vec<Volume>,
    /// The snapshots, without deleted ones.
    pub snapshots: Vec<Snapshot>,
    /// The images.
    pub images: Vec<Image>,
    /// The device names that are not free yet although nothing is attached there.
    pub device_holds: Vec<DeviceHold>,
}

impl Model {
    /// All resources, by region.
    pub fn everything(&self, now: Timestamp) -> Vec<RegionResources> {
        let now = self.at(now);
        self.regions
            .iter()
            .map(|(region, state)| RegionResources {
                region: region.clone(),
                instances: state.instances.values().map(|it| it.view(now)).collect(),
                volumes: state.volumes.values().filter(|it| !it.is_gone(now)).map(|it| it.view(now)).collect(),
                snapshots: state.snapshots.values().filter(|it| !it.is_gone(now)).map(|it| it.view(now)).collect(),
                images: state.images.values().map(|it| it.view(now)).collect(),
                device_holds: state.device_holds.iter().filter(|it| it.until > now).cloned().collect(),
            })
            .collect()
    }
}
