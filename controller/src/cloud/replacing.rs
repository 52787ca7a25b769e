//! Images that are replaced or too old: found, deregistered, registered again, removed. See
//! `docs/decisions/24-replacing-images.md`.

use bakehouse_ec2::{
    Ec2,
    request::{self, Filter},
    resource::{Image, ImageState, Permissions},
};
use bakehouse_machine::{
    Fault, FaultKind,
    command::FinalImage,
    plan::ReplacedImage,
    resources::OldImage,
    tags::{BUILD_TAG, BUILDER_TAG, EXPIRES_TAG, NEVER, RECIPE_TAG},
};
use bakehouse_protocol::{ImageId, Region, SnapshotId};

use super::{Cloud, call_fault, literal, snapshots_of};
use crate::{
    permanent_fault::permanent_fault,
    plan::sendable,
    ports::{Keys, Parameters},
};

impl<E: Ec2, P: Parameters + Keys> Cloud<E, P> {
    /// Returns the account's own image of this name, with all that it takes to register it again.
    ///
    /// # Errors
    /// Permanent if it is protected; the fault of the call.
    pub async fn replaced_image(&self, region: &Region, name: &str) -> Result<Option<ReplacedImage>, Fault> {
        let Some(image) = self.find_own_image(region, name).await? else { return Ok(None) };
        let id = image.image_id.clone();
        if image.is_protected() {
            return Err(permanent_fault(format!("{id} in {region}, which is to be replaced, is protected")).hint(format!(
                "take that back: `aws ec2 disable-image-deregistration-protection --image-id {id} --region {region}`"
            )));
        }
        let permission = self.0.describe_launch_permission(region, &id).await;
        Ok(Some(ReplacedImage {
            region: region.clone(),
            launch_permission: permission.map_err(call_fault("DescribeImageAttribute", &id))?,
            snapshots: image.snapshots().cloned().collect(),
            register: registration(image),
            id,
        }))
    }

    /// Deregisters an image and keeps its snapshots; success if that was done before.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn deregister(&self, region: &Region, id: &ImageId) -> Result<(), Fault> {
        let request = request::DeregisterImage { image_id: id.clone(), delete_associated_snapshots: false };
        let fault = match self.0.deregister_image(region, request).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code == "InvalidAMIID.Unavailable" => return Ok(()),
            Err(error) => call_fault("DeregisterImage", id)(error),
        };
        // Nothing looks for it afterwards, so one that does not exist must not be shown either.
        if fault.kind == FaultKind::NotFound && self.image(region, id).await.is_ok() {
            return Err(Fault { kind: FaultKind::NotReady, ..fault });
        }
        Err(fault)
    }

    /// Deregisters an image if it exists.
    pub(super) async fn ensure_deregistered(&self, region: &Region, id: &ImageId) -> Result<(), Fault> {
        match self.deregister(region, id).await {
            Err(fault) if fault.kind == FaultKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Registers the image under its own name with the mappings of the one under a temporary name, or returns the one
    /// of an earlier attempt.
    ///
    /// # Errors
    /// NotReady while the replaced image still holds the name; the fault of the call.
    pub async fn ensure_final_image(&self, it: &FinalImage) -> Result<ImageId, Fault> {
        let region = &it.region;
        let mappings = self.image(region, &it.temporary).await?.block_device_mappings;
        let block_device_mappings = mappings.into_iter().map(sendable).collect();
        let request = request::RegisterImage { block_device_mappings, ..it.request.clone() };
        self.register_once(region, request, Some(&it.replaced)).await
    }

    /// Registers a replaced image again, and restores who may launch it. Returns its new id; `None`: it still exists.
    /// `is_deregistered`: EC2 has confirmed that this build deregistered it.
    ///
    /// # Errors
    /// NotReady while its name is not free, or while it is not available; the fault of the call.
    pub async fn restore_image(&self, it: &ReplacedImage, is_deregistered: bool) -> Result<Option<ImageId>, Fault> {
        let (region, name) = (&it.region, &it.register.name);
        let failed = call_fault("RegisterImage", name);
        let id = match self.0.register_image(region, it.register.clone()).await {
            Ok(id) => id,
            Err(error) if error.code == "InvalidAMIName.Duplicate" => match self.find_own_image(region, name).await? {
                Some(image) if image.image_id == it.id && !is_deregistered => return Ok(None),
                // Describe calls may show it for a while. But if EC2 has said of it that it does not exist, it may
                // never have been deregistered.
                Some(image) if image.image_id == it.id => {
                    self.ensure_deregistered(region, &it.id).await?;
                    return Err(Fault { kind: FaultKind::NotReady, ..failed(error) });
                }
                Some(image) if image.root_snapshot() == it.register.root_snapshot() => image.image_id,
                Some(_) => return Err(failed(error)),
                None => return Err(Fault { kind: FaultKind::NotReady, ..failed(error) }),
            },
            Err(error) => return Err(failed(error)),
        };
        if it.launch_permission != Permissions::default() {
            let Permissions { users, groups, organizations, organizational_units } = it.launch_permission.clone();
            let launch_permission = request::PermissionChanges {
                add_users: users.into_iter().collect(),
                add_groups: groups.into_iter().collect(),
                add_organizations: organizations.into_iter().collect(),
                add_organizational_units: organizational_units.into_iter().collect(),
                ..Default::default()
            };
            let request =
                request::ModifyImageAttribute { launch_permission, ..request::ModifyImageAttribute::new(id.clone()) };
            self.0.modify_image_attribute(region, request).await.map_err(call_fault("ModifyImageAttribute", &id))?;
        }
        Ok(Some(id))
    }

    /// Returns the finished images of a recipe's builder beyond the newest `keep`, without those that are protected and
    /// those that an instance was launched from. Launch templates, Auto Scaling groups and other accounts are not
    /// asked.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn old_images(
        &self,
        region: &Region,
        (recipe, builder): (&str, &str),
        keep: u32,
        newest: &ImageId,
    ) -> Result<Vec<OldImage>, Fault> {
        let tag = |name: &str, value: &str| Filter::one(format!("tag:{name}"), literal(value));
        let request = request::DescribeImages {
            owners: vec!["self".into()],
            filters: vec![tag(RECIPE_TAG, recipe), tag(BUILDER_TAG, builder), tag(EXPIRES_TAG, NEVER)],
            ..Default::default()
        };
        let mut images = self.0.describe_images(region, request).await.map_err(call_fault("DescribeImages", recipe))?;
        images.retain(|image| &image.image_id != newest && image.state == ImageState::Available);
        images.sort_by(|a, b| b.creation_date.cmp(&a.creation_date));
        let beyond = usize::try_from(keep.saturating_sub(1)).unwrap_or(usize::MAX);
        let mut old = Vec::new();
        for image in images.into_iter().skip(beyond).filter(|image| !image.is_protected()) {
            if !self.is_used(region, &image.image_id).await? {
                let snapshots = self.snapshots_made_with(region, &image).await?;
                old.push(OldImage { region: region.clone(), id: image.image_id, snapshots });
            }
        }
        Ok(old)
    }

    async fn is_used(&self, region: &Region, id: &ImageId) -> Result<bool, Fault> {
        let states = ["pending", "running", "stopping", "stopped", "shutting-down"];
        let states = Filter { name: "instance-state-name".into(), values: states.map(str::to_owned).into() };
        let filters = vec![Filter::one("image-id", id.as_str()), states];
        let request = request::DescribeInstances { filters, ..Default::default() };
        let found = self.0.describe_instances(region, request).await.map_err(call_fault("DescribeInstances", id))?;
        Ok(!found.is_empty())
    }

    /// Returns those of an image's snapshots that the same build has made.
    async fn snapshots_made_with(&self, region: &Region, image: &Image) -> Result<Vec<SnapshotId>, Fault> {
        let Some(build) = image.tags.get(BUILD_TAG) else { return Ok(Vec::new()) };
        let made = self.0.describe_snapshots(region, snapshots_of(build)).await;
        let made = made.map_err(call_fault("DescribeSnapshots", build))?.into_iter().map(|it| it.snapshot_id);
        Ok(made.filter(|id| image.snapshots().any(|held| held == id)).collect())
    }

    /// Deregisters an older image and deletes its snapshots, except those that another image holds; success for what
    /// was done before.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn retire_image(&self, old: &OldImage) -> Result<(), Fault> {
        self.ensure_deregistered(&old.region, &old.id).await?;
        for snapshot in &old.snapshots {
            match self.delete_snapshot(&old.region, snapshot).await {
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) if fault.kind == FaultKind::NotReady && self.is_held(old, snapshot).await? => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Whether another image of the account holds a snapshot.
    async fn is_held(&self, old: &OldImage, snapshot: &SnapshotId) -> Result<bool, Fault> {
        let request = request::DescribeImages {
            owners: vec!["self".into()],
            filters: vec![Filter::one("block-device-mapping.snapshot-id", snapshot.as_str())],
            ..Default::default()
        };
        let found = self.0.describe_images(&old.region, request).await;
        let found = found.map_err(call_fault("DescribeImages", snapshot))?;
        Ok(found.iter().any(|image| image.image_id != old.id))
    }
}

/// Returns the request that registers an image again. Its UEFI variable store is lost: EC2 shows it to nobody.
fn registration(image: Image) -> request::RegisterImage {
    request::RegisterImage {
        name: image.name,
        description: Some(image.description).filter(|text| !text.is_empty()),
        architecture: Some(image.architecture),
        virtualization_type: Some(image.virtualization_type),
        root_device_name: Some(image.root_device_name),
        block_device_mappings: image.block_device_mappings.into_iter().map(sendable).collect(),
        ena_support: image.ena_support.then_some(true),
        sriov_net_support: image.sriov_net_support,
        boot_mode: image.boot_mode,
        imds_support: image.imds_support,
        tpm_support: image.tpm_support,
        uefi_data: None,
        // AWS's own can't be set.
        tags: image.tags.into_iter().filter(|(key, _)| !key.starts_with("aws:")).collect(),
    }
}
