//! The calls of EC2 for whoever answers them at once, without waiting for anything: the embedded cloud.

use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId};

use crate::{ApiError, request, resource};

/// EC2, or something that behaves like it. Every call goes to one region. Nothing waits: a resource that is asked for
/// comes back in its first state (`creating`, `pending`), and a describe call tells how it goes on.
pub trait Ec2: Send + Sync {
    /// The regions there are.
    ///
    /// # Errors
    /// None of its own.
    fn describe_regions(&self) -> Result<Vec<Region>, ApiError>;

    /// Instances by id or filter (`instance-id`, `instance-state-name`, `availability-zone`, `tag:KEY`, `tag-key`).
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`; `InvalidParameterValue` for an unknown filter.
    fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError>;

    /// Starts a stopped instance; one that runs, or is about to, is left as it is. Gives the state that it is in then.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`; `IncorrectInstanceState` if it is stopping or gone.
    fn start_instances(&self, region: &Region, instance: &InstanceId) -> Result<resource::InstanceState, ApiError>;

    /// Stops a running instance; one that has stopped, or is about to, is left as it is. Gives the state that it is in
    /// then.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`; `IncorrectInstanceState` if it is starting or gone.
    fn stop_instances(&self, region: &Region, instance: &InstanceId) -> Result<resource::InstanceState, ApiError>;

    /// Images that the caller may launch, by id, owner and filter.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`; `InvalidParameterValue` for an unknown filter.
    fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError>;

    /// Snapshots by id, owner and filter.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`; `InvalidParameterValue` for an unknown filter.
    fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError>;

    /// Volumes by id and filter.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`; `InvalidParameterValue` for an unknown filter.
    fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError>;

    /// Makes a volume, empty or from a snapshot. With a client token it is made once, however often it is asked for.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `IncorrectState` (snapshot not completed), `InvalidZone.NotFound`,
    /// `InvalidParameterValue` (size), `MissingParameter`, `UnknownVolumeType`, `IdempotentParameterMismatch`,
    /// `TagLimitExceeded`, `InvalidParameterValue` (tags).
    fn create_volume(&self, region: &Region, request: request::CreateVolume) -> Result<resource::Volume, ApiError>;

    /// Attaches a volume to an instance under a device name, which is a lock: of two who ask for one name, one gets it.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `InvalidInstanceID.NotFound`, `VolumeInUse`, `IncorrectState` (of the volume or of the
    /// instance), `InvalidVolume.ZoneMismatch`, `InvalidParameterValue` (name taken or no name),
    /// `AttachmentLimitExceeded`.
    fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError>;

    /// Begins to detach a volume. While it is still mounted the attachment is `busy`, and it goes when it is unmounted.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `IncorrectState` (not attached), `InvalidAttachment.NotFound` (attached elsewhere).
    fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError>;

    /// Deletes a volume that is attached to nothing.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `VolumeInUse`, `IncorrectState`.
    fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError>;

    /// Begins a snapshot of what the volume holds now, attached or not.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `IncorrectState`, `ConcurrentSnapshotLimitExceeded`,
    /// `SnapshotCreationPerVolumeRateExceeded`, `TagLimitExceeded`, `InvalidParameterValue` (tags).
    fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError>;

    /// Deletes a snapshot that no image holds.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `InvalidSnapshot.InUse`.
    fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError>;

    /// Makes an image of snapshots.
    ///
    /// # Errors
    /// `InvalidAMIName.Malformed`, `InvalidAMIName.Duplicate`, `InvalidBlockDeviceMapping`,
    /// `InvalidSnapshot.NotFound`, `IncorrectState` (snapshot not completed), `TagLimitExceeded`,
    /// `InvalidParameterValue` (description, tags).
    fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError>;

    /// Copies an image and its snapshots into `region`, the destination.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidRequest` (source not available, or its storage is not ours),
    /// `InvalidParameterValue` (source region, tags), `InvalidAMIName.Malformed`, `InvalidAMIName.Duplicate`,
    /// `IdempotentParameterMismatch`, `TagLimitExceeded`.
    fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError>;

    /// Changes an image's description, launch permissions or product codes.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable`, `InvalidParameterValue`,
    /// `InvalidAMIAttributeItemValue` (an account or a group that is none).
    fn modify_image_attribute(&self, region: &Region, request: request::ModifyImageAttribute) -> Result<(), ApiError>;

    /// Changes who may create volumes from a snapshot.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `InvalidParameterCombination` (add and remove in one call),
    /// `InvalidParameterValue` (an account or a group that is none).
    fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError>;

    /// Sets tags; a key that is there already gets the new value.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound` and its like, `InvalidID`, `TagLimitExceeded`, `InvalidParameterValue`.
    fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError>;

    /// Ends an image; its name is free again. With `delete_associated_snapshots` its snapshots go too, except those
    /// that another image holds.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable` (it is deregistered already), `AuthFailure` (not ours).
    fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError>;
}
