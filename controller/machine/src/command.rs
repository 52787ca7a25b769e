//! The commands that the machine issues, as data. A command carries everything that performing it needs beyond the
//! build's own record.

use alloc::{boxed::Box, string::String, vec::Vec};
use bakehouse_ec2::{
    request::{CopyImage, CreateSnapshot, CreateVolume, RegisterImage},
    resource::Tags,
};
use bakehouse_protocol::{
    DeviceName, HostId, ImageId, InstanceId, Job, Region, SnapshotId, Timestamp, VolumeId, spec::Architecture,
};
use core::fmt;
use serde::{Deserialize, Serialize};

use crate::{
    AccountRegion,
    in_region::InRegion,
    old_records,
    plan::{ParameterPlan, ReplacedImage},
    resources::{Lease, OldImage, Resource},
};

/// Something for the caller to perform. Its result comes back as [`crate::Event::Result`] with [`Command::key`]. Every
/// command is safe to perform more than once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Look up the source image and everything else that the plan depends on. Returns [`crate::Output::Plan`].
    Resolve,
    /// Lease a slot of a ready host and a device name on its instance. Performed again for the same build it returns
    /// the same lease, except that a name in `avoid` is replaced. Returns [`crate::Output::Lease`].
    Lease {
        /// The architecture that the host must have.
        architecture: Architecture,
        /// The device name that the template asks for.
        device: Option<DeviceName>,
        /// Names that EC2 has refused as in use, whatever our own table says.
        avoid: Vec<DeviceName>,
    },
    /// Extend the lease. Returns [`crate::Output::Lease`] with its new end; `NotFound` if the lease is lost.
    RenewLease(Lease),
    /// Release the lease. Returns `Done`.
    Release(Lease),
    /// Create the work volume. Its client token makes a repetition safe. Returns [`crate::Output::VolumeCreated`].
    CreateVolume(InRegion<CreateVolume>),
    /// Describe the work volume. Returns [`crate::Output::VolumeDescribed`].
    #[serde(alias = "see_volume")]
    DescribeVolume(Region, VolumeId),
    /// Attach the work volume to the leased host. Returns `Done` once EC2 has accepted the request, or if the volume is
    /// attached there already.
    AttachVolume {
        /// The region of the volume.
        region: Region,
        /// The volume.
        volume: VolumeId,
        /// The instance to attach it to.
        instance: InstanceId,
        /// The device name to attach it as.
        device: DeviceName,
    },
    /// Send the agent its job. A job that arrives twice is run once. Returns `Done`.
    SendJob(HostId, Box<Job>),
    /// Tell the agent to cancel this build's job. Returns `Done`; `NotFound` if the host has no such job.
    StopJob(HostId),
    /// Detach the work volume. Returns `Done`.
    DetachVolume(Region, VolumeId),
    /// Delete the work volume. Returns `Done`.
    DeleteVolume(Region, VolumeId),
    /// Snapshot the finished volume. EC2 takes no client token for this. Returns [`crate::Output::SnapshotCreated`].
    CreateSnapshot {
        /// The request.
        #[serde(flatten)]
        create: InRegion<CreateSnapshot>,
        /// Whether the command was issued before, so that the snapshot may exist already: one with the build's tag is
        /// looked for first.
        again: bool,
    },
    /// Describe the snapshot. Returns [`crate::Output::SnapshotDescribed`].
    #[serde(alias = "see_snapshot")]
    DescribeSnapshot(Region, SnapshotId),
    /// Delete the snapshot. Returns `Done`.
    DeleteSnapshot(Region, SnapshotId),
    /// Register the image. EC2 takes no client token for this: the unique name prevents a second image, and an image of
    /// that name with this build's tag is taken as the result. Returns [`crate::Output::ImageCreated`].
    #[serde(deserialize_with = "old_records::register_image")]
    RegisterImage(Box<InRegion<RegisterImage>>),
    /// Copy the image to another region. Its client token makes a repetition safe. Returns
    /// [`crate::Output::ImageCreated`].
    #[serde(deserialize_with = "old_records::copy_image")]
    CopyImage(Box<InRegion<CopyImage>>),
    /// Describe the image in a region. Returns [`crate::Output::ImageDescribed`].
    #[serde(alias = "see_image")]
    DescribeImage(AccountRegion, ImageId),
    /// Share the image and its snapshots with the accounts that copy it. Returns `Done`.
    ShareImage(Box<ImageSharing>),
    /// Take that back. Returns `Done`.
    UnshareImage(Box<ImageSharing>),
    /// Attach watermarks to the image; one that it has is not attached again. Returns `Done`.
    WatermarkImage(Region, ImageId, Vec<String>),
    /// Deregister the image that has the new one's name, and keep its snapshots. Returns `Done`.
    DeregisterReplaced(Region, ImageId),
    /// Register the image under its own name, from the snapshots of the one that stands under a temporary name. The
    /// unique name makes a repetition safe. Returns [`crate::Output::ImageCreated`].
    RegisterFinal(Box<FinalImage>),
    /// Deregister the image under a temporary name, and keep its snapshots. Returns `Done`.
    RemoveTemporary(Region, ImageId),
    /// Register the image again that was deregistered for the new one, unless it still exists. Returns
    /// [`crate::Output::Restored`].
    RestoreReplaced(Box<ReplacedImage>),
    /// Set an image's launch permissions, product codes, deprecation time and final tags, and who may use its
    /// snapshots. Returns `Done`.
    PublishImage(Box<PublishImage>),
    /// Write an image's id into a parameter, and read it back. Returns `Done`; `NotReady` until it can be read.
    PutParameter {
        /// The region of the parameter and of the image.
        region: Region,
        /// The parameter.
        name: String,
        /// The image.
        image: ImageId,
    },
    /// Give a parameter its former value, or delete it if it had none. Returns `Done`.
    RestoreParameter(ParameterPlan),
    /// Protect an image from being deregistered. Returns `Done`.
    ProtectImage {
        /// Its region.
        region: AccountRegion,
        /// The image.
        image: ImageId,
        /// It stays protected for a day after that is taken back.
        with_cooldown: bool,
    },
    /// Look for finished images of the recipe's builder that are too old to be kept, and that nothing uses. Returns
    /// [`crate::Output::OldImages`].
    FindOldImages {
        /// Where to look.
        region: Region,
        /// The recipe.
        recipe: String,
        /// The builder's name, as output shows it.
        #[serde(default)]
        builder: String,
        /// How many images of both stay, the new one among them.
        keep: u32,
        /// The new image.
        newest: ImageId,
    },
    /// Deregister an older image, unless that was done before, and delete its snapshots; one that another image holds
    /// stays. Returns `Done`.
    RetireImage(OldImage),
    /// Deregister an image and delete those of its snapshots that the build created. Returns `Done`.
    RemoveImage(AccountRegion, ImageId),
    /// Search a region for everything with this build's tag. Returns [`crate::Output::Tagged`].
    #[serde(alias = "verify")]
    FindTagged(AccountRegion),
    /// Remove a resource that [`Command::FindTagged`] found and the record did not have. Returns `Done`.
    #[serde(alias = "remove")]
    RemoveOrphan(Resource),
}

/// An image of the build region and who is to copy it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ImageSharing {
    pub region: Region,
    pub image: ImageId,
    /// The snapshots that the build created for it.
    pub snapshots: Vec<SnapshotId>,
    /// The accounts.
    pub accounts: Vec<String>,
}

/// What makes a finished image or copy usable by others, and permanent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PublishImage {
    pub region: AccountRegion,
    pub image: ImageId,
    /// The snapshots that the build created for it: they get the same tags.
    pub snapshots: Vec<SnapshotId>,
    /// The accounts that may launch it.
    pub users: Vec<String>,
    /// The groups that may launch it (`all`).
    pub groups: Vec<String>,
    /// The organizations that may launch it.
    #[serde(default)]
    pub org_arns: Vec<String>,
    /// The organizational units that may launch it.
    #[serde(default)]
    pub ou_arns: Vec<String>,
    /// The accounts that may create volumes from its snapshots.
    #[serde(default)]
    pub snapshot_users: Vec<String>,
    /// The groups that may create volumes from its snapshots (`all`).
    #[serde(default)]
    pub snapshot_groups: Vec<String>,
    pub product_codes: Vec<String>,
    /// When it is deprecated.
    #[serde(default)]
    pub deprecate_at: Option<Timestamp>,
    /// Tags whose values change now that the image is to stay.
    pub tags: Tags,
}

/// The image under its own name, where it stands under a temporary one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalImage {
    /// Its region.
    pub region: Region,
    /// The image under the temporary name, whose mappings it gets.
    pub temporary: ImageId,
    /// The image that had the name, which may still be shown for a while.
    pub replaced: ImageId,
    /// The request, without the mappings' snapshots.
    pub request: RegisterImage,
}

/// Identifies a command within its build, without its arguments: at most one command of each key is in flight.
/// Backoffs, repeated faults and results refer to a command by its key. Each variant is documented at the [`Command`]
/// of its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum CommandKey {
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
    /// The destination.
    CopyImage(AccountRegion),
    #[serde(alias = "see_image")]
    DescribeImage(AccountRegion),
    ShareImage,
    UnshareImage,
    WatermarkImage(Region),
    DeregisterReplaced(Region),
    RegisterFinal(Region),
    RemoveTemporary(Region),
    RestoreReplaced(Region),
    PublishImage(AccountRegion),
    /// The region and the name.
    PutParameter(Region, String),
    /// The region and the name.
    RestoreParameter(Region, String),
    ProtectImage(AccountRegion),
    FindOldImages(Region),
    RetireImage(Region, ImageId),
    RemoveImage(AccountRegion),
    #[serde(alias = "verify")]
    FindTagged(AccountRegion),
    #[serde(alias = "remove")]
    RemoveOrphan(Resource),
}

impl CommandKey {
    /// Whether the command only reads the status of a resource.
    pub fn is_describe(&self) -> bool {
        matches!(self, Self::DescribeVolume | Self::DescribeSnapshot | Self::DescribeImage(_))
    }
}

impl Command {
    /// Returns its key within its build.
    pub fn key(&self) -> CommandKey {
        match self {
            Self::Resolve => CommandKey::Resolve,
            Self::Lease { .. } => CommandKey::Lease,
            Self::RenewLease(_) => CommandKey::RenewLease,
            Self::Release(_) => CommandKey::Release,
            Self::CreateVolume(_) => CommandKey::CreateVolume,
            Self::DescribeVolume(..) => CommandKey::DescribeVolume,
            Self::AttachVolume { .. } => CommandKey::AttachVolume,
            Self::SendJob(..) => CommandKey::SendJob,
            Self::StopJob(_) => CommandKey::StopJob,
            Self::DetachVolume(..) => CommandKey::DetachVolume,
            Self::DeleteVolume(..) => CommandKey::DeleteVolume,
            Self::CreateSnapshot { .. } => CommandKey::CreateSnapshot,
            Self::DescribeSnapshot(..) => CommandKey::DescribeSnapshot,
            Self::DeleteSnapshot(..) => CommandKey::DeleteSnapshot,
            Self::RegisterImage(_) => CommandKey::RegisterImage,
            Self::CopyImage(copy) => CommandKey::CopyImage(copy.region.clone()),
            Self::DescribeImage(region, _) => CommandKey::DescribeImage(region.clone()),
            Self::ShareImage(_) => CommandKey::ShareImage,
            Self::UnshareImage(_) => CommandKey::UnshareImage,
            Self::WatermarkImage(region, ..) => CommandKey::WatermarkImage(region.clone()),
            Self::DeregisterReplaced(region, _) => CommandKey::DeregisterReplaced(region.clone()),
            Self::RegisterFinal(register) => CommandKey::RegisterFinal(register.region.clone()),
            Self::RemoveTemporary(region, _) => CommandKey::RemoveTemporary(region.clone()),
            Self::RestoreReplaced(image) => CommandKey::RestoreReplaced(image.region.clone()),
            Self::PublishImage(publish) => CommandKey::PublishImage(publish.region.clone()),
            Self::PutParameter { region, name, .. } => CommandKey::PutParameter(region.clone(), name.clone()),
            Self::RestoreParameter(it) => CommandKey::RestoreParameter(it.region.clone(), it.name.clone()),
            Self::ProtectImage { region, .. } => CommandKey::ProtectImage(region.clone()),
            Self::FindOldImages { region, .. } => CommandKey::FindOldImages(region.clone()),
            Self::RetireImage(old) => CommandKey::RetireImage(old.region.clone(), old.id.clone()),
            Self::RemoveImage(region, _) => CommandKey::RemoveImage(region.clone()),
            Self::FindTagged(region) => CommandKey::FindTagged(region.clone()),
            Self::RemoveOrphan(resource) => CommandKey::RemoveOrphan(resource.clone()),
        }
    }

    /// Whether it hands over something that only its result confirms: a slot or a job. If the result is lost, the
    /// command is issued again before the build goes on.
    pub(crate) fn hands_over(&self) -> bool {
        matches!(self, Self::Lease { .. } | Self::SendJob(..))
    }

    /// Returns the region in which the command creates something that must be found again if its result is lost.
    pub fn creates_in(&self) -> Option<AccountRegion> {
        match self {
            Self::CreateVolume(create) => Some(create.region.clone()),
            Self::CreateSnapshot { create, .. } => Some(create.region.clone()),
            Self::RegisterImage(register) => Some(register.region.clone()),
            Self::CopyImage(copy) => Some(copy.region.clone()),
            Self::RegisterFinal(register) => Some((&register.region).into()),
            _ => None,
        }
    }
}

impl fmt::Display for Command {
    /// Formats it in one line, for logs and golden files.
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
            Self::DescribeVolume(_, id) => write!(f, "describe {id}"),
            Self::AttachVolume { volume, instance, device, .. } => {
                write!(f, "attach {volume} to {instance} as {device}")
            }
            Self::SendJob(host, _) => write!(f, "send job to {host}"),
            Self::StopJob(host) => write!(f, "stop job on {host}"),
            Self::DetachVolume(_, id) => write!(f, "detach {id}"),
            Self::DeleteVolume(_, id) => write!(f, "delete {id}"),
            Self::CreateSnapshot { create, .. } => write!(f, "create snapshot of {}", create.request.volume_id),
            Self::DescribeSnapshot(_, id) => write!(f, "describe {id}"),
            Self::DeleteSnapshot(_, id) => write!(f, "delete {id}"),
            Self::RegisterImage(register) => {
                write!(f, "register \"{}\"", register.request.name)?;
                register.request.root_snapshot().map_or(Ok(()), |from| write!(f, " from {from}"))
            }
            Self::CopyImage(copy) => write!(f, "copy {} to {}", copy.request.source_image_id, copy.region),
            Self::DescribeImage(region, id) => write!(f, "describe {id} in {region}"),
            Self::ShareImage(it) => write!(f, "share {} with {}", it.image, it.accounts.join(", ")),
            Self::UnshareImage(it) => write!(f, "stop sharing {} with {}", it.image, it.accounts.join(", ")),
            Self::WatermarkImage(region, id, _) => write!(f, "watermark {id} in {region}"),
            Self::DeregisterReplaced(region, id) => write!(f, "deregister {id} in {region} to replace it"),
            Self::RegisterFinal(it) => {
                write!(f, "register \"{}\" in {} in place of {}", it.request.name, it.region, it.temporary)
            }
            Self::RemoveTemporary(region, id) => write!(f, "deregister {id} in {region}"),
            Self::RestoreReplaced(it) => write!(f, "register {} in {} again", it.id, it.region),
            Self::PublishImage(p) => write!(f, "publish {} in {}", p.image, p.region),
            Self::PutParameter { region, name, image } => write!(f, "put {image} into {name} in {region}"),
            Self::RestoreParameter(it) => write!(f, "restore {} in {}", it.name, it.region),
            Self::ProtectImage { region, image, .. } => write!(f, "protect {image} in {region}"),
            Self::FindOldImages { region, keep, .. } => write!(f, "find images beyond {keep} in {region}"),
            Self::RetireImage(old) => write!(f, "retire {} in {}", old.id, old.region),
            Self::RemoveImage(region, id) => write!(f, "remove {id} from {region}"),
            Self::FindTagged(region) => write!(f, "find tagged in {region}"),
            Self::RemoveOrphan(resource) => write!(f, "remove {resource}"),
        }
    }
}
