//! Describe calls of several builds, merged into one.

use std::{sync::Arc, time::Duration};

use bakehouse_controller_aws::ec2::SdkEc2;
use bakehouse_ec2::{
    Ec2,
    request::{self, CreateVolume},
};
use bakehouse_localcloud::{VirtualCloud, http::Server, model::Import};
use bakehouse_protocol::{ImageId, Millis, Region, SnapshotId, VolumeId, spec::Architecture};
use pollster::FutureExt as _;
use tokio::task::JoinSet;

use crate::place::{Served, abroad, base, home, zone};

/// A cloud, and the SDK in front of it with merged describe calls.
struct Merged {
    cloud: Arc<VirtualCloud>,
    ec2: Arc<SdkEc2>,
    server: Server,
}

fn merged() -> Merged {
    let Served { cloud, server, ec2 } = Served::new();
    Merged { cloud, server, ec2: Arc::new(ec2.page_size(500).merging(Duration::from_millis(20))) }
}

fn volumes(cloud: &VirtualCloud, count: usize) -> Vec<VolumeId> {
    let request = || CreateVolume { size: Some(1), ..CreateVolume::new(zone()) };
    let made = (0..count).map(|_| cloud.create_volume(&home(), request()).block_on().unwrap().volume_id).collect();
    cloud.pass(Millis::seconds(10));
    made
}

fn by_id(id: VolumeId) -> request::DescribeVolumes {
    request::DescribeVolumes { volume_ids: vec![id], filters: vec![] }
}

/// Each in a task of its own, as the builds of an invocation are.
async fn describe<E: Ec2 + 'static>(ec2: &Arc<E>, ids: Vec<VolumeId>) -> Vec<Result<VolumeId, String>> {
    let mut tasks = JoinSet::new();
    for (number, id) in ids.into_iter().enumerate() {
        let ec2 = Arc::clone(ec2);
        tasks.spawn(async move {
            let seen = ec2.describe_volumes(&home(), by_id(id)).await;
            (number, seen.map(|seen| seen[0].volume_id.clone()).map_err(|error| error.code.into_owned()))
        });
    }
    let mut all = tasks.join_all().await;
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, seen)| seen).collect()
}

fn describes(cloud: &VirtualCloud, action: &str) -> usize {
    cloud.calls().iter().filter(|call| call.action == action).count()
}

#[tokio::test]
async fn describing_ten_volumes_for_ten_builds_is_one_call() {
    let Merged { cloud, ec2, server: _server } = merged();
    let ids = volumes(&cloud, 10);
    assert_eq!(describe(&ec2, ids.clone()).await, ids.into_iter().map(Ok).collect::<Vec<_>>());
    assert_eq!(describes(&cloud, "DescribeVolumes"), 1);
}

#[tokio::test]
async fn a_missing_volume_fails_only_its_own_request() {
    let Merged { cloud, ec2, server: _server } = merged();
    let mut ids = volumes(&cloud, 2);
    ids.insert(1, VolumeId::new("vol-00000000").unwrap());
    let seen = describe(&ec2, ids.clone()).await;
    assert_eq!(seen[1], Err("InvalidVolume.NotFound".to_owned()));
    assert_eq!((&seen[0], &seen[2]), (&Ok(ids[0].clone()), &Ok(ids[2].clone())));
    assert_eq!(describes(&cloud, "DescribeVolumes"), 1);
    // Alone, EC2 itself returns the same error.
    let merged = request::DescribeVolumes { volume_ids: vec![ids[1].clone()], filters: vec![] };
    let alone = ec2.describe_volumes(&home(), merged.clone()).await;
    assert_eq!(alone, cloud.describe_volumes(&home(), merged).block_on());
}

#[tokio::test]
async fn a_call_describes_two_hundred_at_most() {
    let Merged { cloud, ec2, server: _server } = merged();
    let ids = volumes(&cloud, 401);
    // And each resource once, however many builds request it.
    let requested: Vec<_> = ids.iter().chain(&ids[..3]).cloned().collect();
    let seen = describe(&ec2, requested.clone()).await;
    assert_eq!(seen, requested.into_iter().map(Ok).collect::<Vec<_>>());
    assert_eq!(describes(&cloud, "DescribeVolumes"), 3);
}

#[tokio::test]
async fn regions_and_kinds_are_not_mixed() {
    let Merged { cloud, ec2, server: _server } = merged();
    let base = base(&cloud);
    let request = request::DescribeImages { image_ids: vec![base.clone()], ..Default::default() };
    let image = ec2.describe_images(&home(), request).await.unwrap().remove(0);
    let snapshot = image.root_snapshot().unwrap().clone();
    let see_image = |region: Region, id: &ImageId| {
        let ec2 = Arc::clone(&ec2);
        let request = request::DescribeImages { image_ids: vec![id.clone()], ..Default::default() };
        tokio::spawn(async move { ec2.describe_images(&region, request).await })
    };
    let see_snapshot = |id: &SnapshotId| {
        let ec2 = Arc::clone(&ec2);
        let request = request::DescribeSnapshots { snapshot_ids: vec![id.clone()], ..Default::default() };
        tokio::spawn(async move { ec2.describe_snapshots(&home(), request).await })
    };
    // A public image and its snapshot, which belong to another account, are found among several as they are alone.
    let missing = (ImageId::new("ami-00000000").unwrap(), SnapshotId::new("snap-00000000").unwrap());
    let (known, unknown, in_other_region) =
        (see_image(home(), &base), see_image(home(), &missing.0), see_image(abroad(), &base));
    let (it, not_it) = (see_snapshot(&snapshot), see_snapshot(&missing.1));
    assert_eq!(known.await.unwrap().unwrap(), [image]);
    assert_eq!(unknown.await.unwrap().unwrap_err().code, "InvalidAMIID.NotFound");
    assert_eq!(in_other_region.await.unwrap().unwrap_err().code, "InvalidAMIID.NotFound");
    assert_eq!(it.await.unwrap().unwrap()[0].snapshot_id, snapshot);
    assert_eq!(not_it.await.unwrap().unwrap_err().code, "InvalidSnapshot.NotFound");
    // One call before, then one call for each region and kind; the missing snapshot fails the call for both.
    assert_eq!((describes(&cloud, "DescribeImages"), describes(&cloud, "DescribeSnapshots")), (3, 1 + 2));
}

/// A filter without an owner would make EC2 search all public snapshots.
#[tokio::test]
async fn several_snapshots_are_one_call_by_their_ids() {
    let Merged { cloud, ec2, server: _server } = merged();
    let ids: Vec<SnapshotId> = (0..3)
        .map(|n| {
            let import = Import::new(format!("base-{n}"), 1, Architecture::X86_64);
            let image = cloud.with(|model, now| model.import_image(now, &home(), &import)).unwrap();
            image.root_snapshot().unwrap().clone()
        })
        .collect();
    cloud.pass(Millis::seconds(10));
    let mut tasks = JoinSet::new();
    for id in ids.clone() {
        let ec2 = Arc::clone(&ec2);
        let request = request::DescribeSnapshots { snapshot_ids: vec![id], ..Default::default() };
        tasks.spawn(async move { ec2.describe_snapshots(&home(), request).await.unwrap().remove(0).snapshot_id });
    }
    let mut seen = tasks.join_all().await;
    seen.sort();
    let calls = cloud.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    let mut described: Vec<&str> = calls[0].resource.split(',').collect();
    described.sort_unstable();
    assert_eq!(described, seen.iter().map(SnapshotId::as_str).collect::<Vec<_>>());
    assert_eq!(seen.len(), ids.len());
}

#[tokio::test]
async fn a_cancelled_request_does_not_affect_the_others() {
    let Merged { cloud, ec2, server: _server } = merged();
    let ids = volumes(&cloud, 3);
    let given_up = {
        let (ec2, id) = (Arc::clone(&ec2), ids[0].clone());
        tokio::spawn(async move { ec2.describe_volumes(&home(), by_id(id)).await })
    };
    // It is the next now, and yields to the others first.
    tokio::task::yield_now().await;
    let others = describe(&ec2, ids[1..].to_vec());
    given_up.abort();
    assert_eq!(others.await, ids[1..].iter().cloned().map(Ok).collect::<Vec<_>>());
}

#[tokio::test]
async fn through_the_sdk_it_is_one_request() {
    let Served { cloud, server, ec2 } = Served::new();
    let ec2 = Arc::new(ec2.merging(Duration::from_millis(20)));
    let ids = volumes(&cloud, 4);
    assert_eq!(describe(&ec2, ids.clone()).await, ids.clone().into_iter().map(Ok).collect::<Vec<_>>());
    let calls = server.calls();
    assert_eq!((calls.len(), calls[0].parameters["Filter.1.Name"].as_str()), (1, "volume-id"));
    // A failure is returned to all.
    server.faults().add(bakehouse_localcloud::http::Fault::each(
        "DescribeVolumes",
        bakehouse_localcloud::http::Effect::Error("UnauthorizedOperation".into()),
    ));
    assert_eq!(describe(&ec2, ids).await, vec![Err("UnauthorizedOperation".to_owned()); 4]);
}
