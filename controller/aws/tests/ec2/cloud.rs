//! The [`Cloud`] over both: what a call with a lost response has created is found again, not created twice.

use std::collections::BTreeMap;

use bakehouse_aws::Limits;
use bakehouse_controller::cloud::{Cloud, NoParameters};
use bakehouse_controller_aws::ec2::SdkEc2;
use bakehouse_ec2::{
    Ec2,
    request::{self, CopyImage, CreateSnapshot, CreateVolume, RegisterImage},
};
use bakehouse_localcloud::http::{Effect, Fault};
use bakehouse_localcloud::{VirtualCloud, model::Import};
use bakehouse_machine::{
    AccountRegion, FaultKind,
    command::ImageSharing,
    event::{ImageStatus, VolumeStatus},
    in_region::InRegion,
};
use bakehouse_protocol::{
    BlockDeviceMapping, DeviceName, Millis, SnapshotId, Timestamp, VolumeId,
    spec::{Architecture, CopyRole, Virtualization},
};

use crate::{
    place::{ACCOUNT, Served, config, home, instance, limits, zone},
    servers::Canned,
};

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
    a_role_of_another_account_copies_what_is_shared_with_it
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
    InRegion { region: home().into(), request }
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
    InRegion { region: home().into(), request: request.with_root_snapshot(snapshot) }
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

async fn a_role_of_another_account_copies_what_is_shared_with_it(port: &TestCloud<impl Ec2>, cloud: &VirtualCloud) {
    let arn = "arn:aws:iam::444455556666:role/images".parse().unwrap();
    let role = CopyRole { arn, external_id: Some("outside".to_owned()), session_name: None };
    let import = Import::new("web", 1, Architecture::X86_64);
    let image = cloud.with(|model, now| model.import_image(now, &home(), &import)).unwrap();
    cloud.pass(Millis::seconds(10));
    let there = port.in_account(Some(&role));
    assert_eq!(port.account().await.unwrap(), ACCOUNT);
    assert_eq!(there.account().await.unwrap(), "444455556666");
    let request = CopyImage {
        client_token: Some("b-00000001-us-east-1-444455556666".to_owned()),
        image_tags: tags("b-00000001"),
        snapshot_tags: tags("b-00000001"),
        ..CopyImage::new("web", image.image_id.clone(), home())
    };
    let region = AccountRegion { region: home(), role: Some(role.arn.clone()) };
    let copy = InRegion { region: region.clone(), request };
    let mut sharing = ImageSharing {
        region: home(),
        image: image.image_id.clone(),
        snapshots: vec![],
        accounts: vec!["444455556666".to_owned()],
    };
    // Both of them pass by themselves some time after the image was shared.
    assert_eq!(there.ensure_copy(&copy).await.unwrap_err().kind, FaultKind::NotFound);
    port.set_sharing(&sharing, true).await.unwrap();
    assert_eq!(there.ensure_copy(&copy).await.unwrap_err().kind, FaultKind::NotFound);
    sharing.snapshots = image.snapshots().cloned().collect();
    port.set_sharing(&sharing, true).await.unwrap();
    let copied = there.ensure_copy(&copy).await.unwrap();
    assert_eq!(there.ensure_copy(&copy).await.unwrap(), copied, "the client token");
    port.set_sharing(&sharing, false).await.unwrap();
    let shared = port.0.describe_launch_permission(&home(), &image.image_id).await.unwrap();
    assert!(shared.users.is_empty(), "{shared:?}");
    cloud.pass(Millis::minutes(30));
    assert!(matches!(there.describe_image(&home(), &copied).await.unwrap(), ImageStatus::Available(_)));
    assert_eq!(port.describe_image(&home(), &copied).await.unwrap_err().kind, FaultKind::NotFound, "it is not ours");
    let build = "b-00000001".parse().unwrap();
    assert_eq!(there.tagged(&region, &build).await.unwrap().len(), 2);
    there.remove_image(&home(), &copied, &build).await.unwrap();
    cloud.pass(Millis::minutes(1));
    assert_eq!(there.tagged(&region, &build).await.unwrap(), []);
}

#[tokio::test]
async fn a_role_is_assumed_once_for_many_calls() {
    let place = Served::new();
    // The credentials that the endpoint issues expire by its clock, and are used by this machine's.
    place.cloud.set_now(Timestamp(4_102_444_800_000));
    let arn = "arn:aws:iam::444455556666:role/images".parse().unwrap();
    let role = CopyRole { arn, external_id: Some("outside".to_owned()), session_name: None };
    let port = Cloud(place.ec2, NoParameters);
    for _ in 0..3 {
        port.in_account(Some(&role)).regions().await.unwrap();
        port.in_account(None).regions().await.unwrap();
    }
    let calls = place.server.calls();
    let assumed: Vec<_> = calls.iter().filter(|call| call.action == "AssumeRole").collect();
    assert_eq!(assumed.len(), 1, "{calls:?}");
    let sent = |name: &str| assumed[0].parameters.get(name).map(String::as_str);
    assert_eq!((sent("ExternalId"), sent("RoleSessionName")), (Some("outside"), Some("bakehouse")));
    let by_role = calls.iter().filter(|call| call.access_key_id.as_deref() == Some("ASIA444455556666ROLE"));
    assert_eq!(by_role.count(), 3);
}

/// A role is assumed anew when its credentials expire, which may be while the build copies or is being undone.
#[tokio::test]
async fn a_throttled_sts_is_waited_for() {
    let arn = "arn:aws:iam::444455556666:role/images".parse().unwrap();
    let role = CopyRole { arn, external_id: None, session_name: None };
    let error =
        |code: &str| format!("<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>");
    for (status, code, kind) in [
        ("400 Bad Request", "Throttling", FaultKind::Throttled),
        ("500 Internal Server Error", "InternalFailure", FaultKind::Throttled),
        ("400 Bad Request", "RegionDisabledException", FaultKind::Permanent),
    ] {
        let sts = Canned::new(status, "text/xml", &error(code));
        let limits = Limits { attempts: 1, ..limits() };
        let port = Cloud(SdkEc2::new(config(sts.url()), home(), limits), NoParameters);
        let fault = port.in_account(Some(&role)).regions().await.unwrap_err();
        assert_eq!(fault.kind, kind, "{code}: {fault}");
    }
}
