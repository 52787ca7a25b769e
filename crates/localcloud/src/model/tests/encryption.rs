use super::*;
use crate::{
    model::Import,
    request::{CopyImage, ModifyImageAttribute, ModifySnapshotAttribute, PermissionChanges},
};

fn encrypted(fixture: &mut Fixture, key: Option<&str>) -> SnapshotId {
    let request = CreateVolume { encrypted: Some(true), kms_key_id: key.map(str::to_owned), ..fixture.empty() };
    let volume = fixture.create(&request).unwrap().volume_id;
    fixture.snapshot_of(&volume).unwrap().snapshot_id
}

#[test]
fn encryption_goes_from_volume_to_snapshot_to_volume_and_image() {
    let mut fixture = Fixture::quick();
    let snapshot = encrypted(&mut fixture, Some("alias/ours"));
    let described = fixture.describe_snapshot(&snapshot).unwrap();
    assert_eq!((described.encrypted, described.kms_key_id.as_deref()), (true, Some("alias/ours")));
    let from = |encrypted| CreateVolume { snapshot_id: Some(snapshot.clone()), encrypted, ..fixture.empty() };
    let (inherited, plain) = (from(None), from(Some(false)));
    let volume = fixture.create(&inherited).unwrap();
    assert_eq!((volume.encrypted, volume.kms_key_id.as_deref()), (true, Some("alias/ours")));
    assert_eq!(code(fixture.create(&plain)), "InvalidParameterCombination");
    let keyed = CreateVolume { kms_key_id: Some("k".to_owned()), ..fixture.empty() };
    assert_eq!(code(fixture.create(&keyed)), "InvalidParameterDependency");
    let image = fixture.register(&Fixture::registration("image", &snapshot)).unwrap();
    let image = fixture.describe_image(&fixture.region, &image).unwrap();
    assert_eq!(image.root_mapping().unwrap().ebs.as_ref().unwrap().encrypted, Some(true));
}

#[test]
fn a_copy_is_encrypted_with_the_key_of_its_region() {
    let mut fixture = Fixture::quick();
    let there = region("eu-west-1");
    let (plain, secret) = (fixture.image("plain"), encrypted(&mut fixture, Some("alias/ours")));
    let secret = fixture.register(&Fixture::registration("secret", &secret)).unwrap();
    let mut copied = |name: &str, image: &ImageId, encrypted, key: Option<&str>| {
        let kms_key_id = key.map(str::to_owned);
        let request = CopyImage::new(name, image.clone(), fixture.region.clone());
        let request = CopyImage { encrypted, kms_key_id, ..request };
        let id = fixture.model.copy_image(fixture.now, &there, &request)?;
        let snapshot = fixture.describe_image(&there, &id)?.root_snapshot().unwrap().clone();
        Ok::<_, ApiError>(fixture.model.regions[&there].snapshots[&snapshot].facts.kms_key_id.clone())
    };
    assert_eq!(copied("p-1", &plain, None, None), Ok(None));
    assert_eq!(copied("p-2", &plain, Some(true), Some("k")), Ok(Some("k".to_owned())));
    assert_eq!(copied("s-1", &secret, None, None), Ok(Some("alias/aws/ebs".to_owned())), "keys are of one region");
    assert_eq!(code(copied("s-2", &secret, Some(false), None)), "InvalidParameterCombination");
    assert_eq!(code(copied("s-3", &secret, None, Some("k"))), "InvalidParameterDependency");
}

#[test]
fn what_is_encrypted_with_the_default_key_is_not_shared() {
    let mut fixture = Fixture::quick();
    let (default, own) = (encrypted(&mut fixture, None), encrypted(&mut fixture, Some("alias/ours")));
    let share = |fixture: &mut Fixture, snapshot: &SnapshotId, users: &[&str], groups: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        let changes = PermissionChanges { add_users: texts(users), add_groups: texts(groups), ..Default::default() };
        let request =
            ModifySnapshotAttribute { snapshot_id: snapshot.clone(), create_volume_permission: changes.clone() };
        fixture.model.modify_snapshot_attribute(fixture.now, &fixture.region, &request)?;
        let image = fixture.register(&Fixture::registration("image", snapshot))?;
        let request = ModifyImageAttribute { launch_permission: changes, ..ModifyImageAttribute::new(image) };
        fixture.model.modify_image_attribute(fixture.now, &fixture.region, &request)
    };
    assert_eq!(code(share(&mut fixture, &default, &["444455556666"], &[])), "OperationNotPermitted");
    assert_eq!(code(share(&mut fixture, &own, &[], &["all"])), "OperationNotPermitted");
    share(&mut fixture, &own, &["444455556666"], &[]).unwrap();
}

#[test]
fn performance_is_for_the_types_that_have_it() {
    let mut fixture = Fixture::quick();
    let snapshot = fixture.snapshot();
    let mut create = |volume_type: &str, iops, throughput, rate: Option<u32>| {
        let request = CreateVolume {
            volume_type: Some(volume_type.to_owned()),
            iops,
            throughput,
            snapshot_id: rate.map(|_| snapshot.clone()),
            volume_initialization_rate: rate,
            ..fixture.empty()
        };
        fixture.create(&request).map(|_| ())
    };
    create("gp3", Some(4000), Some(500), Some(200)).unwrap();
    create("io1", Some(400), None, None).unwrap();
    assert_eq!(code(create("io1", None, None, None)), "MissingParameter");
    assert_eq!(code(create("gp2", Some(400), None, None)), "InvalidParameterCombination");
    assert_eq!(code(create("gp2", None, Some(200), None)), "InvalidParameterCombination");
    assert_eq!(code(create("gp3", None, Some(100), None)), "InvalidParameterValue");
    assert_eq!(code(create("gp3", None, None, Some(99))), "InvalidParameterValue");
    let empty = CreateVolume { volume_initialization_rate: Some(200), ..fixture.empty() };
    assert_eq!(code(fixture.create(&empty)), "InvalidParameterCombination");
}

#[test]
fn an_imported_image_may_be_encrypted() {
    let mut fixture = Fixture::quick();
    let import = Import { encrypted_with: Some("k".to_owned()), ..Import::new("base", 2, Architecture::X86_64) };
    let image = fixture.model.import_image(fixture.now, &fixture.region, &import).unwrap();
    assert!(fixture.describe_snapshot(image.root_snapshot().unwrap()).unwrap().encrypted);
}
