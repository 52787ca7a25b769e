//! The calls that a build makes to EC2, over any [`Ec2`]: the embedded cloud, its model in tests, or EC2 through the
//! SDK. This is the one place that makes each call safe to repeat.

use bakehouse_ec2::{
    ApiError, Ec2,
    faults::{fault, fault_of},
    request::{self, Filter},
    resource::{self, ImageState, InstanceState, SnapshotState, VolumeState},
};
use bakehouse_machine::{
    AccountRegion, Fault, FaultKind,
    event::{ImageStatus, SnapshotStatus},
    in_region::InRegion,
    resources::Resource,
    tags::BUILD_TAG,
};
use bakehouse_protocol::{
    BuildId, ImageId, InstanceId, Region, SnapshotId, VolumeId,
    spec::{CopyRole, ImageQuery},
};

use crate::{
    plan::RootSnapshot,
    ports::{Key, Keys, Parameters},
    stack::InstancePower,
};

mod publishing;
mod replacing;
mod volumes;

/// An [`Ec2`] and a Parameter Store, with calls that are safe to repeat. Faults are sorted by how they are handled.
#[derive(Debug)]
pub struct Cloud<E, P = NoParameters>(pub E, pub P);

/// The [`InstancePower`] over EC2's own calls, in the stack's region.
#[derive(Debug)]
pub struct Ec2InstancePower<E>(pub E, pub Region);

impl<E: Ec2> InstancePower for Ec2InstancePower<E> {
    async fn start(&self, instance: &InstanceId) -> Result<(), Fault> {
        let state = self.0.start_instances(&self.1, instance).await;
        state.map(drop).map_err(call_fault("StartInstances", instance))
    }
    async fn stop(&self, instance: &InstanceId) -> Result<bool, Fault> {
        let state = self.0.stop_instances(&self.1, instance).await;
        state.map(|state| state == InstanceState::Stopped).map_err(call_fault("StopInstances", instance))
    }
}

/// For backends without a Parameter Store and without KMS: there is no parameter, and every key is taken.
#[derive(Clone, Copy, Debug)]
pub struct NoParameters;

fn no_parameter_store(name: &str) -> Fault {
    Fault::new(FaultKind::Permanent, format!("there is no Parameter Store here for {name}")).hint(
        "with `--local`, give `source_ami` an image's id, or use `source_ami_filter`; leave `bakehouse_ssm_parameters` out",
    )
}

impl Parameters for NoParameters {
    async fn find_parameter(&self, _: &Region, name: &str) -> Result<Option<String>, Fault> {
        Err(no_parameter_store(name))
    }
    async fn put_image(&self, _: &Region, name: &str, _: &str) -> Result<(), Fault> {
        Err(no_parameter_store(name))
    }
    async fn delete_parameter(&self, _: &Region, name: &str) -> Result<(), Fault> {
        Err(no_parameter_store(name))
    }
}

impl Keys for NoParameters {
    async fn key(&self, _: &Region, _: Option<&CopyRole>, key: &str) -> Result<Key, Fault> {
        Ok(Key { enabled: true, encrypts: true, managed_by_aws: key.contains("alias/aws/") })
    }
}

fn call_fault<'a>(call: &'a str, thing: &'a (impl ToString + ?Sized)) -> impl Fn(ApiError) -> Fault + 'a {
    move |error| fault(&format!("{call} {}", thing.to_string()), &error.code, &error.message)
}

fn tagged(build: &str) -> Vec<Filter> {
    vec![Filter::one(format!("tag:{BUILD_TAG}"), build)]
}

/// Returns the request for a build's snapshots. Without an owner, EC2 would search all public snapshots, which takes
/// minutes.
fn snapshots_of(build: &str) -> request::DescribeSnapshots {
    request::DescribeSnapshots { owner_ids: vec!["self".into()], filters: tagged(build), ..Default::default() }
}

impl<E: Ec2, P: Parameters + Keys> Cloud<E, P> {
    async fn image(&self, region: &Region, id: &ImageId) -> Result<resource::Image, Fault> {
        let request = request::DescribeImages { image_ids: vec![id.clone()], ..Default::default() };
        let found = self.0.describe_images(region, request).await.map_err(call_fault("DescribeImages", id))?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| Fault::new(FaultKind::NotFound, format!("there is no image {id} in {region}")))
    }

    async fn volume(&self, region: &Region, id: &VolumeId) -> Result<resource::Volume, Fault> {
        let request = request::DescribeVolumes { volume_ids: vec![id.clone()], ..Default::default() };
        let found = self.0.describe_volumes(region, request).await.map_err(call_fault("DescribeVolumes", id))?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| Fault::new(FaultKind::NotFound, format!("there is no volume {id} in {region}")))
    }

    async fn snapshot(&self, region: &Region, id: &SnapshotId) -> Result<resource::Snapshot, Fault> {
        let request = request::DescribeSnapshots { snapshot_ids: vec![id.clone()], ..Default::default() };
        let found = self.0.describe_snapshots(region, request).await.map_err(call_fault("DescribeSnapshots", id))?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| Fault::new(FaultKind::NotFound, format!("there is no snapshot {id} in {region}")))
    }

    async fn find_own_image(&self, region: &Region, name: &str) -> Result<Option<resource::Image>, Fault> {
        let request = request::DescribeImages {
            owners: vec!["self".into()],
            filters: vec![Filter::one("name", literal(name))],
            ..Default::default()
        };
        let found = self.0.describe_images(region, request).await.map_err(call_fault("DescribeImages", name))?;
        Ok(found.into_iter().next())
    }

    async fn delete_snapshots(&self, region: &Region, ids: &[SnapshotId]) -> Result<(), Fault> {
        for id in ids {
            match self.0.delete_snapshot(region, id).await.map_err(call_fault("DeleteSnapshot", id)) {
                Ok(()) => {}
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

/// Returns a filter value that matches exactly this text.
fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

impl<E: Ec2, P: Parameters + Keys> Cloud<E, P> {
    /// Returns the same for calls that a role of another account makes; `None`: for the own account. There it has
    /// neither parameters nor keys.
    pub fn in_account(&self, role: Option<&CopyRole>) -> Cloud<E> {
        Cloud(self.0.with_role(role), NoParameters)
    }

    /// Returns the id of the account that calls.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn account(&self) -> Result<String, Fault> {
        self.0.account().await.map_err(|error| fault_of("sts", "GetCallerIdentity", &error.code, &error.message))
    }

    /// Returns the regions that this account may use.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn regions(&self) -> Result<Vec<Region>, Fault> {
        self.0.describe_regions().await.map_err(call_fault("DescribeRegions", ""))
    }

    /// Returns the images that a query matches, in no order, by one call.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn find_images(&self, region: &Region, query: &ImageQuery) -> Result<Vec<resource::Image>, Fault> {
        let filters = query.filters.iter().map(|(name, values)| Filter { name: name.clone(), values: values.clone() });
        let request = request::DescribeImages {
            image_ids: query.id.iter().cloned().collect(),
            owners: query.owners.clone(),
            filters: filters.collect(),
            include_deprecated: query.include_deprecated,
        };
        match self.0.describe_images(region, request).await.map_err(call_fault("DescribeImages", region)) {
            Ok(images) => Ok(images),
            // The template's image id does not exist: the same as no match.
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(vec![]),
            Err(fault) => Err(fault),
        }
    }

    /// Returns what a plan needs of a source's root snapshot.
    ///
    /// # Errors
    /// NotFound if there is none, or if this account may not read it.
    pub async fn root_snapshot(&self, region: &Region, id: &SnapshotId) -> Result<RootSnapshot, Fault> {
        let resource::Snapshot { snapshot_id, volume_size, encrypted, kms_key_id, .. } =
            self.snapshot(region, id).await?;
        Ok(RootSnapshot { id: snapshot_id, size: volume_size, encrypted, kms_key_id })
    }

    /// Returns the value of the parameter of this name (Parameter Store); `None`: there is none.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn find_parameter(&self, region: &Region, name: &str) -> Result<Option<String>, Fault> {
        self.1.find_parameter(region, name).await
    }

    /// Returns a key of KMS, as a role of another account sees it or the own account.
    ///
    /// # Errors
    /// NotFound if there is none of this name in the region; the fault of the call.
    pub async fn key(&self, region: &Region, role: Option<&CopyRole>, key: &str) -> Result<Key, Fault> {
        self.1.key(region, role, key).await
    }

    /// Returns the account's own image of this name.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn image_named(&self, region: &Region, name: &str) -> Result<Option<ImageId>, Fault> {
        Ok(self.find_own_image(region, name).await?.map(|image| image.image_id))
    }

    /// Creates a snapshot; with `again`, first looks for one that carries the build's tag.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn ensure_snapshot(
        &self,
        create: &InRegion<request::CreateSnapshot>,
        again: bool,
    ) -> Result<SnapshotId, Fault> {
        let (region, request) = (&create.region.region, &create.request);
        if let Some(build) = request.tags.get(BUILD_TAG).filter(|_| again) {
            let found = self
                .0
                .describe_snapshots(region, snapshots_of(build))
                .await
                .map_err(call_fault("DescribeSnapshots", build))?;
            if let Some(snapshot) = found.into_iter().find(|snapshot| snapshot.volume_id == request.volume_id) {
                return Ok(snapshot.snapshot_id);
            }
        }
        let snapshot = self.0.create_snapshot(region, request.clone()).await;
        Ok(snapshot.map_err(call_fault("CreateSnapshot", &request.volume_id))?.snapshot_id)
    }

    /// Returns a snapshot's status.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn describe_snapshot(&self, region: &Region, id: &SnapshotId) -> Result<SnapshotStatus, Fault> {
        let snapshot = self.snapshot(region, id).await?;
        Ok(match snapshot.state {
            SnapshotState::Pending => SnapshotStatus::Pending,
            SnapshotState::Completed => SnapshotStatus::Completed,
            SnapshotState::Error => SnapshotStatus::Error(snapshot.state_message.unwrap_or_default()),
        })
    }

    /// Deletes a snapshot.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn delete_snapshot(&self, region: &Region, id: &SnapshotId) -> Result<(), Fault> {
        self.0.delete_snapshot(region, id).await.map_err(call_fault("DeleteSnapshot", id))
    }

    /// Registers the image, or returns one of that name that carries the build's tag.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn ensure_image(&self, register: &InRegion<request::RegisterImage>) -> Result<ImageId, Fault> {
        self.register_once(&register.region.region, register.request.clone(), None).await
    }

    /// Registers an image whose name is free, or that of an image which was deregistered.
    async fn register_once(
        &self,
        region: &Region,
        request: request::RegisterImage,
        replaced: Option<&ImageId>,
    ) -> Result<ImageId, Fault> {
        let (name, build) = (request.name.clone(), request.tags.get(BUILD_TAG).cloned());
        let failed = call_fault("RegisterImage", &name);
        let error = match self.0.register_image(region, request).await {
            Ok(id) => return Ok(id),
            Err(error) if error.code == "InvalidAMIName.Duplicate" => error,
            Err(error) => return Err(failed(error)),
        };
        match self.find_own_image(region, &name).await? {
            // The unique name prevents a second image: one with this build's tag is from an earlier attempt.
            Some(image) if image.tags.get(BUILD_TAG) == build.as_ref() => return Ok(image.image_id),
            // Its name stays taken for a while, and describe calls may still show it. But if EC2 has said of it that
            // it does not exist, it may never have been deregistered.
            Some(image) if Some(&image.image_id) == replaced => {
                self.ensure_deregistered(region, &image.image_id).await?
            }
            Some(_) => return Err(failed(error)),
            None => {}
        }
        Err(Fault { kind: FaultKind::NotReady, ..failed(error) })
    }

    /// Copies the image, once for each client token.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn ensure_copy(&self, copy: &InRegion<request::CopyImage>) -> Result<ImageId, Fault> {
        let copied = self.0.copy_image(&copy.region.region, copy.request.clone()).await;
        copied.map_err(|error| {
            let fault = call_fault("CopyImage to", &copy.region)(error);
            // What EC2 says of snapshots that are not shared: another account sees that they are after a while.
            let is_not_shared = fault.message.contains("permission to access the storage");
            if is_not_shared && copy.region.role.is_some() {
                return Fault { kind: FaultKind::NotFound, ..fault };
            }
            fault
        })
    }

    /// Returns an image's status.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn describe_image(&self, region: &Region, id: &ImageId) -> Result<ImageStatus, Fault> {
        let image = self.image(region, id).await?;
        let snapshots: Vec<_> = image.snapshots().cloned().collect();
        Ok(match image.state {
            ImageState::Pending => ImageStatus::Pending,
            // Seen on EC2: available before its mappings name their snapshots.
            ImageState::Available if snapshots.is_empty() => ImageStatus::Pending,
            ImageState::Available => ImageStatus::Available(snapshots),
            ImageState::Failed => ImageStatus::Failed(self.failure_of(region, image.state_reason, &snapshots).await),
        })
    }

    /// Returns why an image failed: EC2's reason for it, else that for one of its snapshots, which knows of keys.
    async fn failure_of(&self, region: &Region, reason: Option<String>, snapshots: &[SnapshotId]) -> String {
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            return reason;
        }
        for id in snapshots {
            if let Ok(resource::Snapshot { state_message: Some(why), .. }) = self.snapshot(region, id).await {
                return format!("its snapshot {id}: {why}");
            }
        }
        "EC2 gives no reason".to_owned()
    }

    /// Deregisters an image and deletes those of its snapshots that carry the build's tag.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn remove_image(&self, region: &Region, id: &ImageId, build: &BuildId) -> Result<(), Fault> {
        // Its snapshots are looked up first: after deregistering, they could only be found by their tags.
        let image = self.image(region, id).await?;
        let snapshots: Vec<_> = image.snapshots().cloned().collect();
        if image.is_protected() {
            // By this build, which is being undone.
            let result = self.0.disable_image_deregistration_protection(region, id).await;
            result.map_err(call_fault("DisableImageDeregistrationProtection", id))?;
        }
        let request = request::DeregisterImage { image_id: id.clone(), delete_associated_snapshots: false };
        match self.0.deregister_image(region, request).await {
            Ok(_) => {}
            // Deregistered already, by an earlier attempt that did not complete.
            Err(error) if error.code == "InvalidAMIID.Unavailable" => {}
            Err(error) => return Err(call_fault("DeregisterImage", id)(error)),
        }
        let mut own = Vec::new();
        for snapshot in snapshots {
            // A mapping may hold a snapshot that is not the build's (named by the template, or of the base's data
            // disk): it stays.
            match self.snapshot(region, &snapshot).await {
                Ok(facts) if facts.tags.get(BUILD_TAG).is_some_and(|tag| tag == build.as_str()) => own.push(snapshot),
                Ok(_) => {}
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
        self.delete_snapshots(region, &own).await
    }

    /// Returns the resources that carry a build's tag in a region and are not being deleted.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn tagged(&self, there: &AccountRegion, build: &BuildId) -> Result<Vec<Resource>, Fault> {
        let region = &there.region;
        let filters = || tagged(build.as_str());
        let images = request::DescribeImages { filters: filters(), owners: vec!["self".into()], ..Default::default() };
        let images = self.0.describe_images(region, images).await.map_err(call_fault("DescribeImages", build))?;
        let snapshots = snapshots_of(build.as_str());
        let snapshots =
            self.0.describe_snapshots(region, snapshots).await.map_err(call_fault("DescribeSnapshots", build))?;
        let mut found: Vec<_> =
            images.into_iter().map(|image| Resource::Image(there.clone(), image.image_id)).collect();
        found.extend(snapshots.into_iter().map(|snapshot| Resource::Snapshot(there.clone(), snapshot.snapshot_id)));
        if there.role.is_some() {
            // A role makes images only.
            return Ok(found);
        }
        let volumes = request::DescribeVolumes { filters: filters(), ..Default::default() };
        let volumes = self.0.describe_volumes(region, volumes).await.map_err(call_fault("DescribeVolumes", build))?;
        let volumes = volumes.into_iter().filter(|volume| volume.state != VolumeState::Deleting);
        found.extend(volumes.map(|volume| Resource::Volume(there.clone(), volume.volume_id)));
        Ok(found)
    }
}
