//! What is found and removed as a build's own, against EC2's model: what the build made, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use bakehouse_controller::{
    cloud::{Ec2Cloud, NoParameters},
    ports::Cloud as _,
};
use bakehouse_ec2::Blocking;
use bakehouse_localcloud::{
    Delays, Ec2 as _, Model, VirtualCloud,
    model::Import,
    request::{CreateTags, DescribeSnapshots},
};
use bakehouse_machine::advance::BUILD_TAG;
use bakehouse_protocol::{BuildId, Region, SnapshotId, Timestamp, spec::Architecture};
use pollster::block_on;

const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn home() -> Region {
    Region::new("us-east-1").unwrap()
}

fn build() -> BuildId {
    "b-00000001".parse().unwrap()
}

type Port = Ec2Cloud<Blocking<VirtualCloud>>;

fn port() -> Port {
    let model = Model::new("111122223333", [home()], 7, Delays::default());
    Ec2Cloud(Blocking(VirtualCloud::new(model, NOW)), NoParameters)
}

fn cloud(port: &Port) -> &VirtualCloud {
    &port.0.0
}

/// The snapshot of an image that this account or another owns.
fn snapshot(port: &Port, name: &str, owner: Option<&str>) -> SnapshotId {
    let import = Import { owner: owner.map(str::to_owned), ..Import::new(name, 1, Architecture::X86_64) };
    let image = cloud(port).with(|model, now| model.import_image(now, &home(), &import)).unwrap();
    image.root_snapshot().unwrap().clone()
}

fn tag(port: &Port, id: &SnapshotId) {
    let tags = [(BUILD_TAG.to_owned(), build().to_string())].into();
    cloud(port).create_tags(&home(), CreateTags { resources: vec![id.to_string()], tags }).unwrap();
}

/// Not only that it would be wrong to remove it: without an owner EC2 goes through all public snapshots.
#[test]
fn a_look_by_tag_finds_nothing_of_somebody_elses() {
    let port = port();
    let theirs = snapshot(&port, "theirs", Some("999988887777"));
    tag(&port, &theirs);
    assert_eq!(cloud(&port).describe_snapshots(&home(), DescribeSnapshots::default()).unwrap().len(), 1, "visible");
    assert_eq!(block_on(port.tagged(&home(), &build())), Ok(vec![]));
}
