use super::*;
use crate::{request::DeleteVolume, resource::VolumeState};

fn delete(fixture: &mut Fixture, id: &VolumeId) -> Result<(), ApiError> {
    fixture.model.delete_volume(fixture.now, &fixture.region, &DeleteVolume { volume_id: id.clone() })
}

#[test]
fn creating_and_deleting_a_volume_take_their_time() {
    let delays = Delays { create_volume: Millis(100), delete_volume: Millis(200), ..Delays::default() };
    let mut fixture = Fixture::new(delays);
    let id = fixture.volume();
    assert_eq!(fixture.describe_volume(&id).unwrap().state, VolumeState::Creating);
    assert_eq!(code(delete(&mut fixture, &id)), "IncorrectState");
    fixture.pass(Millis(99));
    assert_eq!(fixture.describe_volume(&id).unwrap().state, VolumeState::Creating);
    fixture.pass(Millis(1));
    assert_eq!(fixture.describe_volume(&id).unwrap().state, VolumeState::Available);
    delete(&mut fixture, &id).unwrap();
    assert_eq!(fixture.describe_volume(&id).unwrap().state, VolumeState::Deleting);
    assert_eq!(code(delete(&mut fixture, &id)), "IncorrectState");
    fixture.pass(Millis(200));
    assert_eq!(code(fixture.describe_volume(&id)), "InvalidVolume.NotFound");
    assert_eq!(code(delete(&mut fixture, &id)), "InvalidVolume.NotFound");
}

#[test]
fn a_client_token_creates_one_volume() {
    let mut fixture = Fixture::new(Delays { create_volume: Millis(100), ..Delays::default() });
    let request = CreateVolume { client_token: Some("t".to_owned()), ..fixture.empty() };
    let first = fixture.create(&request).unwrap();
    assert_eq!(fixture.create(&request).unwrap(), first);
    fixture.pass(Millis(100));
    let again = fixture.create(&request).unwrap();
    assert_eq!((again.volume_id, again.state), (first.volume_id.clone(), VolumeState::Available));
    let other_zone = CreateVolume { availability_zone: Zone::new("us-east-1b").unwrap(), ..request.clone() };
    assert_eq!(
        fixture.create(&other_zone).unwrap().volume_id,
        first.volume_id,
        "the zone does not count as a parameter"
    );
    let other = CreateVolume { size: Some(9), ..request.clone() };
    assert_eq!(code(fixture.create(&other)), "IdempotentParameterMismatch");
    delete(&mut fixture, &first.volume_id).unwrap();
    assert_eq!(fixture.create(&request).unwrap().state, VolumeState::Deleted, "no second volume is created");
    assert_eq!(code(fixture.describe_volume(&first.volume_id)), "InvalidVolume.NotFound");
    fixture.pass(Millis::minutes(24 * 60));
    assert_ne!(fixture.create(&request).unwrap().volume_id, first.volume_id, "the token expires after a day");
    let long = CreateVolume { client_token: Some("t".repeat(65)), ..request };
    assert_eq!(code(fixture.create(&long)), "InvalidParameterValue");
}

#[test]
fn a_volume_needs_a_completed_snapshot_and_at_least_its_size() {
    let mut fixture = Fixture::new(Delays { create_snapshot: Millis(100), ..Delays::default() });
    let snapshot = fixture.snapshot();
    let request = CreateVolume { size: None, snapshot_id: Some(snapshot.clone()), ..fixture.empty() };
    let error = fixture.create(&request).unwrap_err();
    assert_eq!(error.to_string(), "IncorrectState: Snapshot is in invalid state - pending");
    fixture.pass(Millis(100));
    let volume = fixture.create(&request).unwrap();
    assert_eq!((volume.size, volume.snapshot_id), (8, Some(snapshot)));
    assert_eq!(code(fixture.create(&CreateVolume { size: Some(7), ..request.clone() })), "InvalidParameterValue");
    assert_eq!(fixture.create(&CreateVolume { size: Some(9), ..request.clone() }).unwrap().size, 9);
    let missing = SnapshotId::new("snap-01234567").unwrap();
    assert_eq!(
        code(fixture.create(&CreateVolume { snapshot_id: Some(missing), ..request })),
        "InvalidSnapshot.NotFound"
    );
}

#[test]
fn invalid_parameters_of_a_volume_are_refused() {
    let mut fixture = Fixture::quick();
    let empty = fixture.empty();
    let zone = |name: &str| CreateVolume { availability_zone: Zone::new(name).unwrap(), ..empty.clone() };
    assert_eq!(code(fixture.create(&zone("eu-west-1a"))), "InvalidZone.NotFound");
    assert_eq!(code(fixture.create(&zone("us-east-1"))), "InvalidZone.NotFound");
    assert_eq!(code(fixture.create(&CreateVolume { size: None, ..empty.clone() })), "MissingParameter");
    assert_eq!(code(fixture.create(&CreateVolume { size: Some(0), ..empty.clone() })), "InvalidParameterValue");
    let typed =
        |name: &str, size| CreateVolume { volume_type: Some(name.to_owned()), size: Some(size), ..empty.clone() };
    assert_eq!(code(fixture.create(&typed("gp2", 16_385))), "InvalidParameterValue");
    assert_eq!(code(fixture.create(&typed("gp9", 1))), "UnknownVolumeType");
    assert_eq!(fixture.create(&typed("gp3", 65_536)).unwrap().volume_type, "gp3");
    assert_eq!(fixture.create(&empty).unwrap().volume_type, "gp2");
}

#[test]
fn a_failed_volume_can_only_be_deleted() {
    let mut fixture = Fixture::quick();
    let id = fixture.volume();
    fixture.model.fail_volume(fixture.now, &fixture.region, &id, "bad key").unwrap();
    assert_eq!(fixture.describe_volume(&id).unwrap().state, VolumeState::Error);
    assert_eq!(code(fixture.attach(&id, "/dev/sdf")), "IncorrectState");
    assert_eq!(code(fixture.snapshot_of(&id)), "IncorrectState");
    delete(&mut fixture, &id).unwrap();
}

#[test]
fn an_attached_volume_is_not_deleted() {
    let mut fixture = Fixture::quick();
    let id = fixture.volume();
    fixture.attach(&id, "/dev/sdf").unwrap();
    assert_eq!(code(delete(&mut fixture, &id)), "VolumeInUse");
}

#[test]
fn a_clock_that_goes_back_does_not_revert_states() {
    let mut fixture = Fixture::new(Delays { create_volume: Millis(100), ..Delays::default() });
    let id = fixture.volume();
    fixture.pass(Millis(100));
    fixture.volume();
    fixture.now = Timestamp(0);
    assert_eq!(fixture.describe_volume(&id).unwrap().state, VolumeState::Available);
}
