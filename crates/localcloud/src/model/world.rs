//! What no call of EC2 does: setting the scene, faults, and looking at everything.

use std::collections::BTreeSet;

use bakehouse_protocol::{
    DeviceName, ImageId, InstanceId, Region, SnapshotId, Timestamp, VolumeId, Zone,
    spec::{Architecture, Virtualization},
};

use super::{
    check::check_name,
    errors::no_image,
    ids,
    record::{Detach, DeviceHold, ImageRecord, InstanceRecord, Ready, SnapshotRecord},
    state::Model,
};
use crate::{
    ApiError,
    resource::{
        BlockDeviceMapping, EbsBlockDevice, Image, ImageState, Instance, InstanceState, Permissions, Snapshot,
        SnapshotState, Tags, Volume,
    },
    timestamp::iso8601,
};

/// Slots of a Nitro instance less one network interface and the root volume (EC2 guide, "Volume limits").
const ATTACHMENT_LIMIT: usize = 26;

/// An image to bring in from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// Its description; empty: none.
    pub description: String,
    /// GiB of the disk.
    pub size: u32,
    /// Its processor architecture.
    pub architecture: Architecture,
    /// How its instances are virtualized.
    pub virtualization_type: Virtualization,
    /// As `/dev/sda1`.
    pub root_device_name: String,
    /// The account that owns it; absent: the caller's. Somebody else's is public, as AWS's base images are.
    pub owner: Option<String>,
    /// `amazon` or `aws-marketplace`.
    pub owner_alias: Option<String>,
    /// From when on it is deprecated.
    pub deprecation_time: Option<Timestamp>,
    /// Its tags.
    pub tags: Tags,
}

impl Import {
    /// An own image, `hvm` with its root at `/dev/sda1`.
    pub fn new(name: impl Into<String>, size: u32, architecture: Architecture) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            size,
            architecture,
            virtualization_type: Virtualization::Hvm,
            root_device_name: "/dev/sda1".to_owned(),
            owner: None,
            owner_alias: None,
            deprecation_time: None,
            tags: Tags::new(),
        }
    }
}

/// Everything of one region at one moment, whoever owns it and however fresh it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Everything {
    /// The region.
    pub region: Region,
    /// Instances, without their mappings.
    pub instances: Vec<Instance>,
    /// Volumes that are not gone.
    pub volumes: Vec<Volume>,
    /// Snapshots that are not gone.
    pub snapshots: Vec<Snapshot>,
    /// Images.
    pub images: Vec<Image>,
    /// Device names that are taken although nothing is attached there any more.
    pub device_holds: Vec<DeviceHold>,
}

impl Model {
    /// Adds a running instance. `/dev/sda1` and `/dev/sda` are its root's.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a region that is not there.
    pub fn add_instance(
        &mut self,
        region: &Region,
        id: InstanceId,
        zone: Zone,
        architecture: Architecture,
    ) -> Result<(), ApiError> {
        let reserved: Result<BTreeSet<DeviceName>, ApiError> =
            ["/dev/sda", "/dev/sda1"].into_iter().map(ids::fixed).collect();
        let facts = Instance {
            instance_id: id.clone(),
            availability_zone: zone,
            state: InstanceState::Running,
            architecture,
            instance_type: "m7i.large".to_owned(),
            block_device_mappings: Vec::new(),
            tags: Tags::new(),
        };
        let record = InstanceRecord { facts, change: None, limit: ATTACHMENT_LIMIT, reserved: reserved? };
        self.region_mut(region)?.instances.insert(id, record);
        Ok(())
    }

    /// Sets an instance's state.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`.
    pub fn set_instance_state(
        &mut self,
        region: &Region,
        id: &InstanceId,
        state: InstanceState,
    ) -> Result<(), ApiError> {
        let instance = self.instance(region, id)?;
        (instance.facts.state, instance.change) = (state, None);
        Ok(())
    }

    /// Sets how many volumes may be attached, and which further names are taken though describe calls do not show it
    /// (Ubuntu's images take `/dev/sdb` and `/dev/sdc`).
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`.
    pub fn set_instance_slots(
        &mut self,
        region: &Region,
        id: &InstanceId,
        limit: usize,
        reserved: impl IntoIterator<Item = DeviceName>,
    ) -> Result<(), ApiError> {
        let instance = self.instance(region, id)?;
        instance.limit = limit;
        instance.reserved.extend(reserved);
        Ok(())
    }

    /// Brings in an image with its snapshot, available at once and known to everybody at once.
    ///
    /// # Errors
    /// `InvalidAMIName.Malformed`, `InvalidAMIName.Duplicate`, `InvalidParameterValue` (region).
    pub fn import_image(&mut self, now: Timestamp, region: &Region, import: &Import) -> Result<Image, ApiError> {
        let now = self.advance(now);
        check_name(&import.name)?;
        let owner_id = import.owner.clone().unwrap_or_else(|| self.account.clone());
        self.region(region)?.check_free(&import.name, &owner_id, now)?;
        let groups = if owner_id == self.account { BTreeSet::new() } else { BTreeSet::from(["all".to_owned()]) };
        let permissions = Permissions { users: BTreeSet::new(), groups };
        let snapshot = Snapshot {
            snapshot_id: self.ids.next("snap-")?,
            volume_id: ids::fixed("vol-ffffffff")?,
            volume_size: import.size,
            state: SnapshotState::Completed,
            state_message: None,
            progress: "100%".to_owned(),
            start_time: now,
            owner_id: owner_id.clone(),
            description: format!("Imported for {}", import.name),
            create_volume_permission: permissions.clone(),
            tags: Tags::new(),
        };
        let root = BlockDeviceMapping {
            device_name: import.root_device_name.clone(),
            ebs: Some(EbsBlockDevice {
                snapshot_id: Some(snapshot.snapshot_id.clone()),
                volume_size: Some(import.size),
                volume_type: Some("gp3".to_owned()),
                delete_on_termination: Some(true),
                encrypted: Some(false),
                ..EbsBlockDevice::default()
            }),
            ..BlockDeviceMapping::default()
        };
        let image = Image {
            image_id: self.ids.next("ami-")?,
            name: import.name.clone(),
            description: import.description.clone(),
            owner_id,
            image_owner_alias: import.owner_alias.clone(),
            state: ImageState::Available,
            state_reason: None,
            architecture: import.architecture,
            virtualization_type: import.virtualization_type,
            root_device_name: import.root_device_name.clone(),
            root_device_type: "ebs".to_owned(),
            block_device_mappings: vec![root],
            creation_date: iso8601(now),
            deprecation_time: import.deprecation_time,
            launch_permission: permissions,
            product_codes: BTreeSet::new(),
            source_image_id: None,
            source_image_region: None,
            ena_support: true,
            sriov_net_support: Some("simple".to_owned()),
            boot_mode: None,
            imds_support: None,
            tpm_support: None,
            tags: import.tags.clone(),
        };
        let state = self.region_mut(region)?;
        state.snapshots.insert(
            snapshot.snapshot_id.clone(),
            SnapshotRecord { facts: snapshot, ready: Ready::At(now), deleted: false },
        );
        // Old enough that no consistency lag hides it.
        let record = ImageRecord { facts: image.clone(), created: Timestamp(0), ready: Ready::At(now) };
        state.images.insert(image.image_id.clone(), record);
        Ok(image)
    }

    /// Keeps a snapshot to its owner, as the snapshots under many public images are: those can be launched, not cloned.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`.
    pub fn unshare_snapshot(&mut self, now: Timestamp, region: &Region, id: &SnapshotId) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.region_mut(region)?.snapshot(id, now)?.facts.create_volume_permission = Permissions::default();
        Ok(())
    }

    /// Says whether somebody has a volume mounted. A `busy` detach goes on when nobody has.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`.
    pub fn set_mounted(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &VolumeId,
        mounted: bool,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        let delays = self.delays;
        let state = self.region_mut(region)?;
        let volume = state.volume(id, now)?;
        volume.mounted = mounted;
        if let Some(attachment) = volume.attachment.as_mut().filter(|it| !mounted && it.detach == Some(Detach::Busy)) {
            let hold = attachment.begin_to_go(now, &delays);
            state.device_holds.push(hold);
        }
        Ok(())
    }

    /// Makes a volume fail, as a bad key does.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`.
    pub fn fail_volume(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &VolumeId,
        why: impl Into<String>,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.region_mut(region)?.volume(id, now)?.ready = Ready::Failed(why.into());
        Ok(())
    }

    /// Makes a snapshot fail.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`.
    pub fn fail_snapshot(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &SnapshotId,
        why: impl Into<String>,
    ) -> Result<(), ApiError> {
        let now = self.advance(now);
        self.region_mut(region)?.snapshot(id, now)?.ready = Ready::Failed(why.into());
        Ok(())
    }

    /// Makes an image fail.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`.
    pub fn fail_image(
        &mut self,
        now: Timestamp,
        region: &Region,
        id: &ImageId,
        why: impl Into<String>,
    ) -> Result<(), ApiError> {
        self.advance(now);
        let image = self.region_mut(region)?.images.get_mut(id).ok_or_else(|| no_image(id))?;
        image.ready = Ready::Failed(why.into());
        Ok(())
    }

    /// Everything there is, region by region.
    pub fn everything(&self, now: Timestamp) -> Vec<Everything> {
        let now = self.at(now);
        self.regions
            .iter()
            .map(|(region, state)| Everything {
                region: region.clone(),
                instances: state.instances.values().map(|it| it.view(now)).collect(),
                volumes: state.volumes.values().filter(|it| !it.gone(now)).map(|it| it.view(now)).collect(),
                snapshots: state.snapshots.values().filter(|it| !it.gone(now)).map(|it| it.view(now)).collect(),
                images: state.images.values().map(|it| it.view(now)).collect(),
                device_holds: state.device_holds.iter().filter(|it| it.until > now).cloned().collect(),
            })
            .collect()
    }
}
