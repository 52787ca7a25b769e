use super::*;
use crate::{
    model::Import,
    request::{DeregisterImage, ModifyImageAttribute, PermissionChanges},
    resource::{ImageState, ReturnCode},
};

fn deregister(world: &mut World, id: &ImageId, snapshots: bool) -> Result<Vec<ReturnCode>, ApiError> {
    let request = DeregisterImage { image_id: id.clone(), delete_associated_snapshots: snapshots };
    let results = world.model.deregister_image(world.now, &world.region, &request)?;
    Ok(results.into_iter().map(|it| it.return_code).collect())
}

fn modification(id: &ImageId) -> ModifyImageAttribute {
    ModifyImageAttribute {
        image_id: id.clone(),
        description: None,
        launch_permission: PermissionChanges::default(),
        product_codes: Vec::new(),
    }
}

fn modify(world: &mut World, request: &ModifyImageAttribute) -> Result<(), ApiError> {
    world.model.modify_image_attribute(world.now, &world.region, request)
}

#[test]
fn an_image_becomes_available_in_its_time_and_is_changed_only_then() {
    let mut world = World::new(Delays { register_image: Millis(100), ..Delays::default() });
    let id = world.image("image");
    let here = world.region.clone();
    assert_eq!(world.describe_image(&here, &id).unwrap().state, ImageState::Pending);
    let error = modify(&mut world, &modification(&id)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("InvalidAMIID.Unavailable: The image ID '{id}' is currently pending and may not be used")
    );
    world.pass(Millis(100));
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
    modify(&mut world, &request).unwrap();
    let image = world.describe_image(&here, &id).unwrap();
    assert_eq!((image.state, image.description.as_str()), (ImageState::Available, "new"));
    assert!(image.public() && image.launch_permission.users.contains("444455556666"));
    assert!(image.product_codes.contains("code"));
    let changes = PermissionChanges { remove_groups: vec!["all".to_owned()], ..Default::default() };
    modify(&mut world, &ModifyImageAttribute { launch_permission: changes, ..modification(&id) }).unwrap();
    assert!(!world.describe_image(&here, &id).unwrap().public());
    let changes = PermissionChanges { add_groups: vec!["some".to_owned()], ..Default::default() };
    let refused = ModifyImageAttribute {
        description: Some("not set".to_owned()),
        launch_permission: changes,
        ..modification(&id)
    };
    assert_eq!(code(modify(&mut world, &refused)), "InvalidAMIAttributeItemValue");
    assert_eq!(world.describe_image(&here, &id).unwrap().description, "new", "all or nothing");
}

#[test]
fn a_name_is_unique_well_formed_and_free_a_little_after_its_image() {
    let mut world = World::new(Delays { name_release: Millis(100), ..Delays::default() });
    let id = world.image("image");
    let snapshot = world.snapshot();
    let error = world.register(&World::registration("image", &snapshot)).unwrap_err();
    assert_eq!(error.to_string(), format!("InvalidAMIName.Duplicate: AMI name image is already in use by AMI {id}"));
    for name in ["ab", "a name: colon", "größe", &"x".repeat(129)] {
        assert_eq!(code(world.register(&World::registration(name, &snapshot))), "InvalidAMIName.Malformed", "{name}");
    }
    deregister(&mut world, &id, false).unwrap();
    assert_eq!(code(world.register(&World::registration("image", &snapshot))), "InvalidAMIName.Duplicate");
    world.pass(Millis(100));
    world.register(&World::registration("image", &snapshot)).unwrap();
    world.register(&World::registration("(a) [b] ./-'@_9", &snapshot)).unwrap();
}

#[test]
fn what_is_left_out_is_what_ec2_takes_it_for() {
    let mut world = World::quick();
    let snapshot = world.snapshot();
    let request = RegisterImage {
        name: "image".to_owned(),
        block_device_mappings: vec![mapping("/dev/sda1", Some(&snapshot))],
        ..RegisterImage::default()
    };
    let id = world.register(&request).unwrap();
    let image = world.describe_image(&world.region, &id).unwrap();
    assert_eq!((image.architecture, image.virtualization_type), (Architecture::I386, Virtualization::Paravirtual));
    assert_eq!((image.root_snapshot(), image.root_device_type.as_str()), (Some(&snapshot), "ebs"));
    let ebs = image.root_mapping().unwrap().ebs.as_ref().unwrap();
    assert_eq!((ebs.volume_size, ebs.encrypted), (Some(8), Some(false)));
    assert_eq!(image.creation_date, "2027-01-15T08:00:00.000Z");
}

#[test]
fn mappings_must_make_a_disk() {
    let mut world = World::quick();
    let snapshot = world.snapshot();
    let refused = |world: &mut World, name: &str, change: &dyn Fn(&mut Vec<BlockDeviceMapping>)| {
        let mut request = World::registration("image", &snapshot);
        change(&mut request.block_device_mappings);
        assert_eq!(code(world.register(&request)), "InvalidBlockDeviceMapping", "{name}");
    };
    refused(&mut world, "no root", &|all| all[0].device_name = "/dev/xvdb".to_owned());
    refused(&mut world, "root without a snapshot", &|all| {
        let ebs = EbsBlockDevice { volume_size: Some(1), ..EbsBlockDevice::default() };
        all[0].ebs = Some(ebs);
    });
    refused(&mut world, "encrypted", &|all| all[0].ebs.as_mut().unwrap().encrypted = Some(false));
    refused(&mut world, "too small", &|all| all[0].ebs.as_mut().unwrap().volume_size = Some(7));
    refused(&mut world, "twice", &|all| all.push(all[0].clone()));
    refused(&mut world, "neither snapshot nor size", &|all| all.push(mapping("/dev/sdb", None)));
    refused(&mut world, "both", &|all| all[0].virtual_name = Some("ephemeral0".to_owned()));
    let missing = SnapshotId::new("snap-01234567").unwrap();
    assert_eq!(code(world.register(&World::registration("image", &missing))), "InvalidSnapshot.NotFound");
}

#[test]
fn an_image_needs_a_completed_snapshot() {
    let mut world = World::new(Delays { create_snapshot: Millis(100), ..Delays::default() });
    let snapshot = world.snapshot();
    assert_eq!(code(world.register(&World::registration("image", &snapshot))), "IncorrectState");
    world.pass(Millis(100));
    world.register(&World::registration("image", &snapshot)).unwrap();
}

#[test]
fn deregistering_takes_the_snapshots_along_that_nobody_else_holds() {
    let mut world = World::quick();
    let snapshot = world.snapshot();
    let a = world.register(&World::registration("aaa", &snapshot)).unwrap();
    let b = world.register(&World::registration("bbb", &snapshot)).unwrap();
    assert_eq!(deregister(&mut world, &a, true).unwrap(), [ReturnCode::Skipped]);
    world.describe_snapshot(&snapshot).unwrap();
    assert_eq!(deregister(&mut world, &b, true).unwrap(), [ReturnCode::Success]);
    assert_eq!(code(world.describe_snapshot(&snapshot)), "InvalidSnapshot.NotFound");
    assert_eq!(code(world.describe_image(&world.region, &b)), "InvalidAMIID.NotFound");
    assert_eq!(code(deregister(&mut world, &b, true)), "InvalidAMIID.Unavailable");
    let missing = ImageId::new("ami-01234567").unwrap();
    assert_eq!(code(deregister(&mut world, &missing, true)), "InvalidAMIID.NotFound");
}

#[test]
fn somebody_elses_image_can_be_used_and_not_changed() {
    let mut world = World::quick();
    let here = world.region.clone();
    let import =
        Import { owner: Some("136693071363".to_owned()), ..Import::new("debian-13-amd64", 8, Architecture::X86_64) };
    let image = world.model.import_image(world.now, &here, &import).unwrap();
    assert_eq!(code(deregister(&mut world, &image.image_id, false)), "AuthFailure");
    assert_eq!(code(modify(&mut world, &modification(&image.image_id))), "AuthFailure");
    let request = CreateVolume { size: None, snapshot_id: image.root_snapshot().cloned(), ..world.empty() };
    assert_eq!(world.create(&request).unwrap().size, 8);
    let result = world.model.delete_snapshot(world.now, &here, image.root_snapshot().unwrap());
    assert_eq!(code(result), "InvalidSnapshot.NotFound");
}

#[test]
fn an_image_that_failed_says_why() {
    let mut world = World::quick();
    let id = world.image("image");
    let here = world.region.clone();
    world.model.fail_image(world.now, &here, &id, "no key").unwrap();
    let image = world.describe_image(&here, &id).unwrap();
    assert_eq!((image.state, image.state_reason.as_deref()), (ImageState::Failed, Some("no key")));
    deregister(&mut world, &id, true).unwrap();
}
