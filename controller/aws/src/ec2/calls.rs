//! [`Ec2`] over the SDK: one client for each region, created at first use.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use bakehouse_aws::{
    Limits,
    sdk_error::{Endpoint, api_error},
};
use bakehouse_ec2::{ApiError, Ec2, request, resource};
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId, spec::CopyRole};

use crate::ec2::{
    authorization,
    batch::{LookupQueues, SNAPSHOT_NOT_FOUND, ids_or_filter},
    images, instances, role, snapshots, tags, volumes,
};

/// The page size of describe calls. EC2 allows 1000 for most, and 500 for DescribeVolumes.
const PAGE_SIZE: i32 = 500;

/// EC2 through the SDK. Only an adapter: `Cloud` makes calls safe to repeat. Clones share their clients.
#[derive(Clone, Debug)]
pub struct SdkEc2 {
    config: SdkConfig,
    limits: Limits,
    home: Region,
    endpoint: Option<String>,
    page_size: i32,
    clients: Arc<Mutex<BTreeMap<Region, Client>>>,
    lookups: Option<Arc<LookupQueues>>,
    decode_refusals: bool,
    /// The same for each role that was asked for: each keeps its credentials until they expire.
    roles: Arc<Mutex<BTreeMap<CopyRole, SdkEc2>>>,
}

impl SdkEc2 {
    /// Returns EC2 with these credentials and settings; `home` is the region of calls that have none.
    pub fn new(config: SdkConfig, home: Region, limits: Limits) -> Self {
        Self {
            config,
            limits,
            home,
            endpoint: None,
            page_size: PAGE_SIZE,
            clients: Arc::default(),
            lookups: None,
            decode_refusals: false,
            roles: Arc::default(),
        }
    }

    /// Sets the endpoint of all regions, over the environment and the profile.
    #[must_use]
    pub fn at(mut self, endpoint: Option<String>) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Sets whether STS is asked to decode the texts of refused calls.
    #[must_use]
    pub fn decoding_refusals(mut self, decode: bool) -> Self {
        self.decode_refusals = decode;
        self
    }

    /// Sets the page size of describe calls. For tests of paging.
    #[must_use]
    pub fn page_size(mut self, page_size: i32) -> Self {
        self.page_size = page_size;
        self
    }

    /// Merges describe calls for single resources ([`LookupQueues`]): each waits this long for others.
    #[must_use]
    pub fn merging(mut self, delay: Duration) -> Self {
        self.lookups = Some(Arc::new(LookupQueues::new(delay)));
        self
    }

    async fn images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        self.explained(region, images::describe(&self.client(region), self.page_size, request).await).await
    }

    async fn snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        self.explained(region, snapshots::describe(&self.client(region), self.page_size, request).await).await
    }

    /// Returns those of these snapshots that exist. A missing one fails a call for several; then each is described
    /// alone.
    async fn existing_snapshots(&self, region: &Region, ids: Vec<String>) -> Result<Vec<resource::Snapshot>, ApiError> {
        let ids: Vec<SnapshotId> = ids.into_iter().filter_map(|id| id.try_into().ok()).collect();
        let ask =
            |snapshot_ids| self.snapshots(region, request::DescribeSnapshots { snapshot_ids, ..Default::default() });
        match ask(ids.clone()).await {
            Err(error) if ids.len() > 1 && error.code == SNAPSHOT_NOT_FOUND => {}
            found => return found,
        }
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match ask(vec![id]).await {
                Ok(one) => found.extend(one),
                Err(error) if error.code == SNAPSHOT_NOT_FOUND => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        self.explained(region, volumes::describe(&self.client(region), self.page_size, request).await).await
    }

    fn client(&self, region: &Region) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(region.clone()).or_insert_with(|| self.new_client(region)).clone()
    }

    fn new_client(&self, region: &Region) -> Client {
        // `from` takes AWS_ENDPOINT_URL_EC2, AWS_ENDPOINT_URL and `endpoint_url` of the profile.
        let mut config = aws_sdk_ec2::config::Builder::from(&self.config)
            .region(aws_sdk_ec2::config::Region::new(region.to_string()))
            .timeout_config(self.limits.timeouts())
            .retry_config(self.limits.retries());
        if let Some(endpoint) = &self.endpoint {
            config.set_endpoint_url(Some(endpoint.clone()));
        }
        Client::from_conf(config.build())
    }

    /// Adds what is known of the endpoint, and of a refusal's reason, to an error.
    async fn explained<T>(&self, region: &Region, result: Result<T, ApiError>) -> Result<T, ApiError> {
        let Err(error) = result else { return result };
        let url = self.endpoint.as_deref().or_else(|| self.config.endpoint_url());
        let error = Endpoint { service: "ec2", region: region.as_str(), url }.add_to(error);
        Err(if self.decode_refusals { authorization::decoded(error, &self.config).await } else { error })
    }
}

#[async_trait]
impl Ec2 for SdkEc2 {
    fn with_role(&self, role: Option<&CopyRole>) -> Self {
        let Some(role) = role else { return self.clone() };
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        let with_role = || Self {
            page_size: self.page_size,
            ..Self::new(role::with_role(&self.config, role), self.home.clone(), self.limits)
                .at(self.endpoint.clone())
                .decoding_refusals(self.decode_refusals)
        };
        roles.entry(role.clone()).or_insert_with(with_role).clone()
    }

    async fn account(&self) -> Result<String, ApiError> {
        let identity = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await;
        let account = identity.map_err(api_error).and_then(|identity| {
            let missing = || ApiError::new(ApiError::NOT_UNDERSTOOD, "STS returned no account");
            identity.account.ok_or_else(missing)
        });
        let endpoint = Endpoint { service: "sts", region: self.home.as_str(), url: self.config.endpoint_url() };
        account.map_err(|error| endpoint.add_to(error))
    }

    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        let is_by_id = request.filters.is_empty() && request.owners.is_empty();
        let (Some(lookups), true, [id]) = (&self.lookups, is_by_id, &request.image_ids[..]) else {
            return self.images(region, request).await;
        };
        let describe = |ids| {
            let (image_ids, filters) = ids_or_filter("image-id", ids);
            // By id, EC2 returns deprecated images, too; with a filter they must be requested.
            let include_deprecated = true;
            self.images(region, request::DescribeImages { image_ids, filters, owners: vec![], include_deprecated })
        };
        let not_found =
            |id: &str| ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"));
        Ok(vec![lookups.images.queue(region).get(id.as_str(), describe, |it| it.image_id.as_str(), not_found).await?])
    }

    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        let is_by_id = request.filters.is_empty() && request.owner_ids.is_empty();
        let (Some(lookups), true, [id]) = (&self.lookups, is_by_id, &request.snapshot_ids[..]) else {
            return self.snapshots(region, request).await;
        };
        let describe = |ids| self.existing_snapshots(region, ids);
        let not_found = |id: &str| ApiError::new(SNAPSHOT_NOT_FOUND, format!("The snapshot '{id}' does not exist."));
        Ok(vec![
            lookups.snapshots.queue(region).get(id.as_str(), describe, |it| it.snapshot_id.as_str(), not_found).await?,
        ])
    }

    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        let (Some(lookups), true, [id]) = (&self.lookups, request.filters.is_empty(), &request.volume_ids[..]) else {
            return self.volumes(region, request).await;
        };
        let describe = |ids| {
            let (volume_ids, filters) = ids_or_filter("volume-id", ids);
            self.volumes(region, request::DescribeVolumes { volume_ids, filters })
        };
        let not_found =
            |id: &str| ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."));
        Ok(vec![lookups.volumes.queue(region).get(id.as_str(), describe, |it| it.volume_id.as_str(), not_found).await?])
    }

    async fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError> {
        self.explained(region, instances::describe(&self.client(region), self.page_size, request).await).await
    }
    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        self.explained(region, snapshots::modify(&self.client(region), request).await).await
    }
    async fn describe_launch_permission(
        &self,
        region: &Region,
        image: &ImageId,
    ) -> Result<resource::Permissions, ApiError> {
        self.explained(region, images::launch_permission(&self.client(region), image).await).await
    }
    async fn enable_image_deprecation(
        &self,
        region: &Region,
        request: request::EnableImageDeprecation,
    ) -> Result<(), ApiError> {
        self.explained(region, images::deprecate(&self.client(region), request).await).await
    }
    async fn enable_image_deregistration_protection(
        &self,
        region: &Region,
        request: request::EnableImageDeregistrationProtection,
    ) -> Result<(), ApiError> {
        self.explained(region, images::protect(&self.client(region), request).await).await
    }
    async fn disable_image_deregistration_protection(&self, region: &Region, image: &ImageId) -> Result<(), ApiError> {
        self.explained(region, images::unprotect(&self.client(region), image).await).await
    }
    async fn attach_image_watermark(
        &self,
        region: &Region,
        request: request::AttachImageWatermark,
    ) -> Result<(), ApiError> {
        self.explained(region, images::attach_watermark(&self.client(region), request).await).await
    }
    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.explained(&self.home, instances::regions(&self.client(&self.home)).await).await
    }
    async fn create_volume(
        &self,
        region: &Region,
        request: request::CreateVolume,
    ) -> Result<resource::Volume, ApiError> {
        self.explained(region, volumes::create(&self.client(region), request).await).await
    }
    async fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.explained(region, volumes::attach(&self.client(region), request).await).await
    }
    async fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.explained(region, volumes::detach(&self.client(region), request).await).await
    }
    async fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError> {
        self.explained(region, volumes::delete(&self.client(region), request).await).await
    }
    async fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError> {
        self.explained(region, snapshots::create(&self.client(region), request).await).await
    }
    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.explained(region, snapshots::delete(&self.client(region), snapshot).await).await
    }
    async fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError> {
        self.explained(region, images::register(&self.client(region), request).await).await
    }
    async fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError> {
        self.explained(region, images::copy(&self.client(region), request).await).await
    }
    async fn modify_image_attribute(
        &self,
        region: &Region,
        request: request::ModifyImageAttribute,
    ) -> Result<(), ApiError> {
        self.explained(region, images::modify(&self.client(region), request).await).await
    }
    async fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError> {
        self.explained(region, tags::create(&self.client(region), request).await).await
    }
    async fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError> {
        self.explained(region, images::deregister(&self.client(region), request).await).await
    }
    async fn start_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.explained(region, instances::start(&self.client(region), instance).await).await
    }
    async fn stop_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.explained(region, instances::stop(&self.client(region), instance).await).await
    }
}
