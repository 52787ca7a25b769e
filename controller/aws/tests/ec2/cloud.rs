//! The [`Cloud`] over both: what a call with a lost response has created is found again, not created twice.

use std::collections::BTreeMap;

use bakehouse_controller::cloud::{Cloud, NoParameters};
use bakehouse_ec2::{
    Ec2,
    request::{self, CreateSnapshot, CreateVolume, RegisterImage},
};
use bakehouse_localcloud::VirtualCloud;
use bakehouse_localcloud::http::{Effect, Fault};
use bakehouse_machine::{
    FaultKind,
    event::{ImageStatus, VolumeStatus},
    in_region::InRegion,
};
use bakehouse_protocol::{
    BlockDeviceMapping, DeviceName, Millis, SnapshotId, VolumeId,
    spec::{Architecture, Virtualization},
};

use crate::place::{Served, home, instance, zone};

/// Declares each test for both implementations; its function takes the `Cloud` and the model behind it.
macro_rules! on_both {
    ($($body:ident)*) => {
        mod model {
            $(#[tokio::test]
            async fn $body() {
                let port = super::Cloud(crate::place::cloud(), super::NoParameters);
                super::$body(&port, &port.0).await;
            })*
        }
        mod sdk {
            $(#[tokio::test]
            async fn $body() {
                let crate::place::Served { cloud, server: _server, ec2 } = crate::place::Served::new();
                super::$body(&super::Cloud(ec2, super::NoParameters), &cloud).await;
            })*
        }
    };
}

on_both! {
    a_repeated_snapshot_request_adopts_the_first
    only_an_image_of_the_same_build_is_adopted
    attaching_twice_attaches_once
    detaching_or_deleting_twice_is_no_fault
}

type TestCloud<E> = Cloud<E, NoParameters>;

fn tags(build: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("bakehouse:build".to_owned(), build.to_owned())])
}

async fn volume(port: &TestCloud<impl Ec2>, cloud: &VirtualCloud) -> VolumeId {
    let request = CreateVolume { size: Some(1), ..CreateVolume::new(zone()) };
    let made = port.0.create_volume(&home(), request).await.unwrap();
    cloud.pass(Millis::seconds(10));
    made.volume_id
}

fn snapshot_of(volume: &VolumeId) -> InRegion<CreateSnapshot> {
    let request = CreateSnapshot { volume_id: volume.clone(), description: "d".into(), tags: tags("b-1") };
    InRegion { region: home(), request }
}

fn register(snapshot: &SnapshotId, build: &str) -> InRegion<RegisterImage> {
    let request = RegisterImage {
        name: "web".into(),
        architecture: Some(Architecture::X86_64),
        virtualization_type: Some(Virtualization::Hvm),
        root_device_name: Some("/dev/sda1".into()),
        block_device_mappings: vec![BlockDeviceMapping { device_name: "/dev/sda1".into(), ..Default::default() }],
        ena_support: Some(true),
        tags: tags(build),
        ..RegisterImage::default()
    };
    InRegion { region: home(), request: request.with_root_snapshot(snapshot) }
}

async fn a_repeated_snapshot_request_adopts_the_first(port: &TestCloud<impl Ec2>, cloud: &VirtualCloud) {
    let volume = volume(port, cloud).await;
    let made = port.ensure_snapshot(&snapshot_of(&volume), false).await.unwrap();
    cloud.pass(Millis::minutes(1));
    assert_eq!(port.ensure_snapshot(&snapshot_of(&volume), true).await.unwrap(), made);
    // There is none of another volume yet.
    let another = self::volume(port, cloud).await;
    assert_ne!(port.ensure_snapshot(&snapshot_of(&another), true).await.unwrap(), made);
}

async fn only_an_image_of_the_same_build_is_adopted(port: &TestCloud<impl Ec2>, cloud: &VirtualCloud) {
    let volume = volume(port, cloud).await;
    let snapshot = port.ensure_snapshot(&snapshot_of(&volume), false).await.unwrap();
    let early = port.ensure_image(&register(&snapshot, "b-1")).await.unwrap_err();
    assert_eq!(early.kind, FaultKind::NotReady, "{early}");
    cloud.pass(Millis::minutes(5));
    let made = port.ensure_image(&register(&snapshot, "b-1")).await.unwrap();
    // The name is in use, but the owner is not visible yet.
    let unseen = port.ensure_image(&register(&snapshot, "b-1")).await.unwrap_err();
    assert_eq!(unseen.kind, FaultKind::NotReady, "{unseen}");
    cloud.pass(Millis::minutes(1));
    assert_eq!(port.ensure_image(&register(&snapshot, "b-1")).await.unwrap(), made);
    let others = port.ensure_image(&register(&snapshot, "b-2")).await.unwrap_err();
    assert_eq!(others.kind, FaultKind::Conflict, "{others}");
    assert_eq!(port.describe_image(&home(), &made).await, Ok(ImageStatus::Available(vec![snapshot])));
}

async fn attaching_twice_attaches_once(port: &TestCloud<impl Ec2>, cloud: &VirtualCloud) {
    let volume = volume(port, cloud).await;
    let device = |name: &str| DeviceName::new(name).unwrap();
    let attach = async |name: &str| port.attach_volume(&home(), &volume, &instance(), &device(name)).await;
    attach("/dev/sdf").await.unwrap();
    attach("/dev/sdf").await.unwrap();
    assert_eq!(attach("/dev/sdg").await.unwrap_err().kind, FaultKind::NotReady);
    let other = self::volume(port, cloud).await;
    let taken = port.attach_volume(&home(), &other, &instance(), &device("/dev/sdf")).await.unwrap_err();
    assert_eq!(taken.kind, FaultKind::Conflict, "{taken}");
}

async fn detaching_or_deleting_twice_is_no_fault(port: &TestCloud<impl Ec2>, cloud: &VirtualCloud) {
    let volume = volume(port, cloud).await;
    let device = DeviceName::new("/dev/sdf").unwrap();
    port.attach_volume(&home(), &volume, &instance(), &device).await.unwrap();
    cloud.pass(Millis::seconds(10));
    for _ in 0..2 {
        port.detach_volume(&home(), &volume).await.unwrap();
    }
    assert_eq!(port.describe_volume(&home(), &volume).await, Ok(VolumeStatus::Detaching));
    cloud.pass(Millis::seconds(10));
    port.detach_volume(&home(), &volume).await.unwrap();
    for _ in 0..2 {
        port.delete_volume(&home(), &volume).await.unwrap();
    }
    cloud.pass(Millis::minutes(1));
    assert_eq!(port.delete_volume(&home(), &volume).await.unwrap_err().kind, FaultKind::NotFound);
}

/// The response is lost: the result is ambiguous, and the repeated request finds what was created.
#[tokio::test]
async fn a_snapshot_is_found_after_a_lost_response() {
    let Served { cloud, server, ec2 } = Served::new();
    let port = Cloud(ec2, NoParameters);
    let answers = |action| {
        server.calls().into_iter().filter(|call| call.action == action).map(|call| call.code).collect::<Vec<_>>()
    };
    let volume = volume(&port, &cloud).await;
    server.faults().add(Fault::once("CreateSnapshot", Effect::DropAfter));
    let lost = port.ensure_snapshot(&snapshot_of(&volume), false).await.unwrap_err();
    assert_eq!(lost.kind, FaultKind::Ambiguous, "{lost}");
    cloud.pass(Millis::minutes(1));
    let found = port.ensure_snapshot(&snapshot_of(&volume), true).await.unwrap();
    let all = port.0.describe_snapshots(&home(), request::DescribeSnapshots::default()).await.unwrap();
    assert_eq!(all.iter().map(|it| &it.snapshot_id).collect::<Vec<_>>(), [&found]);
    assert_eq!(answers("CreateSnapshot").len(), 1);
}

#[tokio::test]
async fn an_image_is_found_after_a_lost_response() {
    let Served { cloud, server, ec2 } = Served::new();
    let port = Cloud(ec2, NoParameters);
    let answers = |action| {
        server.calls().into_iter().filter(|call| call.action == action).map(|call| call.code).collect::<Vec<_>>()
    };
    let volume = volume(&port, &cloud).await;
    let snapshot = port.ensure_snapshot(&snapshot_of(&volume), false).await.unwrap();
    cloud.pass(Millis::minutes(5));
    server.faults().add(Fault::once("RegisterImage", Effect::DropAfter));
    let lost = port.ensure_image(&register(&snapshot, "b-1")).await.unwrap_err();
    assert_eq!(lost.kind, FaultKind::Ambiguous, "{lost}");
    cloud.pass(Millis::minutes(1));
    let found = port.ensure_image(&register(&snapshot, "b-1")).await.unwrap();
    assert_eq!(port.image_named(&home(), "web").await, Ok(Some(found)));
    // One call without a response and one with: nothing else was repeated.
    assert_eq!(answers("RegisterImage").len(), 2);
    assert_eq!(answers("RegisterImage")[1].as_deref(), Some("InvalidAMIName.Duplicate"));
}
