//! The calls of EC2 that a build makes, one method each. What each does and which errors it gives is written at
//! [`blocking::Ec2`](crate::blocking::Ec2), whose methods have the same names.

use std::future::Future;

use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId};

use crate::{ApiError, blocking, request, resource};

/// What a call gives.
pub trait Answer<T>: Future<Output = Result<T, ApiError>> + Send {}
impl<T, F: Future<Output = Result<T, ApiError>> + Send> Answer<T> for F {}

/// EC2, or something that behaves like it, where an answer may take its time. Every call goes to one region.
#[allow(missing_docs, reason = "each is documented at blocking::Ec2")]
pub trait Ec2: Send + Sync {
    fn describe_regions(&self) -> impl Answer<Vec<Region>>;
    fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> impl Answer<Vec<resource::Instance>>;
    fn describe_images(&self, region: &Region, request: request::DescribeImages) -> impl Answer<Vec<resource::Image>>;
    fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> impl Answer<Vec<resource::Snapshot>>;
    fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> impl Answer<Vec<resource::Volume>>;
    fn create_volume(&self, region: &Region, request: request::CreateVolume) -> impl Answer<resource::Volume>;
    fn attach_volume(&self, region: &Region, request: request::AttachVolume)
    -> impl Answer<resource::VolumeAttachment>;
    fn detach_volume(&self, region: &Region, request: request::DetachVolume)
    -> impl Answer<resource::VolumeAttachment>;
    fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> impl Answer<()>;
    fn create_snapshot(&self, region: &Region, request: request::CreateSnapshot) -> impl Answer<resource::Snapshot>;
    fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> impl Answer<()>;
    fn register_image(&self, region: &Region, request: request::RegisterImage) -> impl Answer<ImageId>;
    fn copy_image(&self, region: &Region, request: request::CopyImage) -> impl Answer<ImageId>;
    fn modify_image_attribute(&self, region: &Region, request: request::ModifyImageAttribute) -> impl Answer<()>;
    fn modify_snapshot_attribute(&self, region: &Region, request: request::ModifySnapshotAttribute) -> impl Answer<()>;
    fn create_tags(&self, region: &Region, request: request::CreateTags) -> impl Answer<()>;
    fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> impl Answer<Vec<resource::DeleteSnapshotResult>>;
}

/// The calls that keep hosts. No build makes them.
#[allow(missing_docs, reason = "each is documented at blocking::Ec2")]
pub trait Instances: Send + Sync {
    fn start_instances(&self, region: &Region, instance: &InstanceId) -> impl Answer<resource::InstanceState>;
    fn stop_instances(&self, region: &Region, instance: &InstanceId) -> impl Answer<resource::InstanceState>;
}

/// What answers at once, where one that may take its time is wanted.
#[derive(Clone, Debug)]
pub struct Blocking<E>(pub E);

impl<E: blocking::Ec2> Ec2 for Blocking<E> {
    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.0.describe_regions()
    }
    async fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError> {
        self.0.describe_instances(region, request)
    }
    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        self.0.describe_images(region, request)
    }
    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        self.0.describe_snapshots(region, request)
    }
    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        self.0.describe_volumes(region, request)
    }
    async fn create_volume(
        &self,
        region: &Region,
        request: request::CreateVolume,
    ) -> Result<resource::Volume, ApiError> {
        self.0.create_volume(region, request)
    }
    async fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.0.attach_volume(region, request)
    }
    async fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.0.detach_volume(region, request)
    }
    async fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError> {
        self.0.delete_volume(region, request)
    }
    async fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError> {
        self.0.create_snapshot(region, request)
    }
    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.0.delete_snapshot(region, snapshot)
    }
    async fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError> {
        self.0.register_image(region, request)
    }
    async fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError> {
        self.0.copy_image(region, request)
    }
    async fn modify_image_attribute(
        &self,
        region: &Region,
        request: request::ModifyImageAttribute,
    ) -> Result<(), ApiError> {
        self.0.modify_image_attribute(region, request)
    }
    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        self.0.modify_snapshot_attribute(region, request)
    }
    async fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError> {
        self.0.create_tags(region, request)
    }
    async fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError> {
        self.0.deregister_image(region, request)
    }
}

impl<E: blocking::Ec2> Instances for Blocking<E> {
    async fn start_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.0.start_instances(region, instance)
    }
    async fn stop_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.0.stop_instances(region, instance)
    }
}
