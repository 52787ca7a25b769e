//! Records the calls that a build makes to EC2's model, with all their parameters.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bakehouse_ec2::{ApiError, Ec2, request, resource};
use bakehouse_localcloud::VirtualCloud;
use bakehouse_machine::{AccountRegion, phase::PhaseName};
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, Timestamp, spec::CopyRole};
use serde::Serialize;

use super::values::parameters;

/// One call that a build would make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedCall {
    /// In which phase of the build.
    pub phase: PhaseName,
    /// When, in virtual time.
    pub at: Timestamp,
    /// The region.
    pub region: Region,
    /// The account of the role that makes it; absent: the build's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// EC2's name of the call.
    pub action: &'static str,
    /// Its parameters by EC2's names, in their order; ids that do not exist yet are replaced by what they stand for.
    pub parameters: Vec<(String, String)>,
}

/// EC2's model, with a record of the calls that change something.
pub(super) struct Recorder {
    pub(super) cloud: VirtualCloud,
    /// The account of the role that makes the calls.
    account: Option<String>,
    recorded: Arc<Mutex<Recorded>>,
}

#[derive(Default)]
struct Recorded {
    phase: Option<PhaseName>,
    calls: Vec<PlannedCall>,
    /// What stands for an id of the model.
    labels: BTreeMap<String, String>,
    copies: Vec<Copy>,
}

struct Copy {
    region: Region,
    account: Option<String>,
    image: ImageId,
}

impl Recorder {
    pub(super) fn new(cloud: VirtualCloud) -> Self {
        Self { cloud, account: None, recorded: Arc::default() }
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the phase of the next calls.
    pub(super) fn set_phase(&self, phase: PhaseName) {
        self.recorded().phase = Some(phase);
    }

    /// Sets what is shown in place of an id.
    pub(super) fn label(&self, id: impl ToString, label: impl Into<String>) {
        self.recorded().labels.insert(id.to_string(), label.into());
    }

    /// Names the snapshots of the copies, which the model shows once they are complete.
    pub(super) async fn label_snapshots_of_copies(&self) -> Result<(), ApiError> {
        let copies = std::mem::take(&mut self.recorded().copies);
        for Copy { region, account, image } in copies {
            let request = request::DescribeImages { image_ids: vec![image], ..request::DescribeImages::default() };
            for copy in self.cloud.with_caller(account.clone()).describe_images(&region, request).await? {
                if let Some(id) = copy.root_snapshot() {
                    self.label(
                        id,
                        format!("(its snapshot in {})", AccountRegion::describe(region.as_str(), account.as_deref())),
                    );
                }
            }
        }
        Ok(())
    }

    /// Returns the calls, oldest first.
    pub(super) fn into_calls(self) -> Vec<PlannedCall> {
        let Recorded { mut calls, labels, .. } = std::mem::take(&mut *self.recorded());
        for (_, value) in calls.iter_mut().flat_map(|call| &mut call.parameters) {
            if let Some(label) = labels.get(value) {
                value.clone_from(label);
            }
        }
        calls
    }

    fn record(&self, region: &Region, action: &'static str, request: &impl Serialize) -> Result<(), ApiError> {
        let parameters = parameters(request)?;
        let phase = self.recorded().phase.unwrap_or(PhaseName::Accepted);
        let (region, account) = (region.clone(), self.account.clone());
        let call = PlannedCall { phase, at: self.cloud.now(), region, account, action, parameters };
        self.recorded().calls.push(call);
        Ok(())
    }
}

/// Requests that are only an id.
fn id(name: &str, id: impl ToString) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), id.to_string())])
}

#[async_trait]
impl Ec2 for Recorder {
    fn with_role(&self, role: Option<&CopyRole>) -> Self {
        let account = role.map(|role| role.arn.account().to_owned());
        Self { cloud: self.cloud.with_role(role), account, recorded: Arc::clone(&self.recorded) }
    }

    async fn account(&self) -> Result<String, ApiError> {
        self.cloud.account().await
    }

    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.cloud.describe_regions().await
    }

    async fn start_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.cloud.start_instances(region, instance).await
    }

    async fn stop_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.cloud.stop_instances(region, instance).await
    }

    async fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError> {
        self.cloud.describe_instances(region, request).await
    }

    async fn describe_launch_permission(
        &self,
        region: &Region,
        image: &ImageId,
    ) -> Result<resource::Permissions, ApiError> {
        self.cloud.describe_launch_permission(region, image).await
    }

    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        self.cloud.describe_images(region, request).await
    }

    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        self.cloud.describe_snapshots(region, request).await
    }

    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        self.cloud.describe_volumes(region, request).await
    }

    async fn create_volume(
        &self,
        region: &Region,
        request: request::CreateVolume,
    ) -> Result<resource::Volume, ApiError> {
        self.record(region, "CreateVolume", &request)?;
        let volume = self.cloud.create_volume(region, request).await?;
        self.label(&volume.volume_id, "(the work volume)");
        Ok(volume)
    }

    async fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.record(region, "AttachVolume", &request)?;
        self.cloud.attach_volume(region, request).await
    }

    async fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.record(region, "DetachVolume", &request)?;
        self.cloud.detach_volume(region, request).await
    }

    async fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError> {
        self.record(region, "DeleteVolume", &request)?;
        self.cloud.delete_volume(region, request).await
    }

    async fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError> {
        self.record(region, "CreateSnapshot", &request)?;
        let snapshot = self.cloud.create_snapshot(region, request).await?;
        self.label(&snapshot.snapshot_id, "(the snapshot)");
        Ok(snapshot)
    }

    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.record(region, "DeleteSnapshot", &id("SnapshotId", snapshot))?;
        self.cloud.delete_snapshot(region, snapshot).await
    }

    async fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError> {
        self.record(region, "RegisterImage", &request)?;
        let image = self.cloud.register_image(region, request).await?;
        self.label(&image, "(the image)");
        Ok(image)
    }

    async fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError> {
        self.record(region, "CopyImage", &request)?;
        let image = self.cloud.copy_image(region, request).await?;
        let (region, account) = (region.clone(), self.account.clone());
        self.label(&image, format!("(the image in {})", AccountRegion::describe(region.as_str(), account.as_deref())));
        self.recorded().copies.push(Copy { region, account, image: image.clone() });
        Ok(image)
    }

    async fn modify_image_attribute(
        &self,
        region: &Region,
        request: request::ModifyImageAttribute,
    ) -> Result<(), ApiError> {
        self.record(region, "ModifyImageAttribute", &request)?;
        self.cloud.modify_image_attribute(region, request).await
    }

    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        self.record(region, "ModifySnapshotAttribute", &request)?;
        self.cloud.modify_snapshot_attribute(region, request).await
    }

    async fn enable_image_deprecation(
        &self,
        region: &Region,
        request: request::EnableImageDeprecation,
    ) -> Result<(), ApiError> {
        self.record(region, "EnableImageDeprecation", &request)?;
        self.cloud.enable_image_deprecation(region, request).await
    }

    async fn enable_image_deregistration_protection(
        &self,
        region: &Region,
        request: request::EnableImageDeregistrationProtection,
    ) -> Result<(), ApiError> {
        self.record(region, "EnableImageDeregistrationProtection", &request)?;
        self.cloud.enable_image_deregistration_protection(region, request).await
    }

    async fn attach_image_watermark(
        &self,
        region: &Region,
        request: request::AttachImageWatermark,
    ) -> Result<(), ApiError> {
        self.record(region, "AttachImageWatermark", &request)?;
        self.cloud.attach_image_watermark(region, request).await
    }

    async fn disable_image_deregistration_protection(&self, region: &Region, image: &ImageId) -> Result<(), ApiError> {
        self.record(region, "DisableImageDeregistrationProtection", &id("ImageId", image))?;
        self.cloud.disable_image_deregistration_protection(region, image).await
    }

    async fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError> {
        self.record(region, "CreateTags", &request)?;
        self.cloud.create_tags(region, request).await
    }

    async fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError> {
        self.record(region, "DeregisterImage", &request)?;
        self.cloud.deregister_image(region, request).await
    }
}
