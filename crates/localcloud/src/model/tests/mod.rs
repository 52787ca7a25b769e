//! Each rule of the model and each error code.

mod accounts;
mod attachments;
mod copies;
mod describing;
mod encryption;
mod images;
mod instances;
mod lifecycle;
mod properties;
mod snapshots;
mod tagging;
mod volumes;

use bakehouse_protocol::{
    DeviceName, ImageId, InstanceId, Millis, Region, SnapshotId, Timestamp, VolumeId, Zone,
    spec::{Architecture, Virtualization},
};

use super::{Delays, Model};
use crate::{
    ApiError,
    request::{
        AttachVolume, CreateSnapshot, CreateVolume, DescribeImages, DescribeSnapshots, DescribeVolumes, DetachVolume,
        RegisterImage,
    },
    resource::{BlockDeviceMapping, EbsBlockDevice, Image, Snapshot, Tags, Volume},
};

/// A model with its clock and an instance.
struct Fixture {
    model: Model,
    now: Timestamp,
    region: Region,
    instance: InstanceId,
}

fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn mapping(device: &str, snapshot: Option<&SnapshotId>) -> BlockDeviceMapping {
    BlockDeviceMapping {
        device_name: device.to_owned(),
        ebs: Some(EbsBlockDevice { snapshot_id: snapshot.cloned(), ..EbsBlockDevice::default() }),
        ..BlockDeviceMapping::default()
    }
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.unwrap_err().code.into_owned()
}

impl Fixture {
    fn new(delays: Delays) -> Self {
        let here = region("us-east-1");
        let instance = InstanceId::new("i-0123456789abcdef0").unwrap();
        let mut model = Model::new("111122223333", [here.clone(), region("eu-west-1")], 1, delays);
        let zone = Zone::new("us-east-1a").unwrap();
        model.add_instance(&here, instance.clone(), zone, Architecture::X86_64).unwrap();
        Self { model, now: Timestamp(1_800_000_000_000), region: here, instance }
    }

    /// Without delays.
    fn quick() -> Self {
        Self::new(Delays::default())
    }

    fn pass(&mut self, length: Millis) {
        self.now = self.now + length;
    }

    fn empty(&self) -> CreateVolume {
        CreateVolume { size: Some(8), ..CreateVolume::new(Zone::new("us-east-1a").unwrap()) }
    }

    fn create(&mut self, request: &CreateVolume) -> Result<Volume, ApiError> {
        self.model.create_volume(self.now, &self.region, request)
    }

    fn volume(&mut self) -> VolumeId {
        self.create(&self.empty()).unwrap().volume_id
    }

    fn attach(&mut self, volume: &VolumeId, device: &str) -> Result<crate::resource::VolumeAttachment, ApiError> {
        let device = DeviceName::new(device).unwrap();
        let request = AttachVolume { volume_id: volume.clone(), instance_id: self.instance.clone(), device };
        self.model.attach_volume(self.now, &self.region, &request)
    }

    fn detach(&mut self, volume: &VolumeId) -> Result<crate::resource::VolumeAttachment, ApiError> {
        let request = DetachVolume { volume_id: volume.clone(), instance_id: None };
        self.model.detach_volume(self.now, &self.region, &request)
    }

    fn snapshot_of(&mut self, volume: &VolumeId) -> Result<Snapshot, ApiError> {
        let request = CreateSnapshot { volume_id: volume.clone(), description: "d".to_owned(), tags: Tags::new() };
        self.model.create_snapshot(self.now, &self.region, &request)
    }

    fn snapshot(&mut self) -> SnapshotId {
        let volume = self.volume();
        self.snapshot_of(&volume).unwrap().snapshot_id
    }

    fn registration(name: &str, snapshot: &SnapshotId) -> RegisterImage {
        RegisterImage {
            name: name.to_owned(),
            architecture: Some(Architecture::X86_64),
            virtualization_type: Some(Virtualization::Hvm),
            root_device_name: Some("/dev/xvda".to_owned()),
            block_device_mappings: vec![mapping("/dev/xvda", Some(snapshot))],
            ..RegisterImage::default()
        }
    }

    fn register(&mut self, request: &RegisterImage) -> Result<ImageId, ApiError> {
        self.model.register_image(self.now, &self.region, request)
    }

    fn image(&mut self, name: &str) -> ImageId {
        let snapshot = self.snapshot();
        self.register(&Self::registration(name, &snapshot)).unwrap()
    }

    fn describe_volume(&self, id: &VolumeId) -> Result<Volume, ApiError> {
        let request = DescribeVolumes { volume_ids: vec![id.clone()], filters: Vec::new() };
        Ok(self.model.describe_volumes(self.now, &self.region, &request)?.remove(0))
    }

    fn describe_snapshot(&self, id: &SnapshotId) -> Result<Snapshot, ApiError> {
        let request = DescribeSnapshots { snapshot_ids: vec![id.clone()], ..Default::default() };
        Ok(self.model.describe_snapshots(self.now, &self.region, &request)?.remove(0))
    }

    fn describe_image(&self, region: &Region, id: &ImageId) -> Result<Image, ApiError> {
        let request = DescribeImages { image_ids: vec![id.clone()], ..Default::default() };
        Ok(self.model.describe_images(self.now, region, &request)?.remove(0))
    }
}

#[test]
fn an_unknown_region_is_refused() {
    let mut fixture = Fixture::quick();
    fixture.region = region("mars-1");
    assert_eq!(code(fixture.create(&fixture.empty())), "InvalidParameterValue");
    assert_eq!(fixture.model.describe_regions(), [region("eu-west-1"), region("us-east-1")]);
}

#[test]
fn the_same_seed_and_calls_generate_the_same_ids() {
    let ids = |seed| {
        let mut model = Model::new("111122223333", [region("us-east-1")], seed, Delays::default());
        let fixture = Fixture::quick();
        model.create_volume(fixture.now, &fixture.region, &fixture.empty()).unwrap().volume_id
    };
    assert_eq!(ids(5), ids(5));
    assert_ne!(ids(5), ids(6));
}

#[test]
fn the_model_is_the_same_after_serialisation() {
    let mut fixture = Fixture::new(Delays::like_ec2());
    fixture.volume();
    let text = serde_json::to_string(&fixture.model).unwrap();
    assert_eq!(serde_json::from_str::<Model>(&text).unwrap(), fixture.model);
}

#[test]
fn an_attachment_of_an_older_state_is_read() {
    let mut fixture = Fixture::quick();
    let id = fixture.volume();
    fixture.attach(&id, "/dev/sdf").unwrap();
    let text = serde_json::to_string(&fixture.model).unwrap();
    let old = text.replace("\"attach_time\":", "\"asked\":");
    assert_eq!(serde_json::from_str::<Model>(&old).unwrap(), fixture.model);
}
