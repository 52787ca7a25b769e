//! The model under a clock that tests set: scenarios run in virtual time, without disks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bakehouse_protocol::{ImageId, InstanceId, Millis, Region, SnapshotId, Timestamp};

use crate::{
    ApiError, Ec2, Model,
    request::{
        AttachVolume, CopyImage, CreateSnapshot, CreateTags, CreateVolume, DeleteVolume, DeregisterImage,
        DescribeImages, DescribeInstances, DescribeSnapshots, DescribeVolumes, DetachVolume, ModifyImageAttribute,
        ModifySnapshotAttribute, RegisterImage,
    },
    resource::{DeleteSnapshotResult, Image, Instance, InstanceState, Snapshot, Volume, VolumeAttachment},
};

/// One call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When.
    pub at: Timestamp,
    /// To which region; absent for DescribeRegions.
    pub region: Option<Region>,
    /// EC2's name of the call.
    pub action: &'static str,
    /// What it was about: an id, or a name where there is no id yet. Empty for a describe call with filters only.
    pub resource: String,
    /// The error's code, if it was refused.
    pub error: Option<String>,
}

/// An EC2 that lives in memory. It is shared by reference; each call is atomic.
#[derive(Debug)]
pub struct VirtualCloud(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    model: Model,
    now: Timestamp,
    calls: Vec<Call>,
}

impl VirtualCloud {
    /// A cloud with this content, at this moment.
    pub fn new(model: Model, now: Timestamp) -> Self {
        Self(Mutex::new(Inner { model, now, calls: Vec::new() }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A test that panicked elsewhere does not make the state wrong: every call is all or nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its clock says.
    pub fn now(&self) -> Timestamp {
        self.inner().now
    }

    /// Sets the clock; never back.
    pub fn set_now(&self, now: Timestamp) {
        let mut inner = self.inner();
        inner.now = inner.now.max(now);
    }

    /// Lets time pass.
    pub fn pass(&self, length: Millis) {
        let mut inner = self.inner();
        inner.now = inner.now + length;
    }

    /// Looks at or changes the model directly, with the time.
    pub fn with<T>(&self, f: impl FnOnce(&mut Model, Timestamp) -> T) -> T {
        let mut inner = self.inner();
        let now = inner.now;
        f(&mut inner.model, now)
    }

    /// The calls so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.inner().calls.clone()
    }

    fn call<T>(
        &self,
        region: Option<&Region>,
        action: &'static str,
        resource: String,
        f: impl FnOnce(&mut Model, Timestamp) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut inner = self.inner();
        let now = inner.now;
        let result = f(&mut inner.model, now);
        let error = result.as_ref().err().map(|error| error.code.to_string());
        inner.calls.push(Call { at: now, region: region.cloned(), action, resource, error });
        result
    }
}

fn join<T: ToString>(ids: &[T]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Ec2 for VirtualCloud {
    fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.call(None, "DescribeRegions", String::new(), |model, _| Ok(model.describe_regions()))
    }

    fn describe_instances(&self, region: &Region, request: DescribeInstances) -> Result<Vec<Instance>, ApiError> {
        self.call(Some(region), "DescribeInstances", join(&request.instance_ids), |model, now| {
            model.describe_instances(now, region, &request)
        })
    }

    fn start_instances(&self, region: &Region, instance: &InstanceId) -> Result<InstanceState, ApiError> {
        self.call(Some(region), "StartInstances", instance.to_string(), |model, now| {
            model.start_instance(now, region, instance)
        })
    }

    fn stop_instances(&self, region: &Region, instance: &InstanceId) -> Result<InstanceState, ApiError> {
        self.call(Some(region), "StopInstances", instance.to_string(), |model, now| {
            model.stop_instance(now, region, instance)
        })
    }

    fn describe_images(&self, region: &Region, request: DescribeImages) -> Result<Vec<Image>, ApiError> {
        self.call(Some(region), "DescribeImages", join(&request.image_ids), |model, now| {
            model.describe_images(now, region, &request)
        })
    }

    fn describe_snapshots(&self, region: &Region, request: DescribeSnapshots) -> Result<Vec<Snapshot>, ApiError> {
        self.call(Some(region), "DescribeSnapshots", join(&request.snapshot_ids), |model, now| {
            model.describe_snapshots(now, region, &request)
        })
    }

    fn describe_volumes(&self, region: &Region, request: DescribeVolumes) -> Result<Vec<Volume>, ApiError> {
        self.call(Some(region), "DescribeVolumes", join(&request.volume_ids), |model, now| {
            model.describe_volumes(now, region, &request)
        })
    }

    fn create_volume(&self, region: &Region, request: CreateVolume) -> Result<Volume, ApiError> {
        let resource = request.snapshot_id.as_ref().map(ToString::to_string).unwrap_or_default();
        self.call(Some(region), "CreateVolume", resource, |model, now| model.create_volume(now, region, &request))
    }

    fn attach_volume(&self, region: &Region, request: AttachVolume) -> Result<VolumeAttachment, ApiError> {
        self.call(Some(region), "AttachVolume", request.volume_id.to_string(), |model, now| {
            model.attach_volume(now, region, &request)
        })
    }

    fn detach_volume(&self, region: &Region, request: DetachVolume) -> Result<VolumeAttachment, ApiError> {
        self.call(Some(region), "DetachVolume", request.volume_id.to_string(), |model, now| {
            model.detach_volume(now, region, &request)
        })
    }

    fn delete_volume(&self, region: &Region, request: DeleteVolume) -> Result<(), ApiError> {
        self.call(Some(region), "DeleteVolume", request.volume_id.to_string(), |model, now| {
            model.delete_volume(now, region, &request)
        })
    }

    fn create_snapshot(&self, region: &Region, request: CreateSnapshot) -> Result<Snapshot, ApiError> {
        self.call(Some(region), "CreateSnapshot", request.volume_id.to_string(), |model, now| {
            model.create_snapshot(now, region, &request)
        })
    }

    fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.call(Some(region), "DeleteSnapshot", snapshot.to_string(), |model, now| {
            model.delete_snapshot(now, region, snapshot)
        })
    }

    fn register_image(&self, region: &Region, request: RegisterImage) -> Result<ImageId, ApiError> {
        self.call(Some(region), "RegisterImage", request.name.clone(), |model, now| {
            model.register_image(now, region, &request)
        })
    }

    fn copy_image(&self, region: &Region, request: CopyImage) -> Result<ImageId, ApiError> {
        self.call(Some(region), "CopyImage", request.source_image_id.to_string(), |model, now| {
            model.copy_image(now, region, &request)
        })
    }

    fn modify_image_attribute(&self, region: &Region, request: ModifyImageAttribute) -> Result<(), ApiError> {
        self.call(Some(region), "ModifyImageAttribute", request.image_id.to_string(), |model, now| {
            model.modify_image_attribute(now, region, &request)
        })
    }

    fn modify_snapshot_attribute(&self, region: &Region, request: ModifySnapshotAttribute) -> Result<(), ApiError> {
        self.call(Some(region), "ModifySnapshotAttribute", request.snapshot_id.to_string(), |model, now| {
            model.modify_snapshot_attribute(now, region, &request)
        })
    }

    fn create_tags(&self, region: &Region, request: CreateTags) -> Result<(), ApiError> {
        self.call(Some(region), "CreateTags", join(&request.resources), |model, now| {
            model.create_tags(now, region, &request)
        })
    }

    fn deregister_image(
        &self,
        region: &Region,
        request: DeregisterImage,
    ) -> Result<Vec<DeleteSnapshotResult>, ApiError> {
        self.call(Some(region), "DeregisterImage", request.image_id.to_string(), |model, now| {
            model.deregister_image(now, region, &request)
        })
    }
}
