//! The model in memory, with a clock that tests set: scenarios run in virtual time, without disks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bakehouse_protocol::{ImageId, InstanceId, Millis, Region, SnapshotId, Timestamp, spec::CopyRole};

use crate::{
    ApiError, Ec2, EmbeddedCloud, Model,
    request::{
        AttachImageWatermark, AttachVolume, CopyImage, CreateSnapshot, CreateTags, CreateVolume, DeleteVolume,
        DeregisterImage, DescribeImages, DescribeInstances, DescribeSnapshots, DescribeVolumes, DetachVolume,
        EnableImageDeprecation, EnableImageDeregistrationProtection, ModifyImageAttribute, ModifySnapshotAttribute,
        RegisterImage,
    },
    resource::{
        DeleteSnapshotResult, Image, Instance, InstanceState, Permissions, Snapshot, Tags, Volume, VolumeAttachment,
    },
};

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it was made.
    pub at: Timestamp,
    /// The account that made it.
    pub account: String,
    /// The region; absent for DescribeRegions.
    pub region: Option<Region>,
    /// EC2's name of the call.
    pub action: &'static str,
    /// The resource: an id, or a name if there is no id yet. Empty for a describe call with filters only.
    pub resource: String,
    /// The existing resources that the call uses, changes or deletes, by id, with their tags at that time, on which IAM
    /// decides. Empty for a describe call.
    pub on: Vec<(String, Tags)>,
    /// The tags that it sets, or creates resources with.
    pub tags: Tags,
    /// The error's code, if it was refused.
    pub error: Option<String>,
}

/// An EC2 in memory, for the calls of one account. Each call is atomic.
#[derive(Debug)]
pub struct VirtualCloud {
    inner: Arc<Mutex<Inner>>,
    /// `None`: the model's own account.
    caller: Option<String>,
}

#[derive(Debug)]
struct Inner {
    model: Model,
    now: Timestamp,
    calls: Vec<Call>,
}

impl VirtualCloud {
    /// A cloud with this model, at this time.
    pub fn new(model: Model, now: Timestamp) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { model, now, calls: Vec::new() })), caller: None }
    }

    /// The same EC2 for the calls of another account; `None`: of the model's own.
    #[must_use]
    pub fn with_caller(&self, account: Option<String>) -> Self {
        Self { inner: Arc::clone(&self.inner), caller: account }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each call is atomic, so a panic elsewhere does not matter.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.model.set_caller(self.caller.clone());
        inner
    }

    /// The time of its clock.
    pub fn now(&self) -> Timestamp {
        self.inner().now
    }

    /// Sets the clock, but never back.
    pub fn set_now(&self, now: Timestamp) {
        let mut inner = self.inner();
        inner.now = inner.now.max(now);
    }

    /// Advances the clock.
    pub fn pass(&self, length: Millis) {
        let mut inner = self.inner();
        inner.now = inner.now + length;
    }

    /// Reads or changes the model directly.
    pub fn with<T>(&self, f: impl FnOnce(&mut Model, Timestamp) -> T) -> T {
        let mut inner = self.inner();
        let now = inner.now;
        f(&mut inner.model, now)
    }

    /// The calls so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    /// A call that changes nothing.
    fn describe<T>(
        &self,
        region: Option<&Region>,
        action: &'static str,
        resource: String,
        f: impl FnOnce(&mut Model, Timestamp) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let recorded = Recorded { region, action, resource, on: vec![], on_in: region, tags: Tags::new() };
        self.perform(recorded, f)
    }

    /// A call that changes one resource and creates none.
    fn change<T>(
        &self,
        region: &Region,
        action: &'static str,
        id: impl ToString,
        f: impl FnOnce(&mut Model, Timestamp) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let id = id.to_string();
        self.perform(Recorded { on: vec![id.clone()], ..Recorded::new(region, action, id) }, f)
    }

    fn perform<T>(
        &self,
        recorded: Recorded<'_>,
        f: impl FnOnce(&mut Model, Timestamp) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let Recorded { region, action, resource, on, on_in, tags } = recorded;
        let mut inner = self.inner();
        let now = inner.now;
        let model = &mut inner.model;
        let on = on.into_iter().filter_map(|id| model.tags_on(now, on_in?, &id).map(|tags| (id, tags))).collect();
        let result = f(model, now);
        let error = result.as_ref().err().map(|error| error.code.to_string());
        let account = inner.model.caller().to_owned();
        inner.calls.push(Call { at: now, account, region: region.cloned(), action, resource, on, tags, error });
        result
    }
}

/// What is recorded of a call before it is performed.
struct Recorded<'a> {
    region: Option<&'a Region>,
    action: &'static str,
    resource: String,
    on: Vec<String>,
    /// The region of those: another one for CopyImage.
    on_in: Option<&'a Region>,
    tags: Tags,
}

impl<'a> Recorded<'a> {
    fn new(region: &'a Region, action: &'static str, resource: impl ToString) -> Self {
        let (region, resource) = (Some(region), resource.to_string());
        Self { region, action, resource, on: vec![], on_in: region, tags: Tags::new() }
    }
}

fn texts<'a, T: ToString + 'a>(ids: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    ids.into_iter().map(ToString::to_string).collect()
}

fn join<T: ToString>(ids: &[T]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[async_trait]
impl Ec2 for VirtualCloud {
    fn with_role(&self, role: Option<&CopyRole>) -> Self {
        self.with_caller(role.map(|role| role.arn.account().to_owned()))
    }

    async fn account(&self) -> Result<String, ApiError> {
        Ok(self.inner().model.caller().to_owned())
    }

    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.describe(None, "DescribeRegions", String::new(), |model, _| Ok(model.describe_regions()))
    }

    async fn start_instances(&self, region: &Region, instance: &InstanceId) -> Result<InstanceState, ApiError> {
        self.change(region, "StartInstances", instance, |model, now| model.start_instance(now, region, instance))
    }

    async fn stop_instances(&self, region: &Region, instance: &InstanceId) -> Result<InstanceState, ApiError> {
        self.change(region, "StopInstances", instance, |model, now| model.stop_instance(now, region, instance))
    }

    async fn describe_instances(&self, region: &Region, request: DescribeInstances) -> Result<Vec<Instance>, ApiError> {
        self.describe(Some(region), "DescribeInstances", join(&request.instance_ids), |model, now| {
            model.describe_instances(now, region, &request)
        })
    }

    async fn describe_images(&self, region: &Region, request: DescribeImages) -> Result<Vec<Image>, ApiError> {
        self.describe(Some(region), "DescribeImages", join(&request.image_ids), |model, now| {
            model.describe_images(now, region, &request)
        })
    }

    async fn describe_snapshots(&self, region: &Region, request: DescribeSnapshots) -> Result<Vec<Snapshot>, ApiError> {
        self.describe(Some(region), "DescribeSnapshots", join(&request.snapshot_ids), |model, now| {
            model.describe_snapshots(now, region, &request)
        })
    }

    async fn describe_volumes(&self, region: &Region, request: DescribeVolumes) -> Result<Vec<Volume>, ApiError> {
        self.describe(Some(region), "DescribeVolumes", join(&request.volume_ids), |model, now| {
            model.describe_volumes(now, region, &request)
        })
    }

    async fn create_volume(&self, region: &Region, request: CreateVolume) -> Result<Volume, ApiError> {
        let on = texts(&request.snapshot_id);
        let recorded = Recorded {
            on,
            tags: request.tags.clone(),
            ..Recorded::new(region, "CreateVolume", join(request.snapshot_id.as_slice()))
        };
        self.perform(recorded, |model, now| model.create_volume(now, region, &request))
    }

    async fn attach_volume(&self, region: &Region, request: AttachVolume) -> Result<VolumeAttachment, ApiError> {
        let on = vec![request.volume_id.to_string(), request.instance_id.to_string()];
        let recorded = Recorded { on, ..Recorded::new(region, "AttachVolume", &request.volume_id) };
        self.perform(recorded, |model, now| model.attach_volume(now, region, &request))
    }

    async fn detach_volume(&self, region: &Region, request: DetachVolume) -> Result<VolumeAttachment, ApiError> {
        self.change(region, "DetachVolume", &request.volume_id, |model, now| model.detach_volume(now, region, &request))
    }

    async fn delete_volume(&self, region: &Region, request: DeleteVolume) -> Result<(), ApiError> {
        self.change(region, "DeleteVolume", &request.volume_id, |model, now| model.delete_volume(now, region, &request))
    }

    async fn create_snapshot(&self, region: &Region, request: CreateSnapshot) -> Result<Snapshot, ApiError> {
        let on = vec![request.volume_id.to_string()];
        let recorded =
            Recorded { on, tags: request.tags.clone(), ..Recorded::new(region, "CreateSnapshot", &request.volume_id) };
        self.perform(recorded, |model, now| model.create_snapshot(now, region, &request))
    }

    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.change(region, "DeleteSnapshot", snapshot, |model, now| model.delete_snapshot(now, region, snapshot))
    }

    async fn register_image(&self, region: &Region, request: RegisterImage) -> Result<ImageId, ApiError> {
        let on = texts(request.block_device_mappings.iter().filter_map(|it| it.ebs.as_ref()?.snapshot_id.as_ref()));
        let recorded =
            Recorded { on, tags: request.tags.clone(), ..Recorded::new(region, "RegisterImage", &request.name) };
        self.perform(recorded, |model, now| model.register_image(now, region, &request))
    }

    async fn copy_image(&self, region: &Region, request: CopyImage) -> Result<ImageId, ApiError> {
        let recorded = Recorded {
            on: vec![request.source_image_id.to_string()],
            on_in: Some(&request.source_region),
            tags: request.image_tags.clone(),
            ..Recorded::new(region, "CopyImage", &request.source_image_id)
        };
        self.perform(recorded, |model, now| model.copy_image(now, region, &request))
    }

    async fn modify_image_attribute(&self, region: &Region, request: ModifyImageAttribute) -> Result<(), ApiError> {
        self.change(region, "ModifyImageAttribute", &request.image_id, |model, now| {
            model.modify_image_attribute(now, region, &request)
        })
    }

    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        self.change(region, "ModifySnapshotAttribute", &request.snapshot_id, |model, now| {
            model.modify_snapshot_attribute(now, region, &request)
        })
    }

    async fn describe_launch_permission(&self, region: &Region, image: &ImageId) -> Result<Permissions, ApiError> {
        self.describe(Some(region), "DescribeImageAttribute", image.to_string(), |model, _| {
            model.describe_launch_permission(region, image)
        })
    }

    async fn enable_image_deprecation(&self, region: &Region, request: EnableImageDeprecation) -> Result<(), ApiError> {
        self.change(region, "EnableImageDeprecation", &request.image_id, |model, now| {
            model.enable_image_deprecation(now, region, &request)
        })
    }

    async fn enable_image_deregistration_protection(
        &self,
        region: &Region,
        request: EnableImageDeregistrationProtection,
    ) -> Result<(), ApiError> {
        self.change(region, "EnableImageDeregistrationProtection", &request.image_id, |model, now| {
            model.enable_image_deregistration_protection(now, region, &request)
        })
    }

    async fn disable_image_deregistration_protection(&self, region: &Region, image: &ImageId) -> Result<(), ApiError> {
        self.change(region, "DisableImageDeregistrationProtection", image, |model, now| {
            model.disable_image_deregistration_protection(now, region, image)
        })
    }

    async fn attach_image_watermark(&self, region: &Region, request: AttachImageWatermark) -> Result<(), ApiError> {
        self.change(region, "AttachImageWatermark", &request.image_id, |model, now| {
            model.attach_image_watermark(now, region, &request)
        })
    }

    async fn create_tags(&self, region: &Region, request: CreateTags) -> Result<(), ApiError> {
        let recorded = Recorded {
            on: request.resources.clone(),
            tags: request.tags.clone(),
            ..Recorded::new(region, "CreateTags", join(&request.resources))
        };
        self.perform(recorded, |model, now| model.create_tags(now, region, &request))
    }

    async fn deregister_image(
        &self,
        region: &Region,
        request: DeregisterImage,
    ) -> Result<Vec<DeleteSnapshotResult>, ApiError> {
        self.change(region, "DeregisterImage", &request.image_id, |model, now| {
            model.deregister_image(now, region, &request)
        })
    }
}

impl EmbeddedCloud for VirtualCloud {
    fn as_account(&self, account: &str) -> Arc<dyn EmbeddedCloud> {
        Arc::new(self.with_caller(Some(account.to_owned())))
    }

    fn disable_image_deprecation(&self, region: &Region, image: &ImageId) -> Result<(), ApiError> {
        self.change(region, "DisableImageDeprecation", image, |model, now| {
            model.disable_image_deprecation(now, region, image)
        })
    }
}
