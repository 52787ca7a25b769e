//! Finding the source and making the plan, with EC2's model: the calls that it takes, and the result.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use bakehouse_controller::{
    cloud::{Cloud, NoParameters},
    resolve::resolve,
};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_machine::{Build, Fault, FaultKind, Plan, Timing, build::NewBuild};
use bakehouse_protocol::{
    BlockDeviceMapping, BuildSpec, ImageId, Millis, Region, SnapshotId, Timestamp,
    spec::{Architecture, ImageQuery, Source, Virtualization},
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
