use super::*;
use crate::{request::DeleteVolume, resource::VolumeState};

fn delete(world: &mut World, id: &VolumeId) -> Result<(), ApiError> {
    world.model.delete_volume(world.now, &world.region, &DeleteVolume { volume_id: id.clone() })
}

#[test]
fn a_volume_is_made_and_deleted_in_its_time() {
    let delays = Delays { create_volume: Millis(100), delete_volume: Millis(200), ..Delays::default() };
    let mut world = World::new(delays);
    let id = world.volume();
    assert_eq!(world.describe_volume(&id).unwrap().state, VolumeState::Creating);
    assert_eq!(code(delete(&mut world, &id)), "IncorrectState");
    world.pass(Millis(99));
    assert_eq!(world.describe_volume(&id).unwrap().state, VolumeState::Creating);
    world.pass(Millis(1));
    assert_eq!(world.describe_volume(&id).unwrap().state, VolumeState::Available);
    delete(&mut world, &id).unwrap();
    assert_eq!(world.describe_volume(&id).unwrap().state, VolumeState::Deleting);
    assert_eq!(code(delete(&mut world, &id)), "IncorrectState");
    world.pass(Millis(200));
    assert_eq!(code(world.describe_volume(&id)), "InvalidVolume.NotFound");
    assert_eq!(code(delete(&mut world, &id)), "InvalidVolume.NotFound");
}

#[test]
fn a_client_token_makes_one_volume() {
    let mut world = World::new(Delays { create_volume: Millis(100), ..Delays::default() });
    let request = CreateVolume { client_token: Some("t".to_owned()), ..world.empty() };
    let first = world.create(&request).unwrap();
    assert_eq!(world.create(&request).unwrap(), first);
    world.pass(Millis(100));
    let again = world.create(&request).unwrap();
    assert_eq!((again.volume_id, again.state), (first.volume_id.clone(), VolumeState::Available));
    let other_zone = CreateVolume { availability_zone: Zone::new("us-east-1b").unwrap(), ..request.clone() };
    assert_eq!(world.create(&other_zone).unwrap().volume_id, first.volume_id, "the zone is no parameter");
    let other = CreateVolume { size: Some(9), ..request.clone() };
    assert_eq!(code(world.create(&other)), "IdempotentParameterMismatch");
    delete(&mut world, &first.volume_id).unwrap();
    assert_eq!(world.create(&request).unwrap().state, VolumeState::Deleted, "no second one is made");
    assert_eq!(code(world.describe_volume(&first.volume_id)), "InvalidVolume.NotFound");
    world.pass(Millis::minutes(24 * 60));
    assert_ne!(world.create(&request).unwrap().volume_id, first.volume_id, "it is forgotten after a day");
    let long = CreateVolume { client_token: Some("t".repeat(65)), ..request };
    assert_eq!(code(world.create(&long)), "InvalidParameterValue");
}

#[test]
fn a_volume_from_a_snapshot_needs_it_completed_and_is_at_least_its_size() {
    let mut world = World::new(Delays { create_snapshot: Millis(100), ..Delays::default() });
    let snapshot = world.snapshot();
    let request = CreateVolume { size: None, snapshot_id: Some(snapshot.clone()), ..world.empty() };
    let error = world.create(&request).unwrap_err();
    assert_eq!(error.to_string(), "IncorrectState: Snapshot is in invalid state - pending");
    world.pass(Millis(100));
    let volume = world.create(&request).unwrap();
    assert_eq!((volume.size, volume.snapshot_id), (8, Some(snapshot)));
    assert_eq!(code(world.create(&CreateVolume { size: Some(7), ..request.clone() })), "InvalidParameterValue");
    assert_eq!(world.create(&CreateVolume { size: Some(9), ..request.clone() }).unwrap().size, 9);
    let missing = SnapshotId::new("snap-01234567").unwrap();
    assert_eq!(code(world.create(&CreateVolume { snapshot_id: Some(missing), ..request })), "InvalidSnapshot.NotFound");
}

#[test]
fn what_is_asked_of_a_volume_must_make_sense() {
    let mut world = World::quick();
    let empty = world.empty();
    let zone = |name: &str| CreateVolume { availability_zone: Zone::new(name).unwrap(), ..empty.clone() };
    assert_eq!(code(world.create(&zone("eu-west-1a"))), "InvalidZone.NotFound");
    assert_eq!(code(world.create(&zone("us-east-1"))), "InvalidZone.NotFound");
    assert_eq!(code(world.create(&CreateVolume { size: None, ..empty.clone() })), "MissingParameter");
    assert_eq!(code(world.create(&CreateVolume { size: Some(0), ..empty.clone() })), "InvalidParameterValue");
    let typed =
        |name: &str, size| CreateVolume { volume_type: Some(name.to_owned()), size: Some(size), ..empty.clone() };
    assert_eq!(code(world.create(&typed("gp2", 16_385))), "InvalidParameterValue");
    assert_eq!(code(world.create(&typed("gp9", 1))), "UnknownVolumeType");
    assert_eq!(world.create(&typed("gp3", 65_536)).unwrap().volume_type, "gp3");
    assert_eq!(world.create(&empty).unwrap().volume_type, "gp2");
}

#[test]
fn a_volume_that_failed_is_an_error_and_can_be_deleted() {
    let mut world = World::quick();
    let id = world.volume();
    world.model.fail_volume(world.now, &world.region, &id, "bad key").unwrap();
    assert_eq!(world.describe_volume(&id).unwrap().state, VolumeState::Error);
    assert_eq!(code(world.attach(&id, "/dev/sdf")), "IncorrectState");
    assert_eq!(code(world.snapshot_of(&id)), "IncorrectState");
    delete(&mut world, &id).unwrap();
}

#[test]
fn an_attached_volume_is_not_deleted() {
    let mut world = World::quick();
    let id = world.volume();
    world.attach(&id, "/dev/sdf").unwrap();
    assert_eq!(code(delete(&mut world, &id)), "VolumeInUse");
}

#[test]
fn a_clock_that_goes_back_does_not_take_states_back() {
    let mut world = World::new(Delays { create_volume: Millis(100), ..Delays::default() });
    let id = world.volume();
    world.pass(Millis(100));
    world.volume();
    world.now = Timestamp(0);
    assert_eq!(world.describe_volume(&id).unwrap().state, VolumeState::Available);
}
