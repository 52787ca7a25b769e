//! The calls.

use std::collections::BTreeSet;

use bakehouse_ec2::{
    ApiError, Ec2,
    request::{self, CreateVolume, Filter},
    resource::{AttachmentState, BlockDeviceMapping, EbsBlockDevice, ImageState, SnapshotState, Tags, VolumeState},
};
use bakehouse_localcloud::VirtualCloud;
use bakehouse_protocol::{
    DeviceName, ImageId, InstanceId, Millis, SnapshotId, VolumeId,
    spec::{Architecture, Virtualization},
};

use crate::place::{abroad, base, home, in_both_places, instance, zone};

in_both_places! {
    one_token_makes_one_volume
    resources_have_their_tags_from_the_start
    a_list_is_read_to_its_end
    attaching_is_refused_with_ec2s_codes
    a_volume_changes_its_state
    a_snapshot_completes
    snapshots_are_limited_in_rate
    an_image_is_registered_once_under_its_name
    invalid_registrations_are_refused
    one_token_makes_one_copy
    attributes_change_on_available_images_only
    tags_are_set_on_existing_resources
    missing_resources_are_not_found
    an_image_is_removed_with_its_snapshots
    the_region_and_instance_are_described
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.unwrap_err().code.into_owned()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn empty() -> CreateVolume {
    CreateVolume { size: Some(2), ..CreateVolume::new(zone()) }
}

/// An available volume.
async fn volume(ec2: &impl Ec2, cloud: &VirtualCloud) -> VolumeId {
    let made = ec2.create_volume(&home(), empty()).await.unwrap();
    cloud.pass(Millis::seconds(10));
    made.volume_id
}

/// A completed snapshot.
async fn snapshot(ec2: &impl Ec2, cloud: &VirtualCloud) -> SnapshotId {
    let volume_id = volume(ec2, cloud).await;
    let request = request::CreateSnapshot { volume_id, description: "d".into(), tags: Tags::new() };
    let made = ec2.create_snapshot(&home(), request).await.unwrap();
    cloud.pass(Millis::minutes(5));
    made.snapshot_id
}

fn registration(name: &str, snapshot: &SnapshotId) -> request::RegisterImage {
    let root = EbsBlockDevice {
        snapshot_id: Some(snapshot.clone()),
        volume_type: Some("gp3".into()),
        delete_on_termination: Some(true),
        ..Default::default()
    };
    request::RegisterImage {
        name: name.into(),
        description: Some("the web".into()),
        architecture: Some(Architecture::Arm64),
        virtualization_type: Some(Virtualization::Hvm),
        root_device_name: Some("/dev/xvda".into()),
        block_device_mappings: vec![
            BlockDeviceMapping { device_name: "/dev/xvda".into(), ebs: Some(root), ..Default::default() },
            BlockDeviceMapping { device_name: "/dev/sdb".into(), no_device: true, ..Default::default() },
        ],
        ena_support: Some(true),
        boot_mode: Some("uefi".into()),
        imds_support: Some("v2.0".into()),
        tags: tags(&[("Name", "web")]),
        ..Default::default()
    }
}

/// An available image.
async fn image(ec2: &impl Ec2, cloud: &VirtualCloud, name: &str) -> (ImageId, SnapshotId) {
    let snapshot = snapshot(ec2, cloud).await;
    let id = ec2.register_image(&home(), registration(name, &snapshot)).await.unwrap();
    cloud.pass(Millis::minutes(1));
    (id, snapshot)
}

fn images(id: &ImageId) -> request::DescribeImages {
    request::DescribeImages { image_ids: vec![id.clone()], ..Default::default() }
}

fn volumes(id: &VolumeId) -> request::DescribeVolumes {
    request::DescribeVolumes { volume_ids: vec![id.clone()], filters: vec![] }
}

fn device(name: &str) -> DeviceName {
    DeviceName::new(name).unwrap()
}

async fn one_token_makes_one_volume(ec2: &impl Ec2, _: &VirtualCloud) {
    let request = CreateVolume { client_token: Some("b-1-volume".into()), ..empty() };
    let first = ec2.create_volume(&home(), request.clone()).await.unwrap();
    assert_eq!(ec2.create_volume(&home(), request.clone()).await.unwrap().volume_id, first.volume_id);
    let other = CreateVolume { size: Some(3), ..request };
    assert_eq!(code(ec2.create_volume(&home(), other).await), "IdempotentParameterMismatch");
    let another = ec2.create_volume(&home(), empty()).await.unwrap();
    assert_ne!(another.volume_id, first.volume_id);
}

async fn resources_have_their_tags_from_the_start(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let request = CreateVolume { tags: tags(&[("bakehouse:build", "b-1"), ("odd key", "a=b&c")]), ..empty() };
    let made = ec2.create_volume(&home(), request.clone()).await.unwrap();
    assert_eq!(made.tags, request.tags);
    cloud.pass(Millis::seconds(10));
    ec2.create_volume(&home(), empty()).await.unwrap();
    cloud.pass(Millis::seconds(10));
    let filters = vec![Filter::one("tag:bakehouse:build", "b-1")];
    let found =
        ec2.describe_volumes(&home(), request::DescribeVolumes { filters, ..Default::default() }).await.unwrap();
    assert_eq!(found.iter().map(|it| &it.volume_id).collect::<Vec<_>>(), [&made.volume_id]);
    assert_eq!(found[0].tags, request.tags);
}

async fn a_list_is_read_to_its_end(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let mut made = BTreeSet::new();
    for _ in 0..23 {
        made.insert(ec2.create_volume(&home(), empty()).await.unwrap().volume_id);
    }
    cloud.pass(Millis::seconds(10));
    let all = ec2.describe_volumes(&home(), request::DescribeVolumes::default()).await.unwrap();
    assert_eq!(all.iter().map(|it| it.volume_id.clone()).collect::<BTreeSet<_>>(), made);
    assert_eq!(all.len(), 23);
    // By their ids, where EC2 takes no MaxResults.
    let volume_ids: Vec<_> = made.into_iter().take(12).collect();
    let some = ec2.describe_volumes(&home(), request::DescribeVolumes { volume_ids, filters: vec![] }).await.unwrap();
    assert_eq!(some.len(), 12);
    // Later pages are read even if a filter leaves the first ones empty.
    let filters = vec![Filter::one("volume-id", all[22].volume_id.as_str())];
    let one = ec2.describe_volumes(&home(), request::DescribeVolumes { filters, ..Default::default() }).await.unwrap();
    assert_eq!(one, all[22..]);
}

async fn attaching_is_refused_with_ec2s_codes(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let (one, two) = (volume(ec2, cloud).await, volume(ec2, cloud).await);
    let attach = |volume_id: &VolumeId, name: &str| {
        let (volume_id, device) = (volume_id.clone(), device(name));
        request::AttachVolume { volume_id, instance_id: instance(), device }
    };
    let attached = ec2.attach_volume(&home(), attach(&one, "/dev/sdf")).await.unwrap();
    assert_eq!((attached.state, attached.device.as_str()), (AttachmentState::Attaching, "/dev/sdf"));
    assert_eq!(code(ec2.attach_volume(&home(), attach(&one, "/dev/sdg")).await), "VolumeInUse");
    let taken = ec2.attach_volume(&home(), attach(&two, "/dev/sdf")).await.unwrap_err();
    assert_eq!(taken.code, "InvalidParameterValue");
    assert!(taken.message.contains("Attachment point /dev/sdf is already in use"), "{taken}");
    let elsewhere = InstanceId::new("i-0000000000000000b").unwrap();
    let there = request::AttachVolume { instance_id: elsewhere, ..attach(&two, "/dev/sdf") };
    assert_eq!(code(ec2.attach_volume(&home(), there).await), "InvalidVolume.ZoneMismatch");
    let nowhere = InstanceId::new("i-0000000000000000c").unwrap();
    let there = request::AttachVolume { instance_id: nowhere, ..attach(&two, "/dev/sdf") };
    assert_eq!(code(ec2.attach_volume(&home(), there).await), "InvalidInstanceID.NotFound");
    let fresh = ec2.create_volume(&home(), empty()).await.unwrap();
    assert_eq!(code(ec2.attach_volume(&home(), attach(&fresh.volume_id, "/dev/sdh")).await), "IncorrectState");

    let detach = |volume_id: &VolumeId| request::DetachVolume { volume_id: volume_id.clone(), instance_id: None };
    assert_eq!(code(ec2.detach_volume(&home(), detach(&two)).await), "IncorrectState");
    let wrong =
        request::DetachVolume { instance_id: Some(InstanceId::new("i-0000000000000000b").unwrap()), ..detach(&one) };
    assert_eq!(code(ec2.detach_volume(&home(), wrong).await), "InvalidAttachment.NotFound");
    assert_eq!(code(ec2.delete_volume(&home(), request::DeleteVolume { volume_id: one.clone() }).await), "VolumeInUse");
    cloud.pass(Millis::seconds(10));
    let detached = ec2.detach_volume(&home(), detach(&one)).await.unwrap();
    assert_eq!((detached.state, detached.volume_id), (AttachmentState::Detaching, one));
}

async fn a_volume_changes_its_state(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let made = ec2.create_volume(&home(), CreateVolume { volume_type: Some("gp3".into()), ..empty() }).await.unwrap();
    assert_eq!((made.state, made.size, made.volume_type.as_str()), (VolumeState::Creating, 2, "gp3"));
    let id = made.volume_id;
    // EC2 does not show a new resource at once.
    assert_eq!(code(ec2.describe_volumes(&home(), volumes(&id)).await), "InvalidVolume.NotFound");
    cloud.pass(Millis::seconds(10));
    let see = async || ec2.describe_volumes(&home(), volumes(&id)).await.unwrap().remove(0);
    assert_eq!(see().await.state, VolumeState::Available);
    let request = request::AttachVolume { volume_id: id.clone(), instance_id: instance(), device: device("/dev/sdf") };
    ec2.attach_volume(&home(), request).await.unwrap();
    let seen = see().await;
    assert_eq!((seen.state, seen.attachments[0].state), (VolumeState::InUse, AttachmentState::Attaching));
    cloud.pass(Millis::seconds(10));
    assert_eq!(see().await.attachments[0].state, AttachmentState::Attached);
    ec2.detach_volume(&home(), request::DetachVolume { volume_id: id.clone(), instance_id: None }).await.unwrap();
    assert_eq!(see().await.attachments[0].state, AttachmentState::Detaching);
    cloud.pass(Millis::seconds(10));
    assert_eq!((see().await.state, see().await.attachments.len()), (VolumeState::Available, 0));
    ec2.delete_volume(&home(), request::DeleteVolume { volume_id: id.clone() }).await.unwrap();
    assert_eq!(see().await.state, VolumeState::Deleting);
    cloud.pass(Millis::minutes(1));
    assert_eq!(code(ec2.describe_volumes(&home(), volumes(&id)).await), "InvalidVolume.NotFound");
}

async fn a_snapshot_completes(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let volume_id = volume(ec2, cloud).await;
    let request = request::CreateSnapshot {
        volume_id: volume_id.clone(),
        description: "of the web".into(),
        tags: tags(&[("bakehouse:build", "b-1")]),
    };
    let made = ec2.create_snapshot(&home(), request).await.unwrap();
    assert_eq!((made.state, made.volume_size, &made.volume_id), (SnapshotState::Pending, 2, &volume_id));
    assert_eq!((made.tags["bakehouse:build"].as_str(), made.description.as_str()), ("b-1", "of the web"));
    let from = CreateVolume { snapshot_id: Some(made.snapshot_id.clone()), ..CreateVolume::new(zone()) };
    assert_eq!(code(ec2.create_volume(&home(), from.clone()).await), "IncorrectState");
    let early = registration("too early", &made.snapshot_id);
    assert_eq!(code(ec2.register_image(&home(), early).await), "IncorrectState");
    cloud.pass(Millis::minutes(5));
    let filters = vec![Filter::one("tag:bakehouse:build", "b-1")];
    let request = request::DescribeSnapshots { filters, owner_ids: vec!["self".into()], ..Default::default() };
    let seen = ec2.describe_snapshots(&home(), request).await.unwrap();
    assert_eq!((seen.len(), seen[0].state, seen[0].progress.as_str()), (1, SnapshotState::Completed, "100%"));
    let volume = ec2.create_volume(&home(), from).await.unwrap();
    assert_eq!((volume.size, volume.snapshot_id), (2, Some(made.snapshot_id)));
}

async fn snapshots_are_limited_in_rate(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let volume_id = volume(ec2, cloud).await;
    let request = request::CreateSnapshot { volume_id, description: String::new(), tags: Tags::new() };
    ec2.create_snapshot(&home(), request.clone()).await.unwrap();
    assert_eq!(code(ec2.create_snapshot(&home(), request.clone()).await), "SnapshotCreationPerVolumeRateExceeded");
    cloud.pass(Millis::seconds(15));
    ec2.create_snapshot(&home(), request).await.unwrap();
}

async fn an_image_is_registered_once_under_its_name(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let (id, snapshot) = image(ec2, cloud, "web (1)").await;
    let seen = ec2.describe_images(&home(), images(&id)).await.unwrap().remove(0);
    assert_eq!(
        (seen.state, seen.name.as_str(), seen.description.as_str()),
        (ImageState::Available, "web (1)", "the web")
    );
    assert_eq!((seen.architecture, seen.virtualization_type), (Architecture::Arm64, Virtualization::Hvm));
    assert_eq!((seen.boot_mode.as_deref(), seen.imds_support.as_deref()), (Some("uefi"), Some("v2.0")));
    assert!(seen.ena_support && !seen.public());
    assert_eq!((seen.root_snapshot(), seen.tags["Name"].as_str()), (Some(&snapshot), "web"));
    assert_eq!(code(ec2.register_image(&home(), registration("web (1)", &snapshot)).await), "InvalidAMIName.Duplicate");
    let by_name = request::DescribeImages {
        owners: vec!["self".into()],
        filters: vec![Filter::one("name", "web (1)")],
        ..Default::default()
    };
    assert_eq!(ec2.describe_images(&home(), by_name).await.unwrap(), [seen]);
    assert_eq!(code(ec2.delete_snapshot(&home(), &snapshot).await), "InvalidSnapshot.InUse");
}

async fn invalid_registrations_are_refused(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let snapshot = snapshot(ec2, cloud).await;
    let nameless = registration("no", &snapshot);
    assert_eq!(code(ec2.register_image(&home(), nameless).await), "InvalidAMIName.Malformed");
    let gone = SnapshotId::new("snap-00000000").unwrap();
    assert_eq!(code(ec2.register_image(&home(), registration("web", &gone)).await), "InvalidSnapshot.NotFound");
    let rootless = request::RegisterImage { block_device_mappings: vec![], ..registration("web", &snapshot) };
    assert_eq!(code(ec2.register_image(&home(), rootless).await), "InvalidBlockDeviceMapping");
}

async fn one_token_makes_one_copy(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let snapshot = snapshot(ec2, cloud).await;
    let id = ec2.register_image(&home(), registration("web", &snapshot)).await.unwrap();
    let request = request::CopyImage {
        client_token: Some("b-1-copy-eu-west-1".into()),
        image_tags: tags(&[("bakehouse:build", "b-1")]),
        snapshot_tags: tags(&[("bakehouse:build", "b-1"), ("part", "snapshot")]),
        ..request::CopyImage::new("web", id.clone(), home())
    };
    let early = ec2.copy_image(&abroad(), request.clone()).await.unwrap_err();
    assert_eq!(early.code, "InvalidRequest");
    assert!(early.message.contains("not available in the source region"), "{early}");
    cloud.pass(Millis::minutes(1));
    let copy = ec2.copy_image(&abroad(), request.clone()).await.unwrap();
    assert_eq!(ec2.copy_image(&abroad(), request.clone()).await.unwrap(), copy);
    let other = request::CopyImage { name: "web 2".into(), ..request };
    assert_eq!(code(ec2.copy_image(&abroad(), other).await), "IdempotentParameterMismatch");
    cloud.pass(Millis::seconds(10));
    let seen = ec2.describe_images(&abroad(), images(&copy)).await.unwrap().remove(0);
    assert_eq!((seen.state, seen.tags["bakehouse:build"].as_str()), (ImageState::Pending, "b-1"));
    assert_eq!((seen.source_image_id, seen.source_image_region), (Some(id), Some(home())));
    cloud.pass(Millis::minutes(10));
    let seen = ec2.describe_images(&abroad(), images(&copy)).await.unwrap().remove(0);
    assert_eq!(seen.state, ImageState::Available);
    let snapshot_ids = seen.snapshots().cloned().collect();
    let request = request::DescribeSnapshots { snapshot_ids, ..Default::default() };
    assert_eq!(ec2.describe_snapshots(&abroad(), request).await.unwrap()[0].tags["part"], "snapshot");
}

async fn attributes_change_on_available_images_only(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let snapshot = snapshot(ec2, cloud).await;
    let id = ec2.register_image(&home(), registration("web", &snapshot)).await.unwrap();
    let request = request::ModifyImageAttribute {
        description: Some("another".into()),
        launch_permission: request::PermissionChanges {
            add_users: vec!["444455556666".into()],
            add_groups: vec!["all".into()],
            ..Default::default()
        },
        product_codes: vec!["abcdefghij".into()],
        imds_support: Some("v2.0".into()),
        ..request::ModifyImageAttribute::new(id.clone())
    };
    assert_eq!(code(ec2.modify_image_attribute(&home(), request.clone()).await), "InvalidAMIID.Unavailable");
    cloud.pass(Millis::minutes(1));
    ec2.modify_image_attribute(&home(), request.clone()).await.unwrap();
    let see = async || ec2.describe_images(&home(), images(&id)).await.unwrap().remove(0);
    let seen = see().await;
    assert!(seen.public());
    assert_eq!((seen.description.as_str(), seen.product_codes.len()), ("another", 1));
    // What DescribeImages does not return is read from the model.
    let everything = cloud.with(|model, now| model.describe_images(now, &home(), &images(&id)).unwrap().remove(0));
    assert!(everything.launch_permission.users.contains("444455556666"));
    let private = request::PermissionChanges { remove_groups: vec!["all".into()], ..Default::default() };
    let request = request::ModifyImageAttribute {
        launch_permission: private,
        description: None,
        product_codes: vec![],
        ..request
    };
    ec2.modify_image_attribute(&home(), request.clone()).await.unwrap();
    let seen = see().await;
    assert_eq!((seen.public(), seen.description.as_str()), (false, "another"));
    let nobody = request::PermissionChanges { add_users: vec!["nobody".into()], ..Default::default() };
    let request = request::ModifyImageAttribute { launch_permission: nobody, ..request };
    assert_eq!(code(ec2.modify_image_attribute(&home(), request).await), "InvalidAMIAttributeItemValue");
}

async fn tags_are_set_on_existing_resources(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let (id, snapshot) = image(ec2, cloud, "web").await;
    let request = request::CreateTags {
        resources: vec![id.to_string(), snapshot.to_string()],
        tags: tags(&[("Name", "shop"), ("empty", "")]),
    };
    ec2.create_tags(&home(), request.clone()).await.unwrap();
    ec2.create_tags(&home(), request).await.unwrap();
    let seen = ec2.describe_images(&home(), images(&id)).await.unwrap().remove(0);
    assert_eq!(seen.tags, tags(&[("Name", "shop"), ("empty", "")]));
    let lost = request::CreateTags { resources: vec!["vol-00000000".into()], tags: tags(&[("a", "b")]) };
    assert_eq!(code(ec2.create_tags(&home(), lost).await), "InvalidVolume.NotFound");
    let many = (0..51).map(|number| (format!("key {number}"), String::new())).collect();
    let many = request::CreateTags { resources: vec![id.to_string()], tags: many };
    assert_eq!(code(ec2.create_tags(&home(), many).await), "TagLimitExceeded");
}

async fn missing_resources_are_not_found(ec2: &impl Ec2, _: &VirtualCloud) {
    let volume_id = VolumeId::new("vol-00000000").unwrap();
    let snapshot_id = SnapshotId::new("snap-00000000").unwrap();
    let image_id = ImageId::new("ami-00000000").unwrap();
    let instance_id = InstanceId::new("i-00000000").unwrap();
    assert_eq!(code(ec2.describe_volumes(&home(), volumes(&volume_id)).await), "InvalidVolume.NotFound");
    let request = request::DescribeSnapshots { snapshot_ids: vec![snapshot_id.clone()], ..Default::default() };
    assert_eq!(code(ec2.describe_snapshots(&home(), request).await), "InvalidSnapshot.NotFound");
    assert_eq!(code(ec2.describe_images(&home(), images(&image_id)).await), "InvalidAMIID.NotFound");
    assert_eq!(code(ec2.start_instances(&home(), &instance_id).await), "InvalidInstanceID.NotFound");
    assert_eq!(code(ec2.delete_snapshot(&home(), &snapshot_id).await), "InvalidSnapshot.NotFound");
    let request = request::DeleteVolume { volume_id: volume_id.clone() };
    assert_eq!(code(ec2.delete_volume(&home(), request).await), "InvalidVolume.NotFound");
    let request = request::CreateSnapshot { volume_id, description: String::new(), tags: Tags::new() };
    assert_eq!(code(ec2.create_snapshot(&home(), request).await), "InvalidVolume.NotFound");
    let request = request::CopyImage::new("copy", image_id.clone(), home());
    assert_eq!(code(ec2.copy_image(&abroad(), request).await), "InvalidAMIID.NotFound");
    let request = request::DeregisterImage { image_id, delete_associated_snapshots: false };
    assert_eq!(code(ec2.deregister_image(&home(), request).await), "InvalidAMIID.NotFound");
    let filters = vec![Filter::one("no-such-filter", "x")];
    let request = request::DescribeVolumes { filters, ..Default::default() };
    assert_eq!(code(ec2.describe_volumes(&home(), request).await), "InvalidParameterValue");
}

async fn an_image_is_removed_with_its_snapshots(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let (id, snapshot) = image(ec2, cloud, "web").await;
    let request = request::DeregisterImage { image_id: id, delete_associated_snapshots: true };
    let gone = ec2.deregister_image(&home(), request.clone()).await.unwrap();
    assert_eq!(
        gone.iter().map(|it| (&it.snapshot_id, it.return_code.as_str())).collect::<Vec<_>>(),
        [(&snapshot, "success")]
    );
    assert_eq!(code(ec2.deregister_image(&home(), request).await), "InvalidAMIID.Unavailable");
    assert_eq!(code(ec2.delete_snapshot(&home(), &snapshot).await), "InvalidSnapshot.NotFound");
}

async fn the_region_and_instance_are_described(ec2: &impl Ec2, cloud: &VirtualCloud) {
    let base = base(cloud);
    let regions: BTreeSet<_> = ec2.describe_regions().await.unwrap().into_iter().collect();
    assert_eq!(regions, BTreeSet::from([home(), abroad()]));
    let request = request::DescribeImages { owners: vec!["amazon".into()], ..Default::default() };
    let seen = ec2.describe_images(&home(), request).await.unwrap().remove(0);
    assert_eq!((seen.image_id, seen.image_owner_alias.as_deref()), (base, Some("amazon")));
    let public = request::DescribeImages { owners: vec!["self".into()], ..Default::default() };
    assert_eq!(ec2.describe_images(&home(), public).await.unwrap(), []);
}
