use super::*;
use crate::{
    request::{CopyImage, DeregisterImage, ModifyImageAttribute, ModifySnapshotAttribute, PermissionChanges},
    resource::ImageState,
};

const OTHER: &str = "444455556666";

/// Makes calls as the other account.
fn as_other<T>(fixture: &mut Fixture, f: impl FnOnce(&mut Fixture) -> T) -> T {
    fixture.model.set_caller(Some(OTHER.to_owned()));
    let result = f(fixture);
    fixture.model.set_caller(None);
    result
}

fn copy(fixture: &mut Fixture, id: &ImageId) -> Result<ImageId, ApiError> {
    let request = CopyImage::new("web", id.clone(), fixture.region.clone());
    as_other(fixture, |fixture| fixture.model.copy_image(fixture.now, &fixture.region, &request))
}

fn share(fixture: &mut Fixture, id: &ImageId) {
    let launch_permission = PermissionChanges { add_users: vec![OTHER.to_owned()], ..PermissionChanges::default() };
    let request = ModifyImageAttribute { launch_permission, ..ModifyImageAttribute::new(id.clone()) };
    fixture.model.modify_image_attribute(fixture.now, &fixture.region, &request).unwrap();
}

fn share_snapshot(fixture: &mut Fixture, id: &SnapshotId, changes: PermissionChanges) {
    let request = ModifySnapshotAttribute { snapshot_id: id.clone(), create_volume_permission: changes };
    fixture.model.modify_snapshot_attribute(fixture.now, &fixture.region, &request).unwrap();
}

#[test]
fn another_account_copies_an_image_only_if_it_and_its_snapshots_are_shared() {
    let mut fixture = Fixture::quick();
    let snapshot = fixture.snapshot();
    let id = fixture.register(&Fixture::registration("web", &snapshot)).unwrap();
    assert_eq!(code(copy(&mut fixture, &id)), "InvalidAMIID.NotFound");
    share(&mut fixture, &id);
    let refused = copy(&mut fixture, &id).unwrap_err();
    assert!(refused.message.contains("permission to access the storage"), "{refused}");
    let add = PermissionChanges { add_users: vec![OTHER.to_owned()], ..PermissionChanges::default() };
    share_snapshot(&mut fixture, &snapshot, add);
    // The name is taken in the one account and free in the other.
    let copied = copy(&mut fixture, &id).unwrap();
    assert_eq!(code(fixture.describe_image(&fixture.region.clone(), &copied)), "InvalidAMIID.NotFound");
    let image = as_other(&mut fixture, |fixture| fixture.describe_image(&fixture.region.clone(), &copied)).unwrap();
    assert_eq!((image.owner_id.as_str(), image.state), (OTHER, ImageState::Available));
    let own = image.root_snapshot().unwrap().clone();
    assert_eq!(code(fixture.describe_snapshot(&own)), "InvalidSnapshot.NotFound");
    // The copy does not need the original.
    let remove = PermissionChanges { remove_users: vec![OTHER.to_owned()], ..PermissionChanges::default() };
    share_snapshot(&mut fixture, &snapshot, remove);
    let gone = DeregisterImage { image_id: copied, delete_associated_snapshots: true };
    assert_eq!(code(fixture.model.deregister_image(fixture.now, &fixture.region, &gone)), "InvalidAMIID.NotFound");
    as_other(&mut fixture, |fixture| {
        let result = fixture.model.deregister_image(fixture.now, &fixture.region, &gone).unwrap();
        assert_eq!(result.len(), 1);
    });
}

#[test]
fn another_account_has_no_volumes_here() {
    let mut fixture = Fixture::quick();
    let zone = Zone::new(format!("{}a", fixture.region)).unwrap();
    let request = CreateVolume { size: Some(1), ..CreateVolume::new(zone) };
    fixture.model.create_volume(fixture.now, &fixture.region, &request).unwrap();
    as_other(&mut fixture, |fixture| {
        let result = fixture.model.create_volume(fixture.now, &fixture.region, &request);
        assert_eq!(code(result), "OperationNotPermitted");
        let all = fixture.model.describe_volumes(fixture.now, &fixture.region, &DescribeVolumes::default());
        assert_eq!(all.unwrap(), []);
    });
}
