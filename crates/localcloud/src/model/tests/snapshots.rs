use super::*;
use crate::{
    request::{ModifySnapshotAttribute, PermissionChanges},
    resource::SnapshotState,
};

fn delete(fixture: &mut Fixture, id: &SnapshotId) -> Result<(), ApiError> {
    fixture.model.delete_snapshot(fixture.now, &fixture.region, id)
}

#[test]
fn a_snapshot_progresses_until_it_is_completed() {
    let mut fixture = Fixture::new(Delays { create_snapshot: Millis(100), ..Delays::default() });
    let volume = fixture.volume();
    fixture.attach(&volume, "/dev/sdf").unwrap();
    let id = fixture.snapshot_of(&volume).unwrap().snapshot_id;
    fixture.pass(Millis(40));
    let snapshot = fixture.describe_snapshot(&id).unwrap();
    assert_eq!((snapshot.state, snapshot.progress.as_str()), (SnapshotState::Pending, "40%"));
    fixture.pass(Millis(60));
    let snapshot = fixture.describe_snapshot(&id).unwrap();
    assert_eq!((snapshot.state, snapshot.progress.as_str()), (SnapshotState::Completed, "100%"));
    assert_eq!((snapshot.volume_id, snapshot.volume_size, snapshot.owner_id.as_str()), (volume, 8, "111122223333"));
}

#[test]
fn pending_snapshots_of_a_volume_are_limited() {
    let mut fixture = Fixture::new(Delays {
        create_snapshot: Millis::minutes(10),
        snapshot_interval: Millis::seconds(15),
        ..Delays::default()
    });
    let volume = fixture.volume();
    fixture.snapshot_of(&volume).unwrap();
    fixture.pass(Millis(14_999));
    assert_eq!(code(fixture.snapshot_of(&volume)), "SnapshotCreationPerVolumeRateExceeded");
    fixture.pass(Millis(1));
    for _ in 0..4 {
        fixture.snapshot_of(&volume).unwrap();
        fixture.pass(Millis::seconds(15));
    }
    assert_eq!(code(fixture.snapshot_of(&volume)), "ConcurrentSnapshotLimitExceeded");
    let other = fixture.volume();
    fixture.snapshot_of(&other).unwrap();
    fixture.pass(Millis::minutes(10));
    fixture.snapshot_of(&volume).unwrap();
}

#[test]
fn a_deleted_pending_snapshot_is_removed_when_completed() {
    let mut fixture = Fixture::new(Delays { create_snapshot: Millis(100), ..Delays::default() });
    let id = fixture.snapshot();
    delete(&mut fixture, &id).unwrap();
    assert_eq!(fixture.describe_snapshot(&id).unwrap().state, SnapshotState::Pending);
    fixture.pass(Millis(100));
    assert_eq!(code(fixture.describe_snapshot(&id)), "InvalidSnapshot.NotFound");
    assert_eq!(code(delete(&mut fixture, &id)), "InvalidSnapshot.NotFound");
}

#[test]
fn a_snapshot_that_an_image_uses_is_not_deleted() {
    let mut fixture = Fixture::quick();
    let id = fixture.snapshot();
    let image = fixture.register(&Fixture::registration("image", &id)).unwrap();
    let error = delete(&mut fixture, &id).unwrap_err();
    assert_eq!(error.to_string(), format!("InvalidSnapshot.InUse: The snapshot {id} is currently in use by {image}"));
}

#[test]
fn a_failed_snapshot_has_its_reason() {
    let mut fixture = Fixture::quick();
    let id = fixture.snapshot();
    fixture.model.fail_snapshot(fixture.now, &fixture.region, &id, "Given key ID is not accessible").unwrap();
    let snapshot = fixture.describe_snapshot(&id).unwrap();
    assert_eq!(snapshot.state, SnapshotState::Error);
    assert_eq!(snapshot.state_message.as_deref(), Some("Given key ID is not accessible"));
    delete(&mut fixture, &id).unwrap();
    assert_eq!(code(fixture.describe_snapshot(&id)), "InvalidSnapshot.NotFound");
}

#[test]
fn a_snapshot_needs_a_volume_and_a_short_description() {
    let mut fixture = Fixture::quick();
    let missing = VolumeId::new("vol-01234567").unwrap();
    assert_eq!(code(fixture.snapshot_of(&missing)), "InvalidVolume.NotFound");
    let request = CreateSnapshot { volume_id: fixture.volume(), description: "d".repeat(256), tags: Tags::new() };
    let result = fixture.model.create_snapshot(fixture.now, &fixture.region, &request);
    assert_eq!(code(result), "InvalidParameterValue");
}

#[test]
fn permissions_are_added_or_removed_not_both() {
    let mut fixture = Fixture::quick();
    let id = fixture.snapshot();
    let mut modify = |changes: PermissionChanges| {
        let request = ModifySnapshotAttribute { snapshot_id: id.clone(), create_volume_permission: changes };
        fixture.model.modify_snapshot_attribute(fixture.now, &fixture.region, &request)
    };
    let user = || vec!["444455556666".to_owned()];
    let both = PermissionChanges { add_users: user(), remove_groups: vec!["all".to_owned()], ..Default::default() };
    assert_eq!(code(modify(both)), "InvalidParameterCombination");
    let nobody = PermissionChanges { add_users: vec!["me".to_owned()], ..Default::default() };
    assert_eq!(code(modify(nobody)), "InvalidParameterValue");
    modify(PermissionChanges { add_users: user(), add_groups: vec!["all".to_owned()], ..Default::default() }).unwrap();
    modify(PermissionChanges { remove_groups: vec!["all".to_owned()], ..Default::default() }).unwrap();
    let permission = fixture.describe_snapshot(&id).unwrap().create_volume_permission;
    assert_eq!(permission.users.into_iter().collect::<Vec<_>>(), user());
    assert!(permission.groups.is_empty());
}
