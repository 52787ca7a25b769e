//! What a finished image gets: watermarks, permissions, tags, a time of deprecation, protection; and the parameters
//! that name it.

use bakehouse_ec2::{Ec2, request};
use bakehouse_machine::{
    Fault, FaultKind,
    command::{ImageSharing, PublishImage},
    plan::ParameterPlan,
};
use bakehouse_protocol::{ImageId, Region, SnapshotId};

use super::{Cloud, call_fault};
use crate::ports::{Keys, Parameters};

impl<E: Ec2, P: Parameters + Keys> Cloud<E, P> {
    /// Attaches those of the watermarks that the image does not have.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn watermark_image(&self, region: &Region, id: &ImageId, names: &[String]) -> Result<(), Fault> {
        let image = self.image(region, id).await?;
        let has =
            |name: &String| image.watermarks.iter().any(|key| key.split_once(':').is_some_and(|(_, it)| it == name));
        for name in names.iter().filter(|name| !has(name)) {
            let request = request::AttachImageWatermark { image_id: id.clone(), watermark_name: name.clone() };
            let result = self.0.attach_image_watermark(region, request).await;
            result.map_err(call_fault("AttachImageWatermark", id))?;
        }
        Ok(())
    }

    /// Shares an image and its snapshots with accounts, or no longer does. Each call sets what it says, however often
    /// it is made.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn set_sharing(&self, it: &ImageSharing, shared: bool) -> Result<(), Fault> {
        let (region, id, accounts) = (&it.region, &it.image, it.accounts.clone());
        let changes = if shared {
            request::PermissionChanges { add_users: accounts, ..Default::default() }
        } else {
            request::PermissionChanges { remove_users: accounts, ..Default::default() }
        };
        self.share_snapshots(region, &it.snapshots, &changes).await?;
        let request = request::ModifyImageAttribute {
            launch_permission: changes,
            ..request::ModifyImageAttribute::new(id.clone())
        };
        self.0.modify_image_attribute(region, request).await.map_err(call_fault("ModifyImageAttribute", id))
    }

    async fn share_snapshots(
        &self,
        region: &Region,
        snapshots: &[SnapshotId],
        changes: &request::PermissionChanges,
    ) -> Result<(), Fault> {
        for snapshot in snapshots {
            let request = request::ModifySnapshotAttribute {
                snapshot_id: snapshot.clone(),
                create_volume_permission: changes.clone(),
            };
            let result = self.0.modify_snapshot_attribute(region, request).await;
            result.map_err(call_fault("ModifySnapshotAttribute", snapshot))?;
        }
        Ok(())
    }

    /// Sets who may use the image and its snapshots, product codes, the time of deprecation and tags. Each call sets
    /// what it says, however often it is made.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn publish_image(&self, publish: &PublishImage) -> Result<(), Fault> {
        let (region, id) = (&publish.region.region, &publish.image);
        let snapshot_permission = request::PermissionChanges {
            add_users: publish.snapshot_users.clone(),
            add_groups: publish.snapshot_groups.clone(),
            ..Default::default()
        };
        if snapshot_permission != request::PermissionChanges::default() {
            self.share_snapshots(region, &publish.snapshots, &snapshot_permission).await?;
        }
        let modify = request::ModifyImageAttribute {
            launch_permission: request::PermissionChanges {
                add_users: publish.users.clone(),
                add_groups: publish.groups.clone(),
                add_organizations: publish.org_arns.clone(),
                add_organizational_units: publish.ou_arns.clone(),
                ..Default::default()
            },
            product_codes: publish.product_codes.clone(),
            ..request::ModifyImageAttribute::new(id.clone())
        };
        if modify != request::ModifyImageAttribute::new(id.clone()) {
            self.0.modify_image_attribute(region, modify).await.map_err(call_fault("ModifyImageAttribute", id))?;
        }
        if let Some(deprecate_at) = publish.deprecate_at {
            let request = request::EnableImageDeprecation { image_id: id.clone(), deprecate_at };
            self.0.enable_image_deprecation(region, request).await.map_err(call_fault("EnableImageDeprecation", id))?;
        }
        let resources = std::iter::once(id.to_string()).chain(publish.snapshots.iter().map(ToString::to_string));
        let request = request::CreateTags { resources: resources.collect(), tags: publish.tags.clone() };
        self.0.create_tags(region, request).await.map_err(call_fault("CreateTags", id))
    }

    /// Protects an image from being deregistered.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn protect_image(&self, region: &Region, id: &ImageId, with_cooldown: bool) -> Result<(), Fault> {
        let request = request::EnableImageDeregistrationProtection { image_id: id.clone(), with_cooldown };
        let result = self.0.enable_image_deregistration_protection(region, request).await;
        result.map_err(call_fault("EnableImageDeregistrationProtection", id))
    }

    /// Writes an image's id into a parameter unless it has it. The call succeeds before Parameter Store has looked at
    /// the image, so the value is read back.
    ///
    /// # Errors
    /// NotReady while another value is read; the fault of the call.
    pub async fn put_parameter(&self, region: &Region, name: &str, image: &ImageId) -> Result<(), Fault> {
        let has_it = |value: Option<String>| value.as_deref() == Some(image.as_str());
        if has_it(self.1.find_parameter(region, name).await?) {
            return Ok(());
        }
        self.1.put_image(region, name, image.as_str()).await?;
        if has_it(self.1.find_parameter(region, name).await?) {
            return Ok(());
        }
        Err(Fault::new(FaultKind::NotReady, format!("PutParameter {name}: {region} does not show {image} in it yet"))
            .hint("Parameter Store drops an image that it can't see: whoever writes needs ec2:DescribeImages there"))
    }

    /// Restores a parameter's former value, or deletes it if it had none; does nothing unless it names this image: what
    /// another build has written meanwhile stays.
    ///
    /// # Errors
    /// The fault of the call.
    pub async fn restore_parameter(&self, parameter: &ParameterPlan, image: Option<&ImageId>) -> Result<(), Fault> {
        let ParameterPlan { region, name, previous } = parameter;
        let is_ours = |value: String| image.is_some_and(|image| image.as_str() == value);
        if !self.1.find_parameter(region, name).await?.is_some_and(is_ours) {
            return Ok(());
        }
        match previous {
            Some(value) => self.1.put_image(region, name, value).await,
            None => self.1.delete_parameter(region, name).await,
        }
    }
}
