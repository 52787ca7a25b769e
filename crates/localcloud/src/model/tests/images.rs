use super::*;
use crate::{
    model::Import,
    request::{DeregisterImage, ModifyImageAttribute, PermissionChanges},
    resource::{ImageState, ReturnCode},
};

fn deregister(fixture: &mut Fixture, id: &ImageId, snapshots: bool) -> Result<Vec<ReturnCode>, ApiError> {
    let request = DeregisterImage { image_id: id.clone(), delete_associated_snapshots: snapshots };
    let results = fixture.model.deregister_image(fixture.now, &fixture.region, &request)?;
    Ok(results.into_iter().map(|it| it.return_code).collect())
}

fn modification(id: &ImageId) -> ModifyImageAttribute {
    ModifyImageAttribute::new(id.clone())
}

fn modify(fixture: &mut Fixture, request: &ModifyImageAttribute) -> Result<(), ApiError> {
    fixture.model.modify_image_attribute(fixture.now, &fixture.region, request)
}

#[test]
fn an_image_can_be_changed_once_it_is_available() {
    let mut fixture = Fixture::new(Delays { register_image: Millis(100), ..Delays::default() });
    let id = fixture.image("image");
    let here = fixture.region.clone();
    assert_eq!(fixture.describe_image(&here, &id).unwrap().state, ImageState::Pending);
    let error = modify(&mut fixture, &modification(&id)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("InvalidAMIID.Unavailable: The image ID '{id}' is currently pending and may not be used")
    );
    fixture.pass(Millis(100));
    let changes = PermissionChanges {
        add_users: vec!["444455556666".to_owned()],
        add_groups: vec!["all".to_owned()],
        ..Default::default()
    };
    let request = ModifyImageAttribute {
        description: Some("new".to_owned()),
        launch_permission: changes,
        product_codes: vec!["code".to_owned()],
        ..modification(&id)
    };
    modify(&mut fixture, &request).unwrap();
    let image = fixture.describe_image(&here, &id).unwrap();
    assert_eq!((image.state, image.description.as_str()), (ImageState::Available, "new"));
    assert!(image.public() && image.launch_permission.users.contains("444455556666"));
    assert!(image.product_codes.contains("code"));
    let changes = PermissionChanges { remove_groups: vec!["all".to_owned()], ..Default::default() };
    modify(&mut fixture, &ModifyImageAttribute { launch_permission: changes, ..modification(&id) }).unwrap();
    assert!(!fixture.describe_image(&here, &id).unwrap().public());
    let changes = PermissionChanges { add_groups: vec!["some".to_owned()], ..Default::default() };
    let refused = ModifyImageAttribute {
        description: Some("not set".to_owned()),
        launch_permission: changes,
        ..modification(&id)
    };
    assert_eq!(code(modify(&mut fixture, &refused)), "InvalidAMIAttributeItemValue");
    assert_eq!(fixture.describe_image(&here, &id).unwrap().description, "new", "all or nothing");
}

#[test]
fn an_image_name_is_unique_well_formed_and_released_later() {
    let mut fixture = Fixture::new(Delays { name_release: Millis(100), ..Delays::default() });
    let id = fixture.image("image");
    let snapshot = fixture.snapshot();
    let error = fixture.register(&Fixture::registration("image", &snapshot)).unwrap_err();
    assert_eq!(error.to_string(), format!("InvalidAMIName.Duplicate: AMI name image is already in use by AMI {id}"));
    for name in ["ab", "a name: colon", "größe", &"x".repeat(129)] {
        assert_eq!(
            code(fixture.register(&Fixture::registration(name, &snapshot))),
            "InvalidAMIName.Malformed",
            "{name}"
        );
    }
    deregister(&mut fixture, &id, false).unwrap();
    assert_eq!(code(fixture.register(&Fixture::registration("image", &snapshot))), "InvalidAMIName.Duplicate");
    fixture.pass(Millis(100));
    fixture.register(&Fixture::registration("image", &snapshot)).unwrap();
    fixture.register(&Fixture::registration("(a) [b] ./-'@_9", &snapshot)).unwrap();
}

#[test]
fn missing_parameters_have_the_defaults_of_ec2() {
    let mut fixture = Fixture::quick();
    let snapshot = fixture.snapshot();
    let request = RegisterImage {
        name: "image".to_owned(),
        block_device_mappings: vec![mapping("/dev/sda1", Some(&snapshot))],
        ..RegisterImage::default()
    };
    let id = fixture.register(&request).unwrap();
    let image = fixture.describe_image(&fixture.region, &id).unwrap();
    assert_eq!((image.architecture, image.virtualization_type), (Architecture::I386, Virtualization::Paravirtual));
    assert_eq!((image.root_snapshot(), image.root_device_type.as_str()), (Some(&snapshot), "ebs"));
    let ebs = image.root_mapping().unwrap().ebs.as_ref().unwrap();
    assert_eq!((ebs.volume_size, ebs.encrypted), (Some(8), Some(false)));
    assert_eq!(image.creation_date, "2027-01-15T08:00:00.000Z");
}

#[test]
fn invalid_mappings_are_refused() {
    let mut fixture = Fixture::quick();
    let snapshot = fixture.snapshot();
    let refused = |fixture: &mut Fixture, name: &str, change: &dyn Fn(&mut Vec<BlockDeviceMapping>)| {
        let mut request = Fixture::registration("image", &snapshot);
        change(&mut request.block_device_mappings);
        assert_eq!(code(fixture.register(&request)), "InvalidBlockDeviceMapping", "{name}");
    };
    refused(&mut fixture, "no root", &|all| all[0].device_name = "/dev/xvdb".to_owned());
    refused(&mut fixture, "root without a snapshot", &|all| {
        let ebs = EbsBlockDevice { volume_size: Some(1), ..EbsBlockDevice::default() };
        all[0].ebs = Some(ebs);
    });
    refused(&mut fixture, "encrypted", &|all| all[0].ebs.as_mut().unwrap().encrypted = Some(false));
    refused(&mut fixture, "too small", &|all| all[0].ebs.as_mut().unwrap().volume_size = Some(7));
    refused(&mut fixture, "twice", &|all| all.push(all[0].clone()));
    refused(&mut fixture, "neither snapshot nor size", &|all| all.push(mapping("/dev/sdb", None)));
    refused(&mut fixture, "both", &|all| all[0].virtual_name = Some("ephemeral0".to_owned()));
    let missing = SnapshotId::new("snap-01234567").unwrap();
    assert_eq!(code(fixture.register(&Fixture::registration("image", &missing))), "InvalidSnapshot.NotFound");
}

#[test]
fn an_image_needs_a_completed_snapshot() {
    let mut fixture = Fixture::new(Delays { create_snapshot: Millis(100), ..Delays::default() });
    let snapshot = fixture.snapshot();
    assert_eq!(code(fixture.register(&Fixture::registration("image", &snapshot))), "IncorrectState");
    fixture.pass(Millis(100));
    fixture.register(&Fixture::registration("image", &snapshot)).unwrap();
}

#[test]
fn deregistering_deletes_snapshots_that_no_other_image_uses() {
    let mut fixture = Fixture::quick();
    let snapshot = fixture.snapshot();
    let a = fixture.register(&Fixture::registration("aaa", &snapshot)).unwrap();
    let b = fixture.register(&Fixture::registration("bbb", &snapshot)).unwrap();
    assert_eq!(deregister(&mut fixture, &a, true).unwrap(), [ReturnCode::Skipped]);
    fixture.describe_snapshot(&snapshot).unwrap();
    assert_eq!(deregister(&mut fixture, &b, true).unwrap(), [ReturnCode::Success]);
    assert_eq!(code(fixture.describe_snapshot(&snapshot)), "InvalidSnapshot.NotFound");
    assert_eq!(code(fixture.describe_image(&fixture.region, &b)), "InvalidAMIID.NotFound");
    assert_eq!(code(deregister(&mut fixture, &b, true)), "InvalidAMIID.Unavailable");
    let missing = ImageId::new("ami-01234567").unwrap();
    assert_eq!(code(deregister(&mut fixture, &missing, true)), "InvalidAMIID.NotFound");
}

#[test]
fn an_image_of_another_account_can_be_used_but_not_changed() {
    let mut fixture = Fixture::quick();
    let here = fixture.region.clone();
    let import =
        Import { owner: Some("136693071363".to_owned()), ..Import::new("debian-13-amd64", 8, Architecture::X86_64) };
    let image = fixture.model.import_image(fixture.now, &here, &import).unwrap();
    assert_eq!(code(deregister(&mut fixture, &image.image_id, false)), "AuthFailure");
    assert_eq!(code(modify(&mut fixture, &modification(&image.image_id))), "AuthFailure");
    let request = CreateVolume { size: None, snapshot_id: image.root_snapshot().cloned(), ..fixture.empty() };
    assert_eq!(fixture.create(&request).unwrap().size, 8);
    let result = fixture.model.delete_snapshot(fixture.now, &here, image.root_snapshot().unwrap());
    assert_eq!(code(result), "InvalidSnapshot.NotFound");
}

#[test]
fn a_failed_image_has_its_reason() {
    let mut fixture = Fixture::quick();
    let id = fixture.image("image");
    let here = fixture.region.clone();
    fixture.model.fail_image(fixture.now, &here, &id, "no key").unwrap();
    let image = fixture.describe_image(&here, &id).unwrap();
    assert_eq!((image.state, image.state_reason.as_deref()), (ImageState::Failed, Some("no key")));
    deregister(&mut fixture, &id, true).unwrap();
}
