//! The calls about encryption, sharing and the life of an image, through the SDK and without.

use bakehouse_ec2::{
    Ec2,
    request::{
        self, AttachImageWatermark, CopyImage, CreateSnapshot, CreateVolume, DescribeInstances, EnableImageDeprecation,
        EnableImageDeregistrationProtection, Filter, ModifyImageAttribute, ModifySnapshotAttribute, PermissionChanges,
        RegisterImage,
    },
    resource::{BlockDeviceMapping, EbsBlockDevice, Image, Snapshot, Tags},
};
use bakehouse_localcloud::VirtualCloud;
use bakehouse_protocol::{ImageId, Millis, Region, SnapshotId, Timestamp};

use crate::place::{abroad, base, home, in_both_places, instance, zone};

in_both_places! {
    encryption_goes_from_volume_to_copy
    an_image_and_its_snapshot_are_shared
    an_image_is_deprecated_protected_and_watermarked
    instances_are_found_by_their_image
}

async fn snapshot(ec2: &impl Ec2, cloud: &VirtualCloud) -> SnapshotId {
    let base = described(ec2, &home(), &base(cloud)).await;
    let request = CreateVolume {
        snapshot_id: base.root_snapshot().cloned(),
        volume_type: Some("gp3".into()),
        throughput: Some(250),
        encrypted: Some(true),
        kms_key_id: Some("alias/ours".into()),
        volume_initialization_rate: Some(200),
        ..CreateVolume::new(zone())
    };
    let volume = ec2.create_volume(&home(), request).await.unwrap();
    assert_eq!((volume.encrypted, volume.kms_key_id.as_deref()), (true, Some("alias/ours")));
    assert_eq!((volume.throughput, volume.volume_initialization_rate), (Some(250), Some(200)));
    cloud.pass(Millis::minutes(1));
    let request = CreateSnapshot { volume_id: volume.volume_id, description: "d".into(), tags: Tags::new() };
    let made = ec2.create_snapshot(&home(), request).await.unwrap();
    cloud.pass(Millis::minutes(5));
    made.snapshot_id
}

async fn image(ec2: &impl Ec2, cloud: &VirtualCloud) -> ImageId {
    let ebs = EbsBlockDevice { snapshot_id: Some(snapshot(ec2, cloud).await), ..EbsBlockDevice::default() };
    let root = BlockDeviceMapping { device_name: "/dev/sda1".into(), ebs: Some(ebs), ..Default::default() };
    let request = RegisterImage { name: "web".into(), block_device_mappings: vec![root], ..Default::default() };
    let id = ec2.register_image(&home(), request).await.unwrap();
    cloud.pass(Millis::minutes(5));
    id
}

async fn described(ec2: &impl Ec2, region: &Region, id: &ImageId) -> Image {
    let request = request::DescribeImages { image_ids: vec![id.clone()], ..Default::default() };
    ec2.describe_images(region, request).await.unwrap().remove(0)
}

async fn root(ec2: &impl Ec2, region: &Region, id: &ImageId) -> Snapshot {
    let snapshot_ids = described(ec2, region, id).await.root_snapshot().into_iter().cloned().collect();
    let request = request::DescribeSnapshots { snapshot_ids, ..Default::default() };
    ec2.describe_snapshots(region, request).await.unwrap().remove(0)
}

async fn encryption_goes_from_volume_to_copy(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let id = image(ec2, cloud).await;
    assert_eq!(root(ec2, &home(), &id).await.kms_key_id.as_deref(), Some("alias/ours"));
    let request = CopyImage {
        encrypted: Some(true),
        kms_key_id: Some("alias/theirs".into()),
        snapshot_copy_completion_duration_minutes: Some(30),
        ..CopyImage::new("web", id, home())
    };
    let copy = ec2.copy_image(&abroad(), request.clone()).await.unwrap();
    cloud.pass(Millis::minutes(30));
    assert_eq!(root(ec2, &abroad(), &copy).await.kms_key_id.as_deref(), Some("alias/theirs"));
    let odd = CopyImage { name: "odd".into(), snapshot_copy_completion_duration_minutes: Some(31), ..request };
    assert_eq!(ec2.copy_image(&abroad(), odd).await.unwrap_err().code, "InvalidParameterValue");
}

async fn an_image_and_its_snapshot_are_shared(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let id = image(ec2, cloud).await;
    let organization = "arn:aws:organizations::111122223333:organization/o-abcdefghij".to_owned();
    let unit = "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-ab12-cdefghij".to_owned();
    let users = PermissionChanges { add_users: vec!["444455556666".into()], ..PermissionChanges::default() };
    let launch_permission = PermissionChanges {
        add_organizations: vec![organization.clone()],
        add_organizational_units: vec![unit.clone()],
        ..users.clone()
    };
    let request = ModifyImageAttribute { launch_permission, ..ModifyImageAttribute::new(id.clone()) };
    ec2.modify_image_attribute(&home(), request).await.unwrap();
    let permission = ec2.describe_launch_permission(&home(), &id).await.unwrap();
    assert!(permission.users.contains("444455556666") && permission.groups.is_empty());
    assert_eq!((permission.organizations, permission.organizational_units), ([organization].into(), [unit].into()));
    let snapshot_id = root(ec2, &home(), &id).await.snapshot_id;
    let share = |create_volume_permission| {
        let request = ModifySnapshotAttribute { snapshot_id: snapshot_id.clone(), create_volume_permission };
        async move { ec2.modify_snapshot_attribute(&home(), request).await }
    };
    share(users).await.unwrap();
    let public = PermissionChanges { add_groups: vec!["all".into()], ..PermissionChanges::default() };
    assert_eq!(share(public).await.unwrap_err().code, "OperationNotPermitted");
}

async fn an_image_is_deprecated_protected_and_watermarked(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let id = image(ec2, cloud).await;
    let at = Timestamp(cloud.now().0 / 60_000 * 60_000 + 3_600_000);
    let deprecate = EnableImageDeprecation { image_id: id.clone(), deprecate_at: at };
    ec2.enable_image_deprecation(&home(), deprecate).await.unwrap();
    let watermark = AttachImageWatermark { image_id: id.clone(), watermark_name: "approved".into() };
    ec2.attach_image_watermark(&home(), watermark).await.unwrap();
    let protect = EnableImageDeregistrationProtection { image_id: id.clone(), with_cooldown: false };
    ec2.enable_image_deregistration_protection(&home(), protect).await.unwrap();
    let shown = described(ec2, &home(), &id).await;
    assert_eq!((shown.deprecation_time, shown.is_protected()), (Some(at), true));
    assert!(shown.watermarks[0].ends_with(":approved"), "{:?}", shown.watermarks);
    let deregister = request::DeregisterImage { image_id: id.clone(), delete_associated_snapshots: false };
    let refused = ec2.deregister_image(&home(), deregister.clone()).await.unwrap_err();
    assert_eq!(refused.code, "OperationNotPermitted");
    ec2.disable_image_deregistration_protection(&home(), &id).await.unwrap();
    ec2.deregister_image(&home(), deregister).await.unwrap();
}

async fn instances_are_found_by_their_image(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let base = base(cloud);
    cloud.with(|model, _| model.set_instance_image(&home(), &instance(), base.clone())).unwrap();
    let with = |image: &str| {
        let filters = vec![Filter::one("image-id", image), Filter::one("instance-state-name", "running")];
        let request = DescribeInstances { filters, ..DescribeInstances::default() };
        async move { ec2.describe_instances(&home(), request).await.unwrap() }
    };
    let found = with(base.as_str()).await;
    assert_eq!((found.len(), &found[0].instance_id, &found[0].image_id), (1, &instance(), &Some(base.clone())));
    assert_eq!(with("ami-00000000").await.len(), 0);
}
