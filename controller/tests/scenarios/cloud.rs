//! EC2's model with calls that fail as planned, and with the two rules that no build may break whatever happens: no
//! snapshot of, and no detaching of, a volume that the agent has mounted.

use pollster::FutureExt as _;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bakehouse_localcloud::{ApiError, Ec2, VirtualCloud, request, resource};
use bakehouse_machine::tags::BUILD_TAG;
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, spec::CopyRole};

use crate::{older, state::State};

/// What STS says of a role whose trust policy does not name the caller.
const NOT_ASSUMED: &str = "User: bake is not authorized to perform: sts:AssumeRole on resource: images";

pub struct FaultyCloud {
    pub cloud: Arc<VirtualCloud>,
    pub state: Arc<Mutex<State>>,
    /// Whether a role of another account calls.
    pub is_role: bool,
}

impl FaultyCloud {
    fn call<T>(&self, action: &str, f: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
        let fails = {
            let mut state = self.state.lock().expect("the state");
            state.operation_begins();
            let fails = state.fails(action);
            let is_refused = self.is_role && state.script.role_refused;
            fails.or_else(|| is_refused.then(|| ("AccessDenied".into(), NOT_ASSUMED.into(), false)))
        };
        let answer = match fails {
            None => f(),
            Some((code, message, performed)) => {
                if performed {
                    let _ = f();
                }
                Err(ApiError::new(code, message))
            }
        };
        self.state.lock().expect("the state").operation_ends();
        answer
    }

    /// Whether the script refuses an action in a region.
    fn check_right(&self, action: &str, region: &Region) -> Result<(), ApiError> {
        let state = self.state.lock().expect("the state");
        match &state.script.refuses {
            Some((refused, there)) if refused == action && there == region => {
                Err(ApiError::new("UnauthorizedOperation", "You are not authorized to perform this operation."))
            }
            _ => Ok(()),
        }
    }

    fn must_not_be_mounted(&self, volume: &bakehouse_protocol::VolumeId, action: &str) {
        let state = self.state.lock().expect("the state");
        assert!(!state.mounted.contains(volume), "{action} of {volume}, which the agent has mounted");
    }
}

#[async_trait]
impl Ec2 for FaultyCloud {
    fn with_role(&self, role: Option<&CopyRole>) -> Self {
        let cloud = Arc::new(self.cloud.with_role(role));
        Self { cloud, state: Arc::clone(&self.state), is_role: role.is_some() }
    }
    async fn account(&self) -> Result<String, ApiError> {
        self.call("GetCallerIdentity", || self.cloud.account().block_on())
    }
    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.call("DescribeRegions", || self.cloud.describe_regions().block_on())
    }
    async fn start_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.call("StartInstances", || self.cloud.start_instances(region, instance).block_on())
    }
    async fn stop_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.call("StopInstances", || self.cloud.stop_instances(region, instance).block_on())
    }
    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        self.call("DescribeImages", || self.cloud.describe_images(region, request).block_on())
    }
    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        self.call("DescribeSnapshots", || self.cloud.describe_snapshots(region, request).block_on())
    }
    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        self.call("DescribeVolumes", || self.cloud.describe_volumes(region, request).block_on())
    }
    async fn create_volume(
        &self,
        region: &Region,
        request: request::CreateVolume,
    ) -> Result<resource::Volume, ApiError> {
        self.call("CreateVolume", || self.cloud.create_volume(region, request).block_on())
    }
    async fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.call("AttachVolume", || self.cloud.attach_volume(region, request).block_on())
    }
    async fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.must_not_be_mounted(&request.volume_id, "detaching");
        self.call("DetachVolume", || self.cloud.detach_volume(region, request).block_on())
    }
    async fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError> {
        self.call("DeleteVolume", || self.cloud.delete_volume(region, request).block_on())
    }
    async fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError> {
        self.must_not_be_mounted(&request.volume_id, "a snapshot");
        self.call("CreateSnapshot", || self.cloud.create_snapshot(region, request).block_on())
    }
    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.call("DeleteSnapshot", || self.cloud.delete_snapshot(region, snapshot).block_on())
    }
    async fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError> {
        // An image that is registered again has the tags of its own build.
        let is_new = request.tags.get(BUILD_TAG).is_none_or(|build| build != older::BUILD);
        let right = if is_new { self.check_right("RegisterImage", region) } else { Ok(()) };
        self.call("RegisterImage", || right.and_then(|()| self.cloud.register_image(region, request).block_on()))
    }
    async fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError> {
        let failing = self.state.lock().expect("the state").script.image_fails.as_ref() == Some(region);
        self.call("CopyImage", || {
            let id = self.cloud.copy_image(region, request).block_on()?;
            if failing {
                self.cloud.with(|model, now| model.fail_image(now, region, &id, "Given key ID is not accessible"))?;
            }
            Ok(id)
        })
    }
    async fn modify_image_attribute(
        &self,
        region: &Region,
        request: request::ModifyImageAttribute,
    ) -> Result<(), ApiError> {
        self.call("ModifyImageAttribute", || self.cloud.modify_image_attribute(region, request).block_on())
    }
    async fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError> {
        self.call("DescribeInstances", || self.cloud.describe_instances(region, request).block_on())
    }
    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        self.call("ModifySnapshotAttribute", || self.cloud.modify_snapshot_attribute(region, request).block_on())
    }
    async fn describe_launch_permission(
        &self,
        region: &Region,
        image: &ImageId,
    ) -> Result<resource::Permissions, ApiError> {
        self.call("DescribeImageAttribute", || self.cloud.describe_launch_permission(region, image).block_on())
    }
    async fn enable_image_deprecation(
        &self,
        region: &Region,
        request: request::EnableImageDeprecation,
    ) -> Result<(), ApiError> {
        self.call("EnableImageDeprecation", || self.cloud.enable_image_deprecation(region, request).block_on())
    }
    async fn enable_image_deregistration_protection(
        &self,
        region: &Region,
        request: request::EnableImageDeregistrationProtection,
    ) -> Result<(), ApiError> {
        let right = self.check_right("EnableImageDeregistrationProtection", region);
        self.call("EnableImageDeregistrationProtection", || {
            right.and_then(|()| self.cloud.enable_image_deregistration_protection(region, request).block_on())
        })
    }
    async fn disable_image_deregistration_protection(&self, region: &Region, image: &ImageId) -> Result<(), ApiError> {
        self.call("DisableImageDeregistrationProtection", || {
            self.cloud.disable_image_deregistration_protection(region, image).block_on()
        })
    }
    async fn attach_image_watermark(
        &self,
        region: &Region,
        request: request::AttachImageWatermark,
    ) -> Result<(), ApiError> {
        self.call("AttachImageWatermark", || self.cloud.attach_image_watermark(region, request).block_on())
    }
    async fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError> {
        self.call("CreateTags", || self.cloud.create_tags(region, request).block_on())
    }
    async fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError> {
        // Only of images that the build did not make, which stay behind if they can't be removed.
        let all = self.cloud.with(|model, now| model.everything(now)).into_iter().flat_map(|place| place.images);
        let is_older = all.into_iter().any(|image| {
            image.image_id == request.image_id && image.tags.get(BUILD_TAG).is_some_and(|build| build == older::BUILD)
        });
        let right = if is_older { self.check_right("DeregisterImage", region) } else { Ok(()) };
        self.call("DeregisterImage", || right.and_then(|()| self.cloud.deregister_image(region, request).block_on()))
    }
}
