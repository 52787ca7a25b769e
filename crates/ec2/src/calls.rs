//! The calls of EC2 that the controller makes, one method each.

use alloc::{boxed::Box, string::String, vec::Vec};

use async_trait::async_trait;
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, spec::CopyRole};

use crate::{ApiError, request, resource};

/// EC2, or something that behaves like it. Every call goes to one region. No call waits for its effect: a resource that
/// is asked for is returned in its first state (`creating`, `pending`), and describe calls return its later states.
#[async_trait]
pub trait Ec2: Send + Sync {
    /// Returns the same EC2 for calls that a role of another account makes; `None`: for the account's own. The role is
    /// assumed by the first call, which fails if it can't be.
    #[must_use]
    fn with_role(&self, role: Option<&CopyRole>) -> Self
    where
        Self: Sized;

    /// Returns the id of the account that calls (GetCallerIdentity of STS).
    ///
    /// # Errors
    /// None of its own.
    async fn account(&self) -> Result<String, ApiError>;

    /// Returns the regions that the account may use.
    ///
    /// # Errors
    /// None of its own.
    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError>;

    /// Starts a stopped instance; one that runs, or is about to, is left as it is. Returns the state that it is in
    /// then.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`; `IncorrectInstanceState` if it is stopping or gone.
    async fn start_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError>;

    /// Stops a running instance; one that has stopped, or is about to, is left as it is. Returns the state that it is
    /// in then.
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`; `IncorrectInstanceState` if it is starting or gone.
    async fn stop_instances(&self, region: &Region, instance: &InstanceId)
    -> Result<resource::InstanceState, ApiError>;

    /// Returns instances by id and filter (`image-id`, `instance-id`, `instance-state-name`, `tag:KEY`).
    ///
    /// # Errors
    /// `InvalidInstanceID.NotFound`; `InvalidParameterValue` for an unknown filter.
    async fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError>;

    /// Returns images that the caller may launch, by id, owner and filter.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`; `InvalidParameterValue` for an unknown filter.
    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError>;

    /// Returns snapshots by id, owner and filter.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`; `InvalidParameterValue` for an unknown filter.
    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError>;

    /// Returns volumes by id and filter.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`; `InvalidParameterValue` for an unknown filter.
    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError>;

    /// Creates a volume, empty or from a snapshot. With a client token it is created once, however often it is called.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `IncorrectState` (snapshot not completed), `InvalidZone.NotFound`,
    /// `InvalidParameterValue` (size, throughput, rate), `InvalidParameterCombination` (of another volume type),
    /// `InvalidParameterDependency` (a key without encryption), `MissingParameter`, `UnknownVolumeType`,
    /// `IdempotentParameterMismatch`, `TagLimitExceeded`, `InvalidParameterValue` (tags).
    async fn create_volume(
        &self,
        region: &Region,
        request: request::CreateVolume,
    ) -> Result<resource::Volume, ApiError>;

    /// Attaches a volume to an instance under a device name, which is a lock: of two who ask for one name, one gets it.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `InvalidInstanceID.NotFound`, `VolumeInUse`, `IncorrectState` (of the volume or of the
    /// instance), `InvalidVolume.ZoneMismatch`, `InvalidParameterValue` (the name is taken, or is none),
    /// `AttachmentLimitExceeded`.
    async fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError>;

    /// Starts to detach a volume. While it is still mounted the attachment is `busy`, and it goes when it is unmounted.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `IncorrectState` (not attached), `InvalidAttachment.NotFound` (attached elsewhere).
    async fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError>;

    /// Deletes a volume that is attached to nothing.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `VolumeInUse`, `IncorrectState`.
    async fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError>;

    /// Starts a snapshot of what the volume holds now, attached or not.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound`, `IncorrectState`, `ConcurrentSnapshotLimitExceeded`,
    /// `SnapshotCreationPerVolumeRateExceeded`, `TagLimitExceeded`, `InvalidParameterValue` (tags).
    async fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError>;

    /// Deletes a snapshot that no image holds.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `InvalidSnapshot.InUse`.
    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError>;

    /// Changes who may create volumes from a snapshot.
    ///
    /// # Errors
    /// `InvalidSnapshot.NotFound`, `InvalidParameterCombination` (add and remove in one call),
    /// `InvalidParameterValue` (no account, or no group), `OperationNotPermitted` (it is encrypted with a default key,
    /// or encrypted and to be public).
    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError>;

    /// Registers an image of snapshots.
    ///
    /// # Errors
    /// `InvalidAMIName.Malformed`, `InvalidAMIName.Duplicate`, `InvalidBlockDeviceMapping`,
    /// `InvalidSnapshot.NotFound`, `IncorrectState` (snapshot not completed), `TagLimitExceeded`,
    /// `InvalidParameterValue` (description, boot mode, UEFI data, tags).
    async fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError>;

    /// Copies an image and its snapshots into `region`, the destination.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidRequest` (source not available, or its storage is not ours),
    /// `InvalidParameterValue` (source region, tags), `InvalidAMIName.Malformed`, `InvalidAMIName.Duplicate`,
    /// `InvalidParameterDependency` (a key without encryption), `IdempotentParameterMismatch`, `TagLimitExceeded`.
    async fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError>;

    /// Changes an image's description, launch permissions, product codes or IMDS support.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable`, `InvalidParameterValue`,
    /// `InvalidAMIAttributeItemValue` (no account, or no group).
    async fn modify_image_attribute(
        &self,
        region: &Region,
        request: request::ModifyImageAttribute,
    ) -> Result<(), ApiError>;

    /// Returns who may launch an image of the caller's (DescribeImageAttribute, `launchPermission`).
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `AuthFailure` (not ours).
    async fn describe_launch_permission(
        &self,
        region: &Region,
        image: &ImageId,
    ) -> Result<resource::Permissions, ApiError>;

    /// Sets from when on an image is deprecated; again, it replaces the time.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable`, `InvalidParameterValue` (a time that has passed).
    async fn enable_image_deprecation(
        &self,
        region: &Region,
        request: request::EnableImageDeprecation,
    ) -> Result<(), ApiError>;

    /// Protects an image from being deregistered.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable`.
    async fn enable_image_deregistration_protection(
        &self,
        region: &Region,
        request: request::EnableImageDeregistrationProtection,
    ) -> Result<(), ApiError>;

    /// Ends that protection: at once, or 24 hours from now if it has a cooldown.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable`.
    async fn disable_image_deregistration_protection(&self, region: &Region, image: &ImageId) -> Result<(), ApiError>;

    /// Attaches a watermark to an image. Copies that are made later carry it too.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable`, `InvalidParameterValue` (the name; it has it already; there
    /// are five).
    async fn attach_image_watermark(
        &self,
        region: &Region,
        request: request::AttachImageWatermark,
    ) -> Result<(), ApiError>;

    /// Sets tags; a key that is there already gets the new value.
    ///
    /// # Errors
    /// `InvalidVolume.NotFound` and its like, `InvalidID`, `TagLimitExceeded`, `InvalidParameterValue`.
    async fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError>;

    /// Deregisters an image; its name is free again. With `delete_associated_snapshots` its snapshots go too, except
    /// those that another image holds.
    ///
    /// # Errors
    /// `InvalidAMIID.NotFound`, `InvalidAMIID.Unavailable` (it is deregistered already), `AuthFailure` (not ours),
    /// `OperationNotPermitted` (it is protected).
    async fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError>;
}
