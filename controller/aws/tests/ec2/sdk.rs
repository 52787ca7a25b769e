//! What only the SDK can show: that every field is transferred, and how many calls are made.

use bakehouse_ec2::{
    Ec2,
    request::{self, CreateVolume, Filter},
    resource::{BlockDeviceMapping, EbsBlockDevice, Permissions, Tags},
};
use bakehouse_protocol::{
    DeviceName, Millis,
    spec::{Architecture, Virtualization},
};
use pollster::FutureExt as _;

use crate::place::{Served, base, home, instance, zone};

/// What EC2 returns of a resource is what the model holds, field by field.
#[tokio::test]
async fn every_field_is_transferred() {
    let Served { cloud, ec2, server: _server } = Served::new();
    let base = base(&cloud);
    let tags = Tags::from([("Name".to_owned(), "wéb <1> & \"2\"".to_owned())]);
    let request = CreateVolume {
        size: Some(10),
        volume_type: Some("gp3".into()),
        iops: Some(4000),
        throughput: Some(250),
        tags: tags.clone(),
        ..CreateVolume::new(zone())
    };
    let volume_id = ec2.create_volume(&home(), request).await.unwrap().volume_id;
    cloud.pass(Millis::seconds(10));
    let device = DeviceName::new("/dev/sdf").unwrap();
    let request = request::AttachVolume { volume_id: volume_id.clone(), instance_id: instance(), device };
    ec2.attach_volume(&home(), request).await.unwrap();
    let request = request::CreateSnapshot { volume_id, description: "of <it>".into(), tags: tags.clone() };
    let snapshot = ec2.create_snapshot(&home(), request).await.unwrap();
    cloud.pass(Millis::minutes(5));
    let ebs = EbsBlockDevice {
        snapshot_id: Some(snapshot.snapshot_id),
        volume_size: Some(12),
        volume_type: Some("io2".into()),
        iops: Some(900),
        delete_on_termination: Some(false),
        ..Default::default()
    };
    let virtual_name = Some("ephemeral0".to_owned());
    let request = request::RegisterImage {
        name: "web".into(),
        description: Some("tabs\tand ünïcode".into()),
        architecture: Some(Architecture::X86_64),
        virtualization_type: Some(Virtualization::Hvm),
        root_device_name: Some("/dev/sda1".into()),
        block_device_mappings: vec![
            BlockDeviceMapping { device_name: "/dev/sda1".into(), ebs: Some(ebs), ..Default::default() },
            BlockDeviceMapping { device_name: "/dev/sdb".into(), virtual_name, ..Default::default() },
        ],
        ena_support: Some(true),
        sriov_net_support: Some("simple".into()),
        boot_mode: Some("uefi-preferred".into()),
        imds_support: Some("v2.0".into()),
        tpm_support: Some("v2.0".into()),
        uefi_data: Some("AAAA".into()),
        tags,
    };
    ec2.register_image(&home(), request).await.unwrap();
    cloud.pass(Millis::minutes(5));

    let all = request::DescribeVolumes::default();
    assert_eq!(ec2.describe_volumes(&home(), all.clone()).await, cloud.describe_volumes(&home(), all).block_on());
    let all = request::DescribeSnapshots::default();
    let mut held = cloud.describe_snapshots(&home(), all.clone()).block_on().unwrap();
    // EC2 shows only in DescribeSnapshotAttribute who may use a snapshot.
    held.iter_mut().for_each(|it| it.create_volume_permission = Permissions::default());
    assert_eq!(ec2.describe_snapshots(&home(), all).await, Ok(held));
    let all = request::DescribeImages::default();
    let seen = ec2.describe_images(&home(), all.clone()).await.unwrap();
    assert!(seen.len() == 2 && seen.iter().any(|it| it.image_id == base));
    let mut held = cloud.describe_images(&home(), all).block_on().unwrap();
    // EC2 shows UEFI data only in DescribeImageAttribute.
    held.iter_mut().for_each(|it| it.uefi_data = None);
    assert_eq!(seen, held);
}

#[tokio::test]
async fn lists_are_read_by_page_and_ids_in_one_call() {
    let place = Served::new();
    for _ in 0..12 {
        place.ec2.create_volume(&home(), CreateVolume { size: Some(1), ..CreateVolume::new(zone()) }).await.unwrap();
    }
    place.cloud.pass(Millis::seconds(10));
    let pages = |place: &Served| {
        let calls = place.server.journal().take();
        let calls = calls.into_iter().filter(|call| call.action == "DescribeVolumes");
        calls.map(|call| call.parameters.get("MaxResults").cloned().unwrap_or_default()).collect::<Vec<_>>()
    };
    pages(&place);
    let all = place.ec2.describe_volumes(&home(), request::DescribeVolumes::default()).await.unwrap();
    assert_eq!((all.len(), pages(&place)), (12, vec!["5".to_owned(); 3]));
    let volume_ids = all.into_iter().map(|it| it.volume_id).collect();
    let request = request::DescribeVolumes { volume_ids, filters: vec![] };
    assert_eq!(place.ec2.describe_volumes(&home(), request).await.unwrap().len(), 12);
    assert_eq!(pages(&place), [""]);
}

#[tokio::test]
async fn more_than_a_thousand_resources_are_all_listed() {
    let Served { cloud, ec2, server } = Served::new();
    for _ in 0..1203 {
        cloud.create_volume(&home(), CreateVolume { size: Some(1), ..CreateVolume::new(zone()) }).block_on().unwrap();
    }
    cloud.pass(Millis::seconds(10));
    let seen = ec2.page_size(500).describe_volumes(&home(), request::DescribeVolumes::default()).await.unwrap();
    assert_eq!(seen.len(), 1203);
    assert_eq!(server.calls().len(), 3);
}

/// What EC2 would set by its own defaults is sent, what it refuses is not.
#[tokio::test]
async fn requests_have_exactly_these_parameters() {
    let place = Served::new();
    let request = CreateVolume {
        size: Some(1),
        client_token: Some("b-1-volume".into()),
        tags: Tags::from([("bakehouse:build".to_owned(), "b-1".to_owned())]),
        ..CreateVolume::new(zone())
    };
    place.ec2.create_volume(&home(), request).await.unwrap();
    let sent = place.server.calls().remove(0).parameters;
    assert_eq!(sent["ClientToken"], "b-1-volume");
    assert_eq!(sent["TagSpecification.1.ResourceType"], "volume");
    assert_eq!(
        (sent["TagSpecification.1.Tag.1.Key"].as_str(), sent["AvailabilityZone"].as_str()),
        ("bakehouse:build", "us-east-1a")
    );
    assert!(!sent.contains_key("VolumeType") && !sent.contains_key("Encrypted"), "{sent:?}");

    let root = EbsBlockDevice {
        snapshot_id: Some("snap-00000000".parse().unwrap()),
        encrypted: Some(false),
        ..Default::default()
    };
    let request = request::RegisterImage {
        name: "web".into(),
        block_device_mappings: vec![BlockDeviceMapping {
            device_name: "/dev/sda1".into(),
            ebs: Some(root),
            ..Default::default()
        }],
        ..Default::default()
    };
    place.ec2.register_image(&home(), request).await.unwrap_err();
    let sent = place.server.calls().remove(1).parameters;
    assert_eq!((sent["Architecture"].as_str(), sent["VirtualizationType"].as_str()), ("i386", "paravirtual"));
    assert_eq!(sent["BlockDeviceMapping.1.Ebs.SnapshotId"], "snap-00000000");
    assert!(!sent.keys().any(|key| key.contains("Encrypted") || key.contains("KmsKeyId")), "{sent:?}");

    let filters = vec![Filter { name: "name".into(), values: vec!["a".into(), "b".into()] }];
    let request = request::DescribeImages { filters, owners: vec!["self".into()], ..Default::default() };
    place.ec2.describe_images(&home(), request).await.unwrap();
    let sent = place.server.calls().remove(2).parameters;
    assert_eq!((sent["Filter.1.Value.2"].as_str(), sent["Owner.1"].as_str()), ("b", "self"));
    assert!(!sent.contains_key("IncludeDeprecated"), "{sent:?}");
}

#[tokio::test]
async fn each_region_has_its_own_endpoint() {
    let place = Served::new();
    for region in ["us-east-1", "eu-west-1", "us-east-1"] {
        let region = crate::place::region(region);
        place.ec2.describe_volumes(&region, request::DescribeVolumes::default()).await.unwrap();
    }
    place.ec2.describe_regions().await.unwrap();
    let regions: Vec<_> = place.server.calls().into_iter().map(|call| call.region.unwrap().to_string()).collect();
    assert_eq!(regions, ["us-east-1", "eu-west-1", "us-east-1", "us-east-1"]);
}
