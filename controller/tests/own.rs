//! What is found and removed as a build's own, with EC2's model: what the build has created, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use bakehouse_controller::cloud::{Cloud, NoParameters};
use bakehouse_localcloud::{
    Delays, Ec2 as _, Model, VirtualCloud,
    model::Import,
    request::{CreateTags, DeregisterImage, DescribeImages, DescribeSnapshots, Filter, RegisterImage},
    resource::{BlockDeviceMapping, EbsBlockDevice},
};
use bakehouse_machine::tags::BUILD_TAG;
use bakehouse_protocol::{BuildId, Region, SnapshotId, Timestamp, spec::Architecture};
use pollster::FutureExt as _;
use pollster::block_on;

const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn home() -> Region {
    Region::new("us-east-1").unwrap()
}

fn build() -> BuildId {
    "b-00000001".parse().unwrap()
}

type TestCloud = Cloud<VirtualCloud>;

fn cloud() -> TestCloud {
    let model = Model::new("111122223333", [home()], 7, Delays::default());
    Cloud(VirtualCloud::new(model, NOW), NoParameters)
}

fn model(cloud: &TestCloud) -> &VirtualCloud {
    &cloud.0
}

/// The snapshot of an image that this account or another owns.
fn snapshot(cloud: &TestCloud, name: &str, owner: Option<&str>) -> SnapshotId {
    let import = Import { owner: owner.map(str::to_owned), ..Import::new(name, 1, Architecture::X86_64) };
    let image = model(cloud).with(|model, now| model.import_image(now, &home(), &import)).unwrap();
    image.root_snapshot().unwrap().clone()
}

fn tag(cloud: &TestCloud, id: &SnapshotId) {
    let tags = [(BUILD_TAG.to_owned(), build().to_string())].into();
    model(cloud).create_tags(&home(), CreateTags { resources: vec![id.to_string()], tags }).block_on().unwrap();
}

/// Besides, without an owner EC2 would search all public snapshots.
#[test]
fn a_search_by_tag_finds_nothing_of_other_accounts() {
    let cloud = cloud();
    let theirs = snapshot(&cloud, "theirs", Some("999988887777"));
    tag(&cloud, &theirs);
    assert_eq!(
        model(&cloud).describe_snapshots(&home(), DescribeSnapshots::default()).block_on().unwrap().len(),
        1,
        "visible"
    );
    assert_eq!(block_on(cloud.tagged(&home().into(), &build())), Ok(vec![]));
}

/// EC2 may not show a new image's tags yet, so that it and a snapshot of the user's look alike.
#[test]
fn removing_an_image_deletes_only_snapshots_of_the_build() {
    let cloud = cloud();
    let (own, other) = (free_snapshot(&cloud, "own"), free_snapshot(&cloud, "data"));
    tag(&cloud, &own);
    let mapping = |device: &str, snapshot: &SnapshotId| BlockDeviceMapping {
        device_name: device.to_owned(),
        ebs: Some(EbsBlockDevice { snapshot_id: Some(snapshot.clone()), ..EbsBlockDevice::default() }),
        ..BlockDeviceMapping::default()
    };
    let register = RegisterImage {
        name: "web".to_owned(),
        block_device_mappings: vec![mapping("/dev/sda1", &own), mapping("/dev/sdb", &other)],
        ..RegisterImage::default()
    };
    let image = model(&cloud).register_image(&home(), register).block_on().unwrap();
    block_on(cloud.remove_image(&home(), &image, &build())).unwrap();
    let left = model(&cloud).describe_snapshots(&home(), DescribeSnapshots::default()).block_on().unwrap();
    assert_eq!(left.into_iter().map(|it| it.snapshot_id).collect::<Vec<_>>(), [other]);
}

/// A snapshot of this account that no image holds.
fn free_snapshot(cloud: &TestCloud, name: &str) -> SnapshotId {
    let id = snapshot(cloud, name, None);
    let found = DescribeImages { filters: vec![Filter::one("name", name)], ..DescribeImages::default() };
    let image_id = model(cloud).describe_images(&home(), found).block_on().unwrap().remove(0).image_id;
    model(cloud)
        .deregister_image(&home(), DeregisterImage { image_id, delete_associated_snapshots: false })
        .block_on()
        .unwrap();
    id
}
