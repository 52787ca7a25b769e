//! [`Ec2`] over the SDK: one client a region, made when it is first asked for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use aws_config::SdkConfig;
use aws_sdk_ec2::Client;
use bakehouse_aws::{Limits, sdk_error::Endpoint};
use bakehouse_ec2::{ApiError, Ec2, Instances, request, resource};
use bakehouse_protocol::{ImageId, InstanceId, Region, SnapshotId};

use crate::ec2::{images, instances, snapshots, tags, volumes};

/// How many things a page of a describe call has. EC2 allows 1000 for most; DescribeVolumes 500.
const PAGE: i32 = 500;

/// Returns the settings of a call that must not be repeated without a look: CreateSnapshot and RegisterImage have no
/// client token, and a second try could make a second thing.
pub(crate) fn once() -> aws_sdk_ec2::config::Builder {
    aws_sdk_ec2::config::Builder::new().retry_config(aws_config::retry::RetryConfig::disabled())
}

/// EC2 through the SDK. Adapter and nothing more: what makes calls safe to repeat is in `Cloud`.
#[derive(Debug)]
pub struct SdkEc2 {
    config: SdkConfig,
    limits: Limits,
    home: Region,
    endpoint: Option<String>,
    page: i32,
    clients: Mutex<BTreeMap<Region, Client>>,
}

impl SdkEc2 {
    /// EC2 with these credentials and settings; `home` is asked what is asked of no region.
    pub fn new(config: SdkConfig, home: Region, limits: Limits) -> Self {
        Self { config, limits, home, endpoint: None, page: PAGE, clients: Mutex::default() }
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

impl Ec2 for SdkEc2 {
    async fn describe_regions(&self) -> Result<Vec<Region>, ApiError> {
        self.named(&self.home, instances::regions(&self.client(&self.home)).await)
    }
    async fn describe_instances(
        &self,
        region: &Region,
        request: request::DescribeInstances,
    ) -> Result<Vec<resource::Instance>, ApiError> {
        self.named(region, instances::describe(&self.client(region), self.page, request).await)
    }
    async fn describe_images(
        &self,
        region: &Region,
        request: request::DescribeImages,
    ) -> Result<Vec<resource::Image>, ApiError> {
        self.named(region, images::describe(&self.client(region), self.page, request).await)
    }
    async fn describe_snapshots(
        &self,
        region: &Region,
        request: request::DescribeSnapshots,
    ) -> Result<Vec<resource::Snapshot>, ApiError> {
        self.named(region, snapshots::describe(&self.client(region), self.page, request).await)
    }
    async fn describe_volumes(
        &self,
        region: &Region,
        request: request::DescribeVolumes,
    ) -> Result<Vec<resource::Volume>, ApiError> {
        self.named(region, volumes::describe(&self.client(region), self.page, request).await)
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
    async fn modify_snapshot_attribute(
        &self,
        region: &Region,
        request: request::ModifySnapshotAttribute,
    ) -> Result<(), ApiError> {
        self.named(region, snapshots::modify(&self.client(region), request).await)
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
}

impl Instances for SdkEc2 {
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
