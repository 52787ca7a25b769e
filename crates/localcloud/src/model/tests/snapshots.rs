use super::*;
use crate::{
    request::{ModifySnapshotAttribute, PermissionChanges},
    resource::SnapshotState,
};

fn delete(world: &mut World, id: &SnapshotId) -> Result<(), ApiError> {
    world.model.delete_snapshot(world.now, &world.region, id)
}

#[test]
fn a_snapshot_completes_in_its_time_and_outlives_its_volume() {
    let mut world = World::new(Delays { create_snapshot: Millis(100), ..Delays::default() });
    let volume = world.volume();
    world.attach(&volume, "/dev/sdf").unwrap();
    let id = world.snapshot_of(&volume).unwrap().snapshot_id;
    world.pass(Millis(40));
    let snapshot = world.describe_snapshot(&id).unwrap();
    assert_eq!((snapshot.state, snapshot.progress.as_str()), (SnapshotState::Pending, "40%"));
    world.pass(Millis(60));
    let snapshot = world.describe_snapshot(&id).unwrap();
    assert_eq!((snapshot.state, snapshot.progress.as_str()), (SnapshotState::Completed, "100%"));
    assert_eq!((snapshot.volume_id, snapshot.volume_size, snapshot.owner_id.as_str()), (volume, 8, "111122223333"));
}

#[test]
fn one_volume_takes_five_snapshots_at_once_fifteen_seconds_apart() {
    let mut world = World::new(Delays {
        create_snapshot: Millis::minutes(10),
        snapshot_interval: Millis::seconds(15),
        ..Delays::default()
    });
    let volume = world.volume();
    world.snapshot_of(&volume).unwrap();
    world.pass(Millis(14_999));
    assert_eq!(code(world.snapshot_of(&volume)), "SnapshotCreationPerVolumeRateExceeded");
    world.pass(Millis(1));
    for _ in 0..4 {
        world.snapshot_of(&volume).unwrap();
        world.pass(Millis::seconds(15));
    }
    assert_eq!(code(world.snapshot_of(&volume)), "ConcurrentSnapshotLimitExceeded");
    let other = world.volume();
    world.snapshot_of(&other).unwrap();
    world.pass(Millis::minutes(10));
    world.snapshot_of(&volume).unwrap();
}

#[test]
fn a_pending_snapshot_goes_when_it_has_completed() {
    let mut world = World::new(Delays { create_snapshot: Millis(100), ..Delays::default() });
    let id = world.snapshot();
    delete(&mut world, &id).unwrap();
    assert_eq!(world.describe_snapshot(&id).unwrap().state, SnapshotState::Pending);
    world.pass(Millis(100));
    assert_eq!(code(world.describe_snapshot(&id)), "InvalidSnapshot.NotFound");
    assert_eq!(code(delete(&mut world, &id)), "InvalidSnapshot.NotFound");
}

#[test]
fn a_snapshot_that_an_image_holds_stays() {
    let mut world = World::quick();
    let id = world.snapshot();
    let image = world.register(&World::registration("image", &id)).unwrap();
    let error = delete(&mut world, &id).unwrap_err();
    assert_eq!(error.to_string(), format!("InvalidSnapshot.InUse: The snapshot {id} is currently in use by {image}"));
}

#[test]
fn a_snapshot_that_failed_says_why() {
    let mut world = World::quick();
    let id = world.snapshot();
    world.model.fail_snapshot(world.now, &world.region, &id, "Given key ID is not accessible").unwrap();
    let snapshot = world.describe_snapshot(&id).unwrap();
    assert_eq!(snapshot.state, SnapshotState::Error);
    assert_eq!(snapshot.state_message.as_deref(), Some("Given key ID is not accessible"));
    delete(&mut world, &id).unwrap();
    assert_eq!(code(world.describe_snapshot(&id)), "InvalidSnapshot.NotFound");
}

#[test]
fn a_snapshot_needs_a_volume_and_a_short_description() {
    let mut world = World::quick();
    let missing = VolumeId::new("vol-01234567").unwrap();
    assert_eq!(code(world.snapshot_of(&missing)), "InvalidVolume.NotFound");
    let request = CreateSnapshot { volume_id: world.volume(), description: "d".repeat(256), tags: Tags::new() };
    let result = world.model.create_snapshot(world.now, &world.region, &request);
    assert_eq!(code(result), "InvalidParameterValue");
}

#[test]
fn who_may_read_a_snapshot_is_added_or_removed_not_both() {
    let mut world = World::quick();
    let id = world.snapshot();
    let mut modify = |changes: PermissionChanges| {
        let request = ModifySnapshotAttribute { snapshot_id: id.clone(), create_volume_permission: changes };
        world.model.modify_snapshot_attribute(world.now, &world.region, &request)
    };
    let user = || vec!["444455556666".to_owned()];
    let both = PermissionChanges { add_users: user(), remove_groups: vec!["all".to_owned()], ..Default::default() };
    assert_eq!(code(modify(both)), "InvalidParameterCombination");
    let nobody = PermissionChanges { add_users: vec!["me".to_owned()], ..Default::default() };
    assert_eq!(code(modify(nobody)), "InvalidParameterValue");
    modify(PermissionChanges { add_users: user(), add_groups: vec!["all".to_owned()], ..Default::default() }).unwrap();
    modify(PermissionChanges { remove_groups: vec!["all".to_owned()], ..Default::default() }).unwrap();
    let permission = world.describe_snapshot(&id).unwrap().create_volume_permission;
    assert_eq!(permission.users.into_iter().collect::<Vec<_>>(), user());
    assert!(permission.groups.is_empty());
}
