//! EC2's model behind calls that take time, during which the function may die, and that may be throttled.

use pollster::FutureExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use bakehouse_ec2::{ApiError, Ec2, request, resource};
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, VolumeId, spec::CopyRole};

use crate::{function::Function, simulation::Simulation};

pub struct Cloud(pub Arc<Function>);

impl Cloud {
    async fn call<T>(
        &self,
        action: &'static str,
        f: impl FnOnce(&Simulation) -> Result<T, ApiError> + Send,
    ) -> Result<T, ApiError> {
        let simulation = &self.0.simulation;
        self.0.begins().await;
        let throttled = {
            let mut state = simulation.state();
            *state.calls.entry(action.to_owned()).or_default() += 1;
            let now = simulation.time.now();
            state.throttles.is_some_and(|(percent, until)| now < until && state.chance(percent))
        };
        let answer = if simulation.state().denied.contains(action) {
            Err(ApiError::new("UnauthorizedOperation", "You are not authorized to perform this operation."))
        } else if throttled {
            Err(ApiError::new("RequestLimitExceeded", "Request limit exceeded."))
        } else {
            simulation.cloud.set_now(simulation.time.now());
            f(simulation)
        };
        self.0.ends().await;
        answer
    }

    fn must_not_be_mounted(&self, volume: &VolumeId, action: &str) {
        assert!(!self.0.simulation.state().is_mounted(volume), "{action} of {volume}, which an agent has mounted");
    }
}

#[async_trait]
impl Ec2 for Cloud {
    fn with_role(&self, role: Option<&CopyRole>) -> Self {
        assert!(role.is_none(), "no build of these tests copies to another account");
        Self(Arc::clone(&self.0))
    }
    async fn account(&self) -> Result<String, ApiError> {
        self.call("GetCallerIdentity", |simulation| simulation.cloud.account().block_on()).await
    }
    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.call("DescribeRegions", |simulation| simulation.cloud.describe_regions().block_on()).await
    }
    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        self.call("DescribeImages", |simulation| simulation.cloud.describe_images(region, request).block_on()).await
    }
    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        self.call("DescribeSnapshots", |simulation| simulation.cloud.describe_snapshots(region, request).block_on())
            .await
    }
    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        self.call("DescribeVolumes", |simulation| simulation.cloud.describe_volumes(region, request).block_on()).await
    }
    async fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.call("AttachVolume", |simulation| simulation.cloud.attach_volume(region, request).block_on()).await
    }
    async fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError> {
        self.call("DeleteVolume", |simulation| simulation.cloud.delete_volume(region, request).block_on()).await
    }
    async fn modify_image_attribute(
        &self,
        region: &Region,
        request: request::ModifyImageAttribute,
    ) -> Result<(), ApiError> {
        self.call("ModifyImageAttribute", |simulation| {
            simulation.cloud.modify_image_attribute(region, request).block_on()
        })
        .await
    }
    async fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError> {
        self.call("DescribeInstances", |simulation| simulation.cloud.describe_instances(region, request).block_on())
            .await
    }
    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        self.call("ModifySnapshotAttribute", |simulation| {
            simulation.cloud.modify_snapshot_attribute(region, request).block_on()
        })
        .await
    }
    async fn describe_launch_permission(
        &self,
        region: &Region,
        image: &ImageId,
    ) -> Result<resource::Permissions, ApiError> {
        self.call("DescribeImageAttribute", |simulation| {
            simulation.cloud.describe_launch_permission(region, image).block_on()
        })
        .await
    }
    async fn enable_image_deprecation(
        &self,
        region: &Region,
        request: request::EnableImageDeprecation,
    ) -> Result<(), ApiError> {
        self.call("EnableImageDeprecation", |simulation| {
            simulation.cloud.enable_image_deprecation(region, request).block_on()
        })
        .await
    }
    async fn enable_image_deregistration_protection(
        &self,
        region: &Region,
        request: request::EnableImageDeregistrationProtection,
    ) -> Result<(), ApiError> {
        self.call("EnableImageDeregistrationProtection", |simulation| {
            simulation.cloud.enable_image_deregistration_protection(region, request).block_on()
        })
        .await
    }
    async fn disable_image_deregistration_protection(&self, region: &Region, image: &ImageId) -> Result<(), ApiError> {
        self.call("DisableImageDeregistrationProtection", |simulation| {
            simulation.cloud.disable_image_deregistration_protection(region, image).block_on()
        })
        .await
    }
    async fn attach_image_watermark(
        &self,
        region: &Region,
        request: request::AttachImageWatermark,
    ) -> Result<(), ApiError> {
        self.call("AttachImageWatermark", |simulation| {
            simulation.cloud.attach_image_watermark(region, request).block_on()
        })
        .await
    }
    async fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError> {
        self.call("CreateTags", |simulation| simulation.cloud.create_tags(region, request).block_on()).await
    }
    async fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError> {
        self.call("DeregisterImage", |simulation| simulation.cloud.deregister_image(region, request).block_on()).await
    }
    async fn create_volume(
        &self,
        region: &Region,
        request: request::CreateVolume,
    ) -> Result<resource::Volume, ApiError> {
        self.call("CreateVolume", |simulation| {
            let volume = simulation.cloud.create_volume(region, request).block_on()?;
            simulation.state().volume_zones.push(volume.availability_zone.clone());
            simulation
                .notify("EBS Volume Notification", &format!("arn:aws:ec2:{region}:1:volume/{}", volume.volume_id));
            Ok(volume)
        })
        .await
    }
    async fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.must_not_be_mounted(&request.volume_id, "detaching");
        self.call("DetachVolume", |simulation| simulation.cloud.detach_volume(region, request).block_on()).await
    }
    async fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError> {
        self.must_not_be_mounted(&request.volume_id, "a snapshot");
        self.call("CreateSnapshot", |simulation| {
            let snapshot = simulation.cloud.create_snapshot(region, request).block_on()?;
            let arn = format!("arn:aws:ec2::{region}:snapshot/{}", snapshot.snapshot_id);
            simulation.notify("EBS Snapshot Notification", &arn);
            Ok(snapshot)
        })
        .await
    }
    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.call("DeleteSnapshot", |simulation| simulation.cloud.delete_snapshot(region, snapshot).block_on()).await
    }
    async fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError> {
        self.call("RegisterImage", |simulation| {
            let image = simulation.cloud.register_image(region, request).block_on()?;
            simulation.notify("EC2 AMI State Change", &format!("arn:aws:ec2:{region}::image/{image}"));
            Ok(image)
        })
        .await
    }
    async fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError> {
        self.call("CopyImage", |simulation| {
            let image = simulation.cloud.copy_image(region, request).block_on()?;
            simulation.notify("EC2 AMI State Change", &format!("arn:aws:ec2:{region}::image/{image}"));
            Ok(image)
        })
        .await
    }
    async fn start_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.call("StartInstances", |simulation| simulation.cloud.start_instances(region, instance).block_on()).await
    }
    async fn stop_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.call("StopInstances", |simulation| simulation.cloud.stop_instances(region, instance).block_on()).await
    }
}
