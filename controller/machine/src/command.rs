//! What the machine can ask for, as data. A command carries all that performing it needs beyond the build's own record.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};
use bakehouse_protocol::{
    DeviceName, HostId, ImageId, InstanceId, Job, Region, SnapshotId, VolumeId, spec::Architecture,
};
use core::fmt;
use serde::{Deserialize, Serialize};

use bakehouse_ec2::request::{CopyImage, CreateSnapshot, CreateVolume, RegisterImage};

use crate::{
    in_region::InRegion,
    old_records,
    resources::{Lease, Resource},
};

/// The tags a create call carries.
pub type Tags = BTreeMap<String, String>;

/// Something to be done outside. Its result comes back as [`crate::Event::Result`] under [`Command::step`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Find the source and make the plan. -> [`crate::Output::Plan`]
    Resolve,
    /// Lease a slot of a ready host and a device name on it. Asked again by the same build, it gives the same lease,
    /// except that a name in `avoid` is exchanged. -> [`crate::Output::Lease`]
    Lease {
        /// What the host must be able to run.
        architecture: Architecture,
        /// The device name asked for by the template.
        device: Option<DeviceName>,
        /// Names that EC2 says are taken, whatever our table says.
        avoid: Vec<DeviceName>,
    },
    /// Keep the lease. -> Done, or Gone if it has been lost.
    RenewLease(Lease),
    /// Give the lease back. -> Done
    Release(Lease),
    /// -> [`crate::Output::Volume`]
    CreateVolume(InRegion<CreateVolume>),
    /// -> [`crate::Output::VolumeSeen`]
    #[serde(alias = "see_volume")]
    DescribeVolume(Region, VolumeId),
    /// -> Done once EC2 has accepted it, or if it is so already.
    AttachVolume {
        /// Where the volume is.
        region: Region,
        /// Which.
        volume: VolumeId,
        /// To what.
        instance: InstanceId,
        /// As what.
        device: DeviceName,
    },
    /// Give the agent its job; a job of the same build is not given twice. -> Done
    SendJob(HostId, Box<Job>),
    /// Tell the agent to stop this build's job. -> Done; Gone if the host knows of no such job.
    StopJob(HostId),
    /// -> Done
    DetachVolume(Region, VolumeId),
    /// -> Done
    DeleteVolume(Region, VolumeId),
    /// -> [`crate::Output::Snapshot`]. EC2 has no client token for it.
    CreateSnapshot {
        /// The request.
        #[serde(flatten)]
        create: InRegion<CreateSnapshot>,
        /// Whether an earlier call may have created the snapshot: then one with the build's tag is looked for first.
        again: bool,
    },
    /// -> [`crate::Output::SnapshotSeen`]
    #[serde(alias = "see_snapshot")]
    DescribeSnapshot(Region, SnapshotId),
    /// -> Done
    DeleteSnapshot(Region, SnapshotId),
    /// -> [`crate::Output::Image`]. Has no token in EC2: its unique name is the guard, and a duplicate that carries
    /// this build's tag is adopted.
    #[serde(deserialize_with = "old_records::register_image")]
    RegisterImage(Box<InRegion<RegisterImage>>),
    /// -> [`crate::Output::Image`]
    #[serde(deserialize_with = "old_records::copy_image")]
    CopyImage(Box<InRegion<CopyImage>>),
    /// -> [`crate::Output::ImageSeen`]
    #[serde(alias = "see_image")]
    DescribeImage(Region, ImageId),
    /// Launch permissions, product codes, final tags. -> Done
    PublishImage(Box<PublishImage>),
    /// Deregister it and delete those of its snapshots that the build has made. -> Done
    RemoveImage(Region, ImageId),
    /// What carries this build's tag in the region. -> [`crate::Output::Tagged`]
    Verify(Region),
    /// Remove something that [`Command::Verify`] found. -> Done
    Remove(Resource),
}

/// The last touch on an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PublishImage {
    pub region: Region,
    pub image: ImageId,
    /// Those that the build has made: they are tagged as the image is.
    pub snapshots: Vec<SnapshotId>,
    pub users: Vec<String>,
    pub groups: Vec<String>,
    pub product_codes: Vec<String>,
    /// Tags that take another value now that the image is to stay.
    pub tags: Tags,
}

/// The name of a command within its build: at most one of each is open at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Step {
    Resolve,
    Lease,
    RenewLease,
    Release,
    CreateVolume,
    #[serde(alias = "see_volume")]
    DescribeVolume,
    AttachVolume,
    SendJob,
    StopJob,
    DetachVolume,
    DeleteVolume,
    CreateSnapshot,
    #[serde(alias = "see_snapshot")]
    DescribeSnapshot,
    DeleteSnapshot,
    RegisterImage,
    CopyImage(Region),
    #[serde(alias = "see_image")]
    DescribeImage(Region),
    PublishImage(Region),
    RemoveImage(Region),
    Verify(Region),
    Remove(Resource),
}

impl Step {
    /// Whether it only asks how something is.
    pub fn is_describe(&self) -> bool {
        matches!(self, Self::DescribeVolume | Self::DescribeSnapshot | Self::DescribeImage(_))
    }
}

impl Command {
    /// Its name within its build.
    pub fn step(&self) -> Step {
        match self {
            Self::Resolve => Step::Resolve,
            Self::Lease { .. } => Step::Lease,
            Self::RenewLease(_) => Step::RenewLease,
            Self::Release(_) => Step::Release,
            Self::CreateVolume(_) => Step::CreateVolume,
            Self::DescribeVolume(..) => Step::DescribeVolume,
            Self::AttachVolume { .. } => Step::AttachVolume,
            Self::SendJob(..) => Step::SendJob,
            Self::StopJob(_) => Step::StopJob,
            Self::DetachVolume(..) => Step::DetachVolume,
            Self::DeleteVolume(..) => Step::DeleteVolume,
            Self::CreateSnapshot { .. } => Step::CreateSnapshot,
            Self::DescribeSnapshot(..) => Step::DescribeSnapshot,
            Self::DeleteSnapshot(..) => Step::DeleteSnapshot,
            Self::RegisterImage(_) => Step::RegisterImage,
            Self::CopyImage(copy) => Step::CopyImage(copy.region.clone()),
            Self::DescribeImage(region, _) => Step::DescribeImage(region.clone()),
            Self::PublishImage(publish) => Step::PublishImage(publish.region.clone()),
            Self::RemoveImage(region, _) => Step::RemoveImage(region.clone()),
            Self::Verify(region) => Step::Verify(region.clone()),
            Self::Remove(resource) => Step::Remove(resource.clone()),
        }
    }

    /// Whether it hands something over that only its answer tells of for certain: a slot, a job. If that is lost, the
    /// command is given out again before anything else is believed.
    pub(crate) fn hands_over(&self) -> bool {
        matches!(self, Self::Lease { .. } | Self::SendJob(..))
    }

    /// The region in which this command makes something that must be found again if its answer is lost.
    pub fn creates_in(&self) -> Option<&Region> {
        match self {
            Self::CreateVolume(create) => Some(&create.region),
            Self::CreateSnapshot { create, .. } => Some(&create.region),
            Self::RegisterImage(register) => Some(&register.region),
            Self::CopyImage(copy) => Some(&copy.region),
            _ => None,
        }
    }
}

impl fmt::Display for Command {
    /// One line, for logs and golden files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve => write!(f, "resolve"),
            Self::Lease { device: None, avoid, .. } if avoid.is_empty() => write!(f, "lease"),
            Self::Lease { device: None, avoid, .. } => {
                write!(f, "lease avoiding")?;
                avoid.iter().try_for_each(|name| write!(f, " {name}"))
            }
            Self::Lease { device: Some(device), .. } => write!(f, "lease {device}"),
            Self::RenewLease(lease) => write!(f, "renew {} {}", lease.host, lease.device),
            Self::Release(lease) => write!(f, "release {} {}", lease.host, lease.device),
            Self::CreateVolume(c) => {
                let CreateVolume { size, availability_zone, snapshot_id, .. } = &c.request;
                write!(f, "create volume of {} GiB in {availability_zone}", size.unwrap_or_default())?;
                snapshot_id.as_ref().map_or(Ok(()), |from| write!(f, " from {from}"))
            }
            Self::DescribeVolume(_, id) => write!(f, "see {id}"),
            Self::AttachVolume { volume, instance, device, .. } => {
                write!(f, "attach {volume} to {instance} as {device}")
            }
            Self::SendJob(host, _) => write!(f, "send job to {host}"),
            Self::StopJob(host) => write!(f, "stop job on {host}"),
            Self::DetachVolume(_, id) => write!(f, "detach {id}"),
            Self::DeleteVolume(_, id) => write!(f, "delete {id}"),
            Self::CreateSnapshot { create, .. } => write!(f, "create snapshot of {}", create.request.volume_id),
            Self::DescribeSnapshot(_, id) => write!(f, "see {id}"),
            Self::DeleteSnapshot(_, id) => write!(f, "delete {id}"),
            Self::RegisterImage(register) => {
                write!(f, "register \"{}\"", register.request.name)?;
                register.request.root_snapshot().map_or(Ok(()), |from| write!(f, " from {from}"))
            }
            Self::CopyImage(copy) => write!(f, "copy {} to {}", copy.request.source_image_id, copy.region),
            Self::DescribeImage(region, id) => write!(f, "see {id} in {region}"),
            Self::PublishImage(p) => write!(f, "publish {} in {}", p.image, p.region),
            Self::RemoveImage(region, id) => write!(f, "remove {id} from {region}"),
            Self::Verify(region) => write!(f, "verify {region}"),
            Self::Remove(resource) => write!(f, "remove {resource}"),
        }
    }
}
