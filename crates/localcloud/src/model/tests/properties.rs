//! Invariants after random calls in random order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    model::RegionResources,
    request::{CopyImage, DeleteVolume, DeregisterImage},
    resource::{AttachmentState, ImageState, SnapshotState, VolumeState},
};

/// One call. A number selects one of the existing resources, so that most calls affect one.
#[derive(Clone, Debug)]
enum Op {
    Pass(u64),
    CreateVolume { token: Option<u8>, from: Option<usize>, size: u32 },
    Attach { volume: usize, device: u8 },
    Detach { volume: usize },
    SetMounted { volume: usize, mounted: bool },
    DeleteVolume { volume: usize },
    CreateSnapshot { volume: usize },
    DeleteSnapshot { snapshot: usize },
    Register { snapshot: usize, name: u8 },
    Copy { image: usize, name: u8, token: Option<u8> },
    Deregister { image: usize, snapshots: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let pick = 0..8usize;
    prop_oneof![
        3 => (0..40_000u64).prop_map(Op::Pass),
        3 => (proptest::option::of(0..3u8), proptest::option::of(pick.clone()), 1..4u32)
            .prop_map(|(token, from, size)| Op::CreateVolume { token, from, size }),
        3 => (pick.clone(), 0..3u8).prop_map(|(volume, device)| Op::Attach { volume, device }),
        2 => pick.clone().prop_map(|volume| Op::Detach { volume }),
        1 => (pick.clone(), any::<bool>()).prop_map(|(volume, mounted)| Op::SetMounted { volume, mounted }),
        1 => pick.clone().prop_map(|volume| Op::DeleteVolume { volume }),
        3 => pick.clone().prop_map(|volume| Op::CreateSnapshot { volume }),
        2 => pick.clone().prop_map(|snapshot| Op::DeleteSnapshot { snapshot }),
        3 => (pick.clone(), 0..3u8).prop_map(|(snapshot, name)| Op::Register { snapshot, name }),
        2 => (pick.clone(), 0..3u8, proptest::option::of(0..3u8))
            .prop_map(|(image, name, token)| Op::Copy { image, name, token }),
        1 => (pick, any::<bool>()).prop_map(|(image, snapshots)| Op::Deregister { image, snapshots }),
    ]
}

fn pick<T: Clone>(all: &[T], n: usize) -> Option<T> {
    (!all.is_empty()).then(|| all[n % all.len()].clone())
}

/// Performs one call, refused or not. Returns the client token and the id of a created resource.
fn perform(fixture: &mut Fixture, op: &Op) -> Option<(String, String)> {
    let now = fixture.now;
    let here = fixture.region.clone();
    let all = fixture.model.everything(now).into_iter().find(|it| it.region == here).unwrap();
    let volume = |n| pick(&all.volumes, n).map(|it| it.volume_id);
    let snapshot = |n| pick(&all.snapshots, n).map(|it| it.snapshot_id);
    let image = |n| pick(&all.images, n).map(|it| it.image_id);
    match op {
        Op::Pass(length) => fixture.pass(Millis(*length)),
        Op::CreateVolume { token, from, size } => {
            let request = CreateVolume {
                client_token: token.map(|it| format!("v{it}")),
                snapshot_id: from.and_then(snapshot),
                size: Some(*size),
                ..fixture.empty()
            };
            let made = fixture.create(&request).ok()?;
            return Some((request.client_token?, made.volume_id.to_string()));
        }
        Op::Attach { volume: n, device } => {
            let name = ["/dev/sdf", "/dev/xvdf", "/dev/sdg"][usize::from(*device)];
            fixture.attach(&volume(*n)?, name).ok()?;
        }
        Op::Detach { volume: n } => drop(fixture.detach(&volume(*n)?)),
        Op::SetMounted { volume: n, mounted } => {
            fixture.model.set_mounted(now, &here, &volume(*n)?, *mounted).ok()?;
        }
        Op::DeleteVolume { volume: n } => {
            fixture.model.delete_volume(now, &here, &DeleteVolume { volume_id: volume(*n)? }).ok()?;
        }
        Op::CreateSnapshot { volume: n } => drop(fixture.snapshot_of(&volume(*n)?)),
        Op::DeleteSnapshot { snapshot: n } => {
            fixture.model.delete_snapshot(now, &here, &snapshot(*n)?).ok()?;
        }
        Op::Register { snapshot: n, name } => {
            let request = Fixture::registration(&format!("image-{name}"), &snapshot(*n)?);
            fixture.register(&request).ok()?;
        }
        Op::Copy { image: n, name, token } => {
            let request = CopyImage {
                client_token: token.map(|it| format!("c{it}")),
                ..CopyImage::new(format!("image-{name}"), image(*n)?, here)
            };
            let made = fixture.model.copy_image(now, &region("eu-west-1"), &request).ok()?;
            return Some((request.client_token?, made.to_string()));
        }
        Op::Deregister { image: n, snapshots } => {
            let request = DeregisterImage { image_id: image(*n)?, delete_associated_snapshots: *snapshots };
            fixture.model.deregister_image(now, &here, &request).ok()?;
        }
    }
    None
}

fn check_region(all: &RegionResources) -> Result<(), TestCaseError> {
    let names: BTreeSet<_> = all.images.iter().map(|it| (&it.owner_id, &it.name)).collect();
    prop_assert_eq!(names.len(), all.images.len(), "names are unique");
    for image in &all.images {
        for id in image.snapshots() {
            let snapshot = all.snapshots.iter().find(|it| it.snapshot_id == *id);
            prop_assert!(snapshot.is_some(), "{} lost its snapshot {}", image.image_id, id);
            if image.state == ImageState::Available {
                prop_assert_eq!(snapshot.unwrap().state, SnapshotState::Completed);
            }
        }
    }
    let mut slots = BTreeSet::new();
    for volume in &all.volumes {
        prop_assert!(volume.attachments.len() <= 1);
        prop_assert_eq!(volume.state == VolumeState::InUse, !volume.attachments.is_empty());
        for attachment in &volume.attachments {
            let slot = attachment.device.as_str().chars().last();
            prop_assert!(slots.insert((attachment.instance_id.clone(), slot)), "a device name has two volumes");
        }
        let pending =
            all.snapshots.iter().filter(|it| it.volume_id == volume.volume_id && it.state == SnapshotState::Pending);
        prop_assert!(pending.count() <= 5);
    }
    Ok(())
}

/// How far each resource has come: with time alone it only goes forward.
fn ranks(model: &Model, at: Timestamp) -> BTreeMap<String, u8> {
    let mut ranks = BTreeMap::new();
    for all in model.everything(at) {
        for it in all.volumes {
            let attachment = it.attachments.first().map(|it| it.state);
            let rank = match (it.state, attachment) {
                (VolumeState::Creating, _) => 0,
                (VolumeState::InUse, Some(AttachmentState::Attaching)) => 1,
                (VolumeState::InUse, Some(AttachmentState::Attached)) => 2,
                (VolumeState::InUse, Some(AttachmentState::Busy)) => 3,
                (VolumeState::InUse, _) => 4,
                (VolumeState::Available | VolumeState::Error, _) => 5,
                (VolumeState::Deleting, _) => 6,
                (VolumeState::Deleted, _) => 7,
            };
            ranks.insert(it.volume_id.to_string(), rank);
        }
        for it in all.snapshots {
            ranks.insert(it.snapshot_id.to_string(), u8::from(it.state != SnapshotState::Pending));
        }
        for it in all.images {
            ranks.insert(it.image_id.to_string(), u8::from(it.state != ImageState::Pending));
        }
    }
    ranks
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_after_any_calls(ops in proptest::collection::vec(op(), 1..80)) {
        let mut fixture = Fixture::new(Delays { create_snapshot: Millis::seconds(40), ..Delays::like_ec2() });
        let mut tokens = BTreeMap::new();
        for op in &ops {
            if let Some((token, id)) = perform(&mut fixture, op) {
                let known = tokens.entry(token.clone()).or_insert_with(|| id.clone());
                prop_assert_eq!(&*known, &id, "token {} created two resources", token);
            }
            for all in fixture.model.everything(fixture.now) {
                check_region(&all)?;
            }
        }
    }

    #[test]
    fn states_only_go_forward_with_time(
        ops in proptest::collection::vec(op(), 1..40),
        steps in proptest::collection::vec(1..30_000u64, 1..20),
    ) {
        let mut fixture = Fixture::new(Delays::like_ec2());
        for op in &ops {
            perform(&mut fixture, op);
        }
        let mut at = fixture.now;
        let mut before = ranks(&fixture.model, at);
        for step in steps {
            at = at + Millis(step);
            let after = ranks(&fixture.model, at);
            for (id, rank) in &after {
                let was = before.get(id);
                prop_assert!(was.is_some_and(|was| was <= rank), "{} went back: {:?} to {}", id, was, rank);
            }
            before = after;
        }
    }
}
