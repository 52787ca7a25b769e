//! [`Ec2`] over the SDK: one client a region, made when it is first asked for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use bakehouse_aws::{Limits, sdk_error::Endpoint};
use bakehouse_ec2::{ApiError, Ec2, request, resource};
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId};

use crate::ec2::{
    batch::{Looks, NO_SNAPSHOT, by},
    images, instances, snapshots, tags, volumes,
};

/// How many things a page of a describe call has. EC2 allows 1000 for most; DescribeVolumes 500.
const PAGE: i32 = 500;

/// EC2 through the SDK. Adapter and nothing more: what makes calls safe to repeat is in `Cloud`.
#[derive(Debug)]
pub struct SdkEc2 {
    config: SdkConfig,
    limits: Limits,
    home: Region,
    endpoint: Option<String>,
    page: i32,
    clients: Mutex<BTreeMap<Region, Client>>,
    looks: Option<Looks>,
}

impl SdkEc2 {
    /// EC2 with these credentials and settings; `home` is asked what is asked of no region.
    pub fn new(config: SdkConfig, home: Region, limits: Limits) -> Self {
        Self { config, limits, home, endpoint: None, page: PAGE, clients: Mutex::default(), looks: None }
    }

    /// The same, at this endpoint for every region, whatever the environment and the profile say.
    #[must_use]
    pub fn at(mut self, endpoint: Option<String>) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// The same, with so many things on a page of a describe call. For tests of paging.
    #[must_use]
    pub fn page(mut self, page: i32) -> Self {
        self.page = page;
        self
    }

    /// The same, with looks at single things merged ([`Looks`]): each waits so long for others.
    #[must_use]
    pub fn merging(mut self, moment: Duration) -> Self {
        self.looks = Some(Looks::new(moment));
        self
    }

    async fn images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        self.named(region, images::describe(&self.client(region), self.page, request).await)
    }

    async fn snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        self.named(region, snapshots::describe(&self.client(region), self.page, request).await)
    }

    /// Returns the snapshots of these ids that exist. One that is missing fails a call for several; then each is asked for
    /// alone.
    async fn existing_snapshots(&self, region: &Region, ids: Vec<String>) -> Result<Vec<resource::Snapshot>, ApiError> {
        let ids: Vec<SnapshotId> = ids.into_iter().filter_map(|id| id.try_into().ok()).collect();
        let ask =
            |snapshot_ids| self.snapshots(region, request::DescribeSnapshots { snapshot_ids, ..Default::default() });
        match ask(ids.clone()).await {
            Err(error) if ids.len() > 1 && error.code == NO_SNAPSHOT => {}
            found => return found,
        }
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match ask(vec![id]).await {
                Ok(one) => found.extend(one),
                Err(error) if error.code == NO_SNAPSHOT => {}
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
        self.named(region, volumes::describe(&self.client(region), self.page, request).await)
    }

    fn client(&self, region: &Region) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(region.clone()).or_insert_with(|| self.make(region)).clone()
    }

    fn make(&self, region: &Region) -> Client {
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

    fn named<T>(&self, region: &Region, result: Result<T, ApiError>) -> Result<T, ApiError> {
        let endpoint = self.endpoint.as_deref().or_else(|| self.config.endpoint_url());
        result.map_err(|error| Endpoint { service: "ec2", region: region.as_str(), url: endpoint }.add_to(error))
    }
}

#[async_trait]
impl Ec2 for SdkEc2 {
    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        let one = request.filters.is_empty() && request.owners.is_empty();
        let (Some(looks), true, [id]) = (&self.looks, one, &request.image_ids[..]) else {
            return self.images(region, request).await;
        };
        let look = |ids| {
            let (image_ids, filters) = by("image-id", ids);
            // An image that is asked for by id is shown though it is deprecated; with a filter that must be requested.
            let include_deprecated = true;
            self.images(region, request::DescribeImages { image_ids, filters, owners: vec![], include_deprecated })
        };
        let missing =
            |id: &str| ApiError::new("InvalidAMIID.NotFound", format!("The image id '[{id}]' does not exist"));
        Ok(vec![looks.images.lane(region).see(id.as_str(), look, |it| it.image_id.as_str(), missing).await?])
    }

    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        let one = request.filters.is_empty() && request.owner_ids.is_empty();
        let (Some(looks), true, [id]) = (&self.looks, one, &request.snapshot_ids[..]) else {
            return self.snapshots(region, request).await;
        };
        let look = |ids| self.existing_snapshots(region, ids);
        let missing = |id: &str| ApiError::new(NO_SNAPSHOT, format!("The snapshot '{id}' does not exist."));
        Ok(vec![looks.snapshots.lane(region).see(id.as_str(), look, |it| it.snapshot_id.as_str(), missing).await?])
    }

    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        let (Some(looks), true, [id]) = (&self.looks, request.filters.is_empty(), &request.volume_ids[..]) else {
            return self.volumes(region, request).await;
        };
        let look = |ids| {
            let (volume_ids, filters) = by("volume-id", ids);
            self.volumes(region, request::DescribeVolumes { volume_ids, filters })
        };
        let missing = |id: &str| ApiError::new("InvalidVolume.NotFound", format!("The volume '{id}' does not exist."));
        Ok(vec![looks.volumes.lane(region).see(id.as_str(), look, |it| it.volume_id.as_str(), missing).await?])
    }

    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.named(&self.home, instances::regions(&self.client(&self.home)).await)
    }
    async fn create_volume(
        &self,
        region: &Region,
        request: request::CreateVolume,
    ) -> Result<resource::Volume, ApiError> {
        self.named(region, volumes::create(&self.client(region), request).await)
    }
    async fn attach_volume(
        &self,
        region: &Region,
        request: request::AttachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.named(region, volumes::attach(&self.client(region), request).await)
    }
    async fn detach_volume(
        &self,
        region: &Region,
        request: request::DetachVolume,
    ) -> Result<resource::VolumeAttachment, ApiError> {
        self.named(region, volumes::detach(&self.client(region), request).await)
    }
    async fn delete_volume(&self, region: &Region, request: request::DeleteVolume) -> Result<(), ApiError> {
        self.named(region, volumes::delete(&self.client(region), request).await)
    }
    async fn create_snapshot(
        &self,
        region: &Region,
        request: request::CreateSnapshot,
    ) -> Result<resource::Snapshot, ApiError> {
        self.named(region, snapshots::create(&self.client(region), request).await)
    }
    async fn delete_snapshot(&self, region: &Region, snapshot: &SnapshotId) -> Result<(), ApiError> {
        self.named(region, snapshots::delete(&self.client(region), snapshot).await)
    }
    async fn register_image(&self, region: &Region, request: request::RegisterImage) -> Result<ImageId, ApiError> {
        self.named(region, images::register(&self.client(region), request).await)
    }
    async fn copy_image(&self, region: &Region, request: request::CopyImage) -> Result<ImageId, ApiError> {
        self.named(region, images::copy(&self.client(region), request).await)
    }
    async fn modify_image_attribute(
        &self,
        region: &Region,
        request: request::ModifyImageAttribute,
    ) -> Result<(), ApiError> {
        self.named(region, images::modify(&self.client(region), request).await)
    }
    async fn create_tags(&self, region: &Region, request: request::CreateTags) -> Result<(), ApiError> {
        self.named(region, tags::create(&self.client(region), request).await)
    }
    async fn deregister_image(
        &self,
        region: &Region,
        request: request::DeregisterImage,
    ) -> Result<Vec<resource::DeleteSnapshotResult>, ApiError> {
        self.named(region, images::deregister(&self.client(region), request).await)
    }
    async fn start_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.named(region, instances::start(&self.client(region), instance).await)
    }
    async fn stop_instances(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<resource::InstanceState, ApiError> {
        self.named(region, instances::stop(&self.client(region), instance).await)
    }
}
