//! Finding the source and making the plan, with EC2's model: the calls that it takes, and the result.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use bakehouse_controller::{
    cloud::{Cloud, NoParameters},
    resolve::resolve,
};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_machine::{Build, Fault, FaultKind, Plan, Timing, build::NewBuild};
use bakehouse_protocol::{
    BlockDeviceMapping, BuildSpec, EbsBlockDevice, ImageId, Millis, Region, SnapshotId, Timestamp,
    spec::{AccountCopies, Architecture, CopyRole, ImageQuery, Source, Virtualization},
};

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const VENDOR: &str = "999988887777";

fn home() -> Region {
    Region::new("us-east-1").unwrap()
}

fn cloud() -> VirtualCloud {
    VirtualCloud::new(Model::new("111122223333", [home()], 7, Delays::like_ec2()), NOW)
}

/// Makes a public image of another account, newer than those before; returns it with its snapshot.
fn public_image(cloud: &VirtualCloud, name: &str) -> (ImageId, SnapshotId) {
    cloud.pass(Millis::minutes(1));
    let import = Import { owner: Some(VENDOR.to_owned()), ..Import::new(name, 8, Architecture::X86_64) };
    let image = cloud.with(|model, now| model.import_image(now, &home(), &import)).unwrap();
    let snapshot = image.root_snapshot().unwrap().clone();
    cloud.pass(Millis::minutes(1));
    (image.image_id, snapshot)
}

fn unshare(cloud: &VirtualCloud, snapshot: &SnapshotId) {
    cloud.with(|model, now| model.make_snapshot_private(now, &home(), snapshot)).unwrap();
}

fn newest() -> Source {
    Source::Image(ImageQuery { owners: vec![VENDOR.to_owned()], most_recent: true, ..ImageQuery::default() })
}

/// Resolves; returns the result and the calls that it took.
fn resolved(cloud: VirtualCloud, source: Source) -> (Result<Plan, Fault>, Vec<&'static str>) {
    resolved_spec(cloud, BuildSpec::minimal("web", source))
}

fn resolved_spec(cloud: VirtualCloud, spec: BuildSpec) -> (Result<Plan, Fault>, Vec<&'static str>) {
    let new = NewBuild {
        id: "b-00000001".parse().unwrap(),
        spec,
        region: home(),
        recipe: "web.json".to_owned(),
        files: String::new(),
        bundle: None,
        timing: Timing::AWS,
    };
    let port = Cloud(cloud, NoParameters);
    let plan = pollster::block_on(resolve(&port, &Build::new(new, NOW)));
    let calls = port.0.calls().into_iter().map(|call| call.action).collect();
    (plan, calls)
}

#[test]
fn only_the_snapshot_of_the_chosen_image_is_described() {
    let cloud = cloud();
    for n in 0..20 {
        let (_, snapshot) = public_image(&cloud, &format!("base-{n}"));
        unshare(&cloud, &snapshot);
    }
    let (image, snapshot) = public_image(&cloud, "base-20");
    let (plan, calls) = resolved(cloud, newest());
    let plan = plan.unwrap();
    assert_eq!(plan.data.source_ami, Some(image));
    assert_eq!((plan.volume.snapshot, plan.volume.size), (Some(snapshot), 8));
    // The last one checks that the new image's name is free.
    assert_eq!(calls, ["DescribeRegions", "DescribeImages", "DescribeSnapshots", "DescribeImages"]);
}

#[test]
fn an_image_whose_snapshot_is_not_shared_is_refused_with_a_hint() {
    let cloud = cloud();
    public_image(&cloud, "base-0");
    let (image, snapshot) = public_image(&cloud, "base-1");
    unshare(&cloud, &snapshot);
    let fault = resolved(cloud, newest()).0.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Permanent);
    assert!(fault.message.contains(image.as_str()) && fault.message.contains(snapshot.as_str()), "{fault}");
    let hint = fault.hint.unwrap();
    assert!(hint.contains("not shared") && hint.contains(VENDOR), "{hint}");
}

/// EC2's default is to declare neither, and current instance types launch no image without ENA.
#[test]
fn enhanced_networking_is_declared_for_hvm_from_scratch_only() {
    let declared = |source: Option<Source>, virtualization, architecture| {
        let cloud = cloud();
        public_image(&cloud, "base");
        let scratch = source.is_none();
        let mut spec = BuildSpec::minimal("web", source.unwrap_or(Source::Scratch { size: 2 }));
        spec.image.virtualization = Some(virtualization);
        spec.image.architecture = architecture;
        if scratch {
            spec.image.root_device_name = Some("/dev/sda1".to_owned());
            let root = BlockDeviceMapping { device_name: "/dev/sda1".to_owned(), ..BlockDeviceMapping::default() };
            spec.image.block_device_mappings = vec![root];
        }
        let register = resolved_spec(cloud, spec).0.unwrap().register;
        (register.ena_support, register.sriov_net_support)
    };
    let simple = || Some("simple".to_owned());
    assert_eq!(declared(None, Virtualization::Hvm, Architecture::X86_64), (Some(true), simple()));
    assert_eq!(declared(None, Virtualization::Hvm, Architecture::Arm64), (Some(true), None));
    assert_eq!(declared(None, Virtualization::Paravirtual, Architecture::X86_64), (None, None));
    assert_eq!(declared(Some(newest()), Virtualization::Hvm, Architecture::X86_64), (Some(true), simple()));
    assert_eq!(declared(Some(newest()), Virtualization::Paravirtual, Architecture::X86_64), (None, None));
}

const OTHER: &str = "444455556666";

/// Resolves a build that copies for the account of a role.
fn with_copies(cloud: VirtualCloud, role: &str, change: fn(&mut BuildSpec)) -> Result<Plan, Fault> {
    let mut spec = BuildSpec::minimal("web", newest());
    let role = CopyRole { arn: role.parse().unwrap(), external_id: None, session_name: None };
    spec.image.account_copies = vec![AccountCopies { role, regions: vec![], kms_key_id: None }];
    change(&mut spec);
    resolved_spec(cloud, spec).0
}

#[test]
fn what_keeps_another_account_from_copying_is_found_before_anything_is_made() {
    let role = format!("arn:aws:iam::{OTHER}:role/images");
    let world = || {
        let cloud = cloud();
        public_image(&cloud, "base");
        cloud
    };
    assert_eq!(with_copies(world(), &role, |_| {}).unwrap().copies.len(), 1);
    let fault = with_copies(world(), "arn:aws:iam::111122223333:role/images", |_| {}).unwrap_err();
    assert!(fault.message.contains("building account itself"), "{fault}");
    assert!(fault.hint.unwrap().contains("ami_regions"));
    let away = |spec: &mut BuildSpec| spec.image.account_copies[0].regions = vec![Region::new("eu-west-1").unwrap()];
    let fault = with_copies(world(), &role, away).unwrap_err();
    assert_eq!(fault.message, "there is no region \"eu-west-1\" for the account 444455556666");

    // The name is taken there, or was given to an image of this account, which is no harm.
    let named = |owner: Option<&str>| {
        let cloud = world();
        let import = Import { owner: owner.map(str::to_owned), ..Import::new("web", 1, Architecture::X86_64) };
        cloud.with(|model, now| model.import_image(now, &home(), &import)).unwrap();
        cloud.pass(Millis::minutes(1));
        cloud
    };
    let replace = |spec: &mut BuildSpec| spec.image.replacement.force_deregister = true;
    let fault = with_copies(named(Some(OTHER)), &role, replace).unwrap_err();
    assert!(fault.message.starts_with("the name \"web\" is taken in us-east-1 of account 444455556666"), "{fault}");
    assert_eq!(with_copies(named(None), &role, replace).unwrap().replaced.len(), 1);
}

#[test]
fn a_snapshot_that_another_account_cannot_read_is_found_before_anything_is_made() {
    let cloud = cloud();
    public_image(&cloud, "base");
    let (_, data) = public_image(&cloud, "data");
    let mapping = |name: &str, snapshot: Option<&SnapshotId>| BlockDeviceMapping {
        device_name: name.to_owned(),
        ebs: Some(EbsBlockDevice { snapshot_id: snapshot.cloned(), ..EbsBlockDevice::default() }),
        ..BlockDeviceMapping::default()
    };
    let resolve = |cloud: &VirtualCloud| {
        let mut spec = BuildSpec::minimal("web", newest());
        spec.image.root_device_name = Some("/dev/sda1".to_owned());
        spec.image.block_device_mappings = vec![mapping("/dev/sda1", None), mapping("/dev/sdb", Some(&data))];
        let arn = format!("arn:aws:iam::{OTHER}:role/images").parse().unwrap();
        let role = CopyRole { arn, external_id: None, session_name: None };
        spec.image.account_copies = vec![AccountCopies { role, regions: vec![], kms_key_id: None }];
        resolved_spec(cloud.with_caller(None), spec).0
    };
    resolve(&cloud).unwrap();
    unshare(&cloud, &data);
    // It is the newest image's root, too.
    let (_, _) = public_image(&cloud, "base-2");
    let fault = resolve(&cloud).unwrap_err();
    assert!(fault.message.contains(data.as_str()) && fault.message.contains("/dev/sdb"), "{fault}");
}
