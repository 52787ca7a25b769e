//! What is found and removed as a build's own, against EC2's model: what the build made, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use bakehouse_controller::cloud::{Cloud, NoParameters};
use bakehouse_localcloud::{
    Delays, Ec2 as _, Model, VirtualCloud,
    model::Import,
    request::{CreateTags, DeregisterImage, DescribeImages, DescribeSnapshots, Filter, RegisterImage},
    resource::{BlockDeviceMapping, EbsBlockDevice},
};
use bakehouse_machine::advance::BUILD_TAG;
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

type Port = Cloud<VirtualCloud>;

fn port() -> Port {
    let model = Model::new("111122223333", [home()], 7, Delays::default());
    Cloud(VirtualCloud::new(model, NOW), NoParameters)
}

fn cloud(port: &Port) -> &VirtualCloud {
    &port.0
}

/// The snapshot of an image that this account or another owns.
fn snapshot(port: &Port, name: &str, owner: Option<&str>) -> SnapshotId {
    let import = Import { owner: owner.map(str::to_owned), ..Import::new(name, 1, Architecture::X86_64) };
    let image = cloud(port).with(|model, now| model.import_image(now, &home(), &import)).unwrap();
    image.root_snapshot().unwrap().clone()
}

fn tag(port: &Port, id: &SnapshotId) {
    let tags = [(BUILD_TAG.to_owned(), build().to_string())].into();
    cloud(port).create_tags(&home(), CreateTags { resources: vec![id.to_string()], tags }).block_on().unwrap();
}

/// Not only that it would be wrong to remove it: without an owner EC2 goes through all public snapshots.
#[test]
fn a_look_by_tag_finds_nothing_of_somebody_elses() {
    let port = port();
    let theirs = snapshot(&port, "theirs", Some("999988887777"));
    tag(&port, &theirs);
    assert_eq!(
        cloud(&port).describe_snapshots(&home(), DescribeSnapshots::default()).block_on().unwrap().len(),
        1,
        "visible"
    );
    assert_eq!(block_on(port.tagged(&home(), &build())), Ok(vec![]));
}

/// EC2 may not show a new image's tags yet, so that it and a snapshot of the user's look alike.
#[test]
fn an_image_that_is_removed_takes_only_the_builds_snapshots_with_it() {
    let port = port();
    let (own, other) = (free_snapshot(&port, "own"), free_snapshot(&port, "data"));
    tag(&port, &own);
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
    let image = cloud(&port).register_image(&home(), register).block_on().unwrap();
    block_on(port.remove_image(&home(), &image, &build())).unwrap();
    let left = cloud(&port).describe_snapshots(&home(), DescribeSnapshots::default()).block_on().unwrap();
    assert_eq!(left.into_iter().map(|it| it.snapshot_id).collect::<Vec<_>>(), [other]);
}

/// A snapshot of this account that no image holds.
fn free_snapshot(port: &Port, name: &str) -> SnapshotId {
    let id = snapshot(port, name, None);
    let found = DescribeImages { filters: vec![Filter::one("name", name)], ..DescribeImages::default() };
    let image_id = cloud(port).describe_images(&home(), found).block_on().unwrap().remove(0).image_id;
    cloud(port)
        .deregister_image(&home(), DeregisterImage { image_id, delete_associated_snapshots: false })
        .block_on()
        .unwrap();
    id
}
