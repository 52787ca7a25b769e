//! The plan of each option that ends in a call of EC2, with EC2's model, and what is refused before anything is made.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod account_copies;

use std::collections::BTreeMap;

use bakehouse_controller::{
    cloud::Cloud,
    ports::{Key, Keys, Parameters},
    resolve::resolve,
};
use bakehouse_localcloud::{
    Delays, Model, VirtualCloud,
    model::Import,
    request::{EnableImageDeregistrationProtection, RegisterImage},
};
use bakehouse_machine::{Build, Fault, FaultKind, Plan, Timing, build::NewBuild};
use bakehouse_protocol::{
    BlockDeviceMapping, BuildSpec, DeferredTemplate, EbsBlockDevice, Millis, Region, Timestamp,
    spec::{Architecture, CopyRole, Deprecation, ImageQuery, Source, Virtualization},
};

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const DAY: Millis = Millis::minutes(24 * 60);

fn home() -> Region {
    Region::new("us-east-1").unwrap()
}

fn away() -> Region {
    Region::new("eu-west-1").unwrap()
}

/// KMS with a few keys in every region, and a Parameter Store with one parameter in the build region.
struct Account;

impl Keys for Account {
    async fn key(&self, region: &Region, _: Option<&CopyRole>, key: &str) -> Result<Key, Fault> {
        let found = Key { enabled: true, encrypts: true, managed_by_aws: false };
        match key {
            "alias/ours" => Ok(found),
            "alias/aws/ebs" => Ok(Key { managed_by_aws: true, ..found }),
            "alias/off" => Ok(Key { enabled: false, ..found }),
            "alias/sign" => Ok(Key { encrypts: false, ..found }),
            _ => Err(Fault::new(FaultKind::NotFound, format!("there is no {key} in {region}"))),
        }
    }
}

impl Parameters for Account {
    async fn find_parameter(&self, region: &Region, name: &str) -> Result<Option<String>, Fault> {
        Ok((region == &home() && name == "/golden/us-east-1").then(|| "ami-01234567".to_owned()))
    }
    async fn put_image(&self, _: &Region, _: &str, _: &str) -> Result<(), Fault> {
        unreachable!("planning writes nothing")
    }
    async fn delete_parameter(&self, _: &Region, _: &str) -> Result<(), Fault> {
        unreachable!("planning deletes nothing")
    }
}

/// What a build starts from.
struct World {
    cloud: VirtualCloud,
    spec: BuildSpec,
}

impl World {
    /// A clone of an image of the account's, whose root snapshot has this key.
    fn with_key(key: Option<&str>) -> Self {
        let mut model = Model::new("111122223333", [home(), away()], 7, Delays::default());
        let import = Import { encrypted_with: key.map(str::to_owned), ..Import::new("base", 8, Architecture::X86_64) };
        let id = model.import_image(NOW, &home(), &import).unwrap().image_id;
        let spec = BuildSpec::minimal("web", Source::Image(ImageQuery { id: Some(id), ..ImageQuery::default() }));
        Self { cloud: VirtualCloud::new(model, NOW), spec }
    }

    fn new() -> Self {
        Self::with_key(None)
    }

    /// The same as an image with this root.
    fn with_root(change: impl FnOnce(&mut RegisterImage)) -> Self {
        let mut world = Self::new();
        let base = world.cloud.with(|model, now| model.everything(now)).swap_remove(1).images.remove(0);
        let mut request = RegisterImage {
            name: "other".to_owned(),
            architecture: Some(Architecture::X86_64),
            virtualization_type: Some(Virtualization::Hvm),
            root_device_name: Some("/dev/sda1".to_owned()),
            block_device_mappings: base.block_device_mappings,
            ..RegisterImage::default()
        };
        request.block_device_mappings[0].ebs.as_mut().unwrap().encrypted = None;
        change(&mut request);
        let id = world.cloud.with(|model, now| model.register_image(now, &home(), &request)).unwrap();
        world.spec.source = Source::Image(ImageQuery { id: Some(id), ..ImageQuery::default() });
        world
    }

    fn from_scratch() -> Self {
        let mut world = Self::new();
        let image = &mut world.spec.image;
        image.virtualization = Some(Virtualization::Hvm);
        image.root_device_name = Some("/dev/sda1".to_owned());
        let root = BlockDeviceMapping { device_name: "/dev/sda1".to_owned(), ..BlockDeviceMapping::default() };
        image.block_device_mappings = vec![root];
        world.spec.source = Source::Scratch { size: 2 };
        world
    }

    fn plan(mut self, change: impl FnOnce(&mut BuildSpec)) -> Result<Plan, Fault> {
        change(&mut self.spec);
        let new = NewBuild {
            id: "b-00000001".parse().unwrap(),
            spec: self.spec,
            region: home(),
            recipe: "web.json".to_owned(),
            files: String::new(),
            bundle: None,
            timing: Timing::AWS,
        };
        let port = Cloud(self.cloud, Account);
        let plan = pollster::block_on(resolve(&port, &Build::new(new, NOW)));
        assert!(port.0.calls().iter().all(|call| call.action.starts_with("Describe")), "planning makes nothing");
        plan
    }

    /// Why it is refused.
    #[track_caller]
    fn refused(self, change: impl FnOnce(&mut BuildSpec)) -> String {
        let fault = self.plan(change).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Permanent, "{fault}");
        assert!(fault.hint.is_some(), "{fault}");
        fault.message
    }
}

fn text(text: &str) -> DeferredTemplate {
    DeferredTemplate(text.to_owned())
}

#[test]
fn the_work_volume_has_the_options_of_the_template() {
    let plan = World::new().plan(|spec| {
        spec.volume.volume_type = Some("gp3".to_owned());
        spec.volume.throughput = Some(500);
        spec.volume.initialization_rate = Some(200);
        spec.volume.tags = vec![(text("of"), text("{{.SourceAMIName}}")), (text("of"), text("{{.BuildRegion}}"))];
    });
    let volume = plan.unwrap().volume;
    assert_eq!((volume.volume_type.as_deref(), volume.throughput), (Some("gp3"), Some(500)));
    assert_eq!((volume.initialization_rate, volume.encrypted, volume.iops), (Some(200), None, None));
    assert_eq!(volume.tags, BTreeMap::from([("of".to_owned(), "us-east-1".to_owned())]));
    let scratch = World::from_scratch().plan(|_| {}).unwrap().volume;
    assert_eq!(scratch.volume_type.as_deref(), Some("gp3"));
}

#[test]
fn throughput_and_rate_need_what_they_are_for() {
    let message = World::new().refused(|spec| {
        spec.volume.volume_type = Some("gp2".to_owned());
        spec.volume.throughput = Some(500);
    });
    assert!(message.contains("gp3") && message.contains("gp2"), "{message}");
    let message = World::from_scratch().refused(|spec| spec.volume.initialization_rate = Some(200));
    assert!(message.contains("from scratch"), "{message}");
}

#[test]
fn iops_come_from_a_source_that_has_them() {
    let with_root = |kind: &str, iops| {
        let kind = kind.to_owned();
        World::with_root(move |request| {
            let ebs = request.block_device_mappings[0].ebs.as_mut().unwrap();
            (ebs.volume_type, ebs.iops) = (Some(kind), iops);
        })
    };
    let asked = |kind: &'static str| move |spec: &mut BuildSpec| spec.volume.volume_type = Some(kind.to_owned());
    let volume = |plan: Result<Plan, Fault>| {
        let volume = plan.unwrap().volume;
        (volume.volume_type.unwrap(), volume.iops)
    };
    assert_eq!(volume(with_root("io1", Some(400)).plan(|_| {})), ("io1".to_owned(), Some(400)));
    assert_eq!(volume(with_root("io1", Some(400)).plan(asked("io2"))), ("io2".to_owned(), Some(400)));
    assert_eq!(volume(with_root("io1", Some(400)).plan(asked("gp3"))), ("gp3".to_owned(), None));
    for kind in ["io1", "io2"] {
        assert!(with_root("gp3", Some(4000)).refused(asked(kind)).contains(kind));
        assert!(World::from_scratch().refused(asked(kind)).contains(kind));
    }
}

#[test]
fn the_image_is_encrypted_with_its_regions_key_from_the_start() {
    let plan = |change: fn(&mut BuildSpec)| {
        let plan = World::new().plan(|spec| {
            spec.image.regions = vec![away()];
            spec.image.encryption.encrypt_boot = Some(true);
            change(spec);
        });
        let plan = plan.unwrap();
        let copy = plan.regions[&away().into()].clone();
        assert_eq!((plan.volume.encrypted, copy.encrypted), (Some(true), Some(true)));
        (plan.volume.kms_key_id, copy.kms_key_id)
    };
    let ours = || Some("alias/ours".to_owned());
    assert_eq!(plan(|_| {}), (None, None), "default keys");
    assert_eq!(plan(|spec| spec.image.encryption.kms_key_id = Some("alias/ours".to_owned())), (ours(), None));
    let by_region = |spec: &mut BuildSpec| {
        spec.image.encryption.kms_key_id = Some("alias/off".to_owned());
        let key = "alias/ours".to_owned();
        spec.image.encryption.region_kms_key_ids = [(home(), key.clone()), (away(), key)].into();
    };
    assert_eq!(plan(by_region), (ours(), ours()));
}

#[test]
fn without_encrypt_boot_everything_is_as_the_source() {
    let plan = |key: Option<&str>, change: fn(&mut BuildSpec)| {
        World::with_key(key).plan(|spec| {
            spec.image.regions = vec![away()];
            change(spec);
        })
    };
    let encryption = |plan: Result<Plan, Fault>| {
        let plan = plan.unwrap();
        (plan.volume.encrypted, plan.volume.kms_key_id, plan.regions[&away().into()].encrypted)
    };
    assert_eq!(encryption(plan(Some("alias/ours"), |_| {})), (None, None, None));
    assert_eq!(encryption(plan(None, |spec| spec.volume.encrypted = Some(true))), (Some(true), None, None));
    let keyed = |spec: &mut BuildSpec| spec.volume.kms_key_id = Some("alias/ours".to_owned());
    let ours = || Some("alias/ours".to_owned());
    assert_eq!(encryption(plan(Some("alias/aws/ebs"), keyed)), (Some(true), ours(), None));
    assert_eq!(
        encryption(plan(None, |spec| spec.image.encryption.encrypt_boot = Some(false))),
        (None, None, Some(false))
    );

    assert!(World::new().refused(keyed).contains("not encrypted"));
    let plain = |spec: &mut BuildSpec| spec.image.encryption.encrypt_boot = Some(false);
    assert!(World::with_key(Some("alias/ours")).refused(plain).contains("is encrypted"));
    let message = World::new().refused(|spec| {
        plain(spec);
        spec.volume.encrypted = Some(true);
    });
    assert!(message.contains("root_volume_encrypt_boot"), "{message}");
}

#[test]
fn each_key_is_looked_at_in_its_region() {
    let refused = |region: Region, key: &str| {
        World::new().refused(|spec| {
            spec.image.regions = vec![away()];
            spec.image.encryption.encrypt_boot = Some(true);
            spec.image.encryption.region_kms_key_ids = [(region, key.to_owned())].into();
        })
    };
    assert_eq!(refused(away(), "alias/none"), "the key alias/none does not exist in eu-west-1");
    assert_eq!(refused(home(), "alias/off"), "the key alias/off is not enabled in us-east-1");
    assert_eq!(refused(away(), "alias/sign"), "the key alias/sign is no symmetric key for encryption in eu-west-1");
}

#[test]
fn what_has_a_default_key_is_not_shared() {
    type Change = fn(&mut BuildSpec);
    let shares: [Change; 4] = [
        |spec| spec.image.users = vec!["444455556666".to_owned()],
        |spec| spec.image.sharing.org_arns = vec!["arn".to_owned()],
        |spec| spec.image.sharing.ou_arns = vec!["arn".to_owned()],
        |spec| spec.image.sharing.snapshot_users = vec!["444455556666".to_owned()],
    ];
    let encrypt: Change = |spec| {
        spec.image.regions = vec![away()];
        spec.image.encryption.encrypt_boot = Some(true);
        spec.image.encryption.kms_key_id = Some("alias/ours".to_owned());
    };
    for share in shares {
        let message = World::new().refused(|spec| {
            encrypt(spec);
            share(spec);
        });
        assert!(message.contains("eu-west-1") && message.contains("default key"), "{message}");
        let plan = World::new().plan(|spec| {
            encrypt(spec);
            share(spec);
            spec.image.encryption.region_kms_key_ids = [(away(), "alias/ours".to_owned())].into();
        });
        plan.unwrap();
        // Inherited from the source: its key counts at home, the default key in copies.
        World::with_key(Some("alias/ours")).plan(share).unwrap();
        assert!(World::with_key(Some("alias/aws/ebs")).refused(share).contains("us-east-1"));
        let message = World::with_key(Some("alias/ours")).refused(|spec| {
            share(spec);
            spec.image.regions = vec![away()];
        });
        assert!(message.contains("eu-west-1"), "{message}");
    }
    let publish: [Change; 2] = [
        |spec| spec.image.groups = vec!["all".to_owned()],
        |spec| spec.image.sharing.snapshot_groups = vec!["all".to_owned()],
    ];
    for publish in publish {
        assert!(World::with_key(Some("alias/ours")).refused(publish).contains("public"));
        World::new().plan(publish).unwrap();
    }
}

#[test]
fn texts_are_rendered_for_each_region() {
    let plan = World::new().plan(|spec| {
        spec.image.regions = vec![away()];
        spec.image.description = text("in {{.BuildRegion}}");
        spec.image.tags = vec![(text("where"), text("{{.BuildRegion}}")), (text("kind"), text("image"))];
        spec.image.snapshot_tags = vec![(text("kind"), text("snapshot"))];
    });
    let plan = plan.unwrap();
    for region in [home(), away()] {
        let there = &plan.regions[&(&region).into()];
        assert_eq!(there.description, format!("in {region}"));
        assert_eq!((there.tags["where"].as_str(), there.tags["kind"].as_str()), (region.as_str(), "image"));
        let tags = &there.snapshot_tags;
        assert_eq!((tags["where"].as_str(), tags["kind"].as_str()), (region.as_str(), "snapshot"));
    }
}

#[test]
fn attributes_are_inherited_unless_the_template_sets_them() {
    let world = || {
        World::with_root(|request| {
            request.ena_support = Some(true);
            request.sriov_net_support = Some("simple".to_owned());
            request.boot_mode = Some("uefi".to_owned());
            request.imds_support = Some("v2.0".to_owned());
        })
    };
    let inherited = world().plan(|_| {}).unwrap().register;
    assert_eq!((inherited.ena_support, inherited.sriov_net_support.as_deref()), (Some(true), Some("simple")));
    assert_eq!((inherited.boot_mode.as_deref(), inherited.imds_support.as_deref()), (Some("uefi"), Some("v2.0")));
    let set = world().plan(|spec| {
        let attributes = &mut spec.image.attributes;
        (attributes.ena_support, attributes.sriov_support) = (Some(false), Some(false));
        attributes.boot_mode = Some("uefi-preferred".to_owned());
        attributes.tpm_support = Some("v2.0".to_owned());
        attributes.uefi_data = Some("AAAA".to_owned());
    });
    let set = set.unwrap().register;
    assert_eq!((set.ena_support, set.sriov_net_support), (None, None));
    assert_eq!((set.boot_mode.as_deref(), set.tpm_support.as_deref()), (Some("uefi-preferred"), Some("v2.0")));
    assert_eq!(set.uefi_data.as_deref(), Some("AAAA"));
    let legacy = |request: &mut RegisterImage| request.boot_mode = Some("legacy-bios".to_owned());
    let message = World::with_root(legacy).refused(|spec| spec.image.attributes.tpm_support = Some("v2.0".to_owned()));
    assert!(message.contains("legacy-bios"), "{message}");
}

#[test]
fn enhanced_networking_needs_hvm() {
    type Change = fn(&mut BuildSpec);
    let changes: [Change; 2] = [
        |spec| spec.image.attributes.ena_support = Some(true),
        |spec| spec.image.attributes.sriov_support = Some(true),
    ];
    for change in changes {
        let message = World::new().refused(|spec| {
            change(spec);
            spec.image.virtualization = Some(Virtualization::Paravirtual);
        });
        assert!(message.contains("paravirtual"), "{message}");
    }
}

#[test]
fn a_data_disk_without_a_snapshot_keeps_its_encryption() {
    let plan = World::from_scratch().plan(|spec| {
        let ebs = EbsBlockDevice { volume_size: Some(4), encrypted: Some(true), ..EbsBlockDevice::default() };
        let data = BlockDeviceMapping { device_name: "/dev/sdb".to_owned(), ebs: Some(ebs), ..Default::default() };
        spec.image.block_device_mappings.push(data);
    });
    let mappings = plan.unwrap().register.block_device_mappings;
    let encrypted: Vec<_> = mappings.iter().map(|mapping| mapping.ebs.as_ref().unwrap().encrypted).collect();
    assert_eq!(encrypted, [None, Some(true)]);
}

#[test]
fn an_image_that_is_only_copied_needs_a_copy() {
    let skip = |spec: &mut BuildSpec| spec.image.copying.skip_save_build_region = true;
    assert!(World::new().refused(skip).contains("no other region"));
    let world = World::new();
    // Its name may be taken where no image stays.
    world
        .cloud
        .with(|model, now| model.import_image(now, &home(), &Import::new("web", 1, Architecture::X86_64)))
        .unwrap();
    let plan = world.plan(|spec| {
        skip(spec);
        spec.image.regions = vec![away()];
    });
    assert!(plan.unwrap().intermediate);
}

#[test]
fn regions_are_checked_unless_that_is_skipped() {
    let elsewhere = |spec: &mut BuildSpec| spec.image.regions = vec![Region::new("ap-south-1").unwrap()];
    assert!(World::new().refused(elsewhere).contains("ap-south-1"));
    let fault = World::new().plan(|spec| {
        elsewhere(spec);
        spec.image.copying.skip_region_validation = true;
    });
    // EC2 itself does not know it.
    assert!(fault.unwrap_err().message.starts_with("DescribeImages web: "));
}

#[test]
fn an_image_of_the_name_is_replaced_only_if_that_is_asked_for() {
    let world = || {
        let world = World::new();
        let import = Import::new("web", 1, Architecture::X86_64);
        let old = world.cloud.with(|model, now| model.import_image(now, &away(), &import)).unwrap();
        (world, old)
    };
    let copies = |spec: &mut BuildSpec| spec.image.regions = vec![away()];
    let force = |spec: &mut BuildSpec| {
        spec.image.regions = vec![away()];
        spec.image.replacement.force_deregister = true;
    };
    assert!(world().0.refused(copies).contains("is taken in eu-west-1"));
    let (first, old) = world();
    let plan = first.plan(force).unwrap();
    let [replaced] = &plan.replaced[..] else { panic!("{:?}", plan.replaced) };
    assert_eq!((&replaced.region, &replaced.id), (&away(), &old.image_id));
    assert_eq!(replaced.register.root_snapshot(), old.root_snapshot());
    let (protected, old) = world();
    let request = EnableImageDeregistrationProtection { image_id: old.image_id, with_cooldown: false };
    protected.cloud.with(|model, now| model.enable_image_deregistration_protection(now, &away(), &request)).unwrap();
    assert!(protected.refused(force).contains("protected"));
}

#[test]
fn the_time_of_deprecation_is_in_the_future() {
    let plan = |deprecation| {
        World::new().plan(|spec| spec.image.lifecycle.deprecation = Some(deprecation)).map(|plan| plan.deprecate_at)
    };
    assert_eq!(plan(Deprecation::In(DAY)), Ok(Some(NOW + DAY)));
    assert_eq!(plan(Deprecation::At("2026-01-02T01:00:00+01:00".to_owned())), Ok(Some(NOW + DAY)));
    assert!(plan(Deprecation::At("2025-12-31T00:00:00Z".to_owned())).unwrap_err().message.contains("passed"));
    assert!(plan(Deprecation::At("soon".to_owned())).unwrap_err().message.contains("\"soon\""));
}

#[test]
fn parameters_are_read_before_they_are_written() {
    let plan = World::new().plan(|spec| {
        spec.image.regions = vec![away()];
        spec.image.lifecycle.parameters = vec![text("/golden/{{.BuildRegion}}")];
    });
    let parameters = plan.unwrap().parameters;
    let found: Vec<_> = parameters.iter().map(|it| (it.name.as_str(), it.previous.as_deref())).collect();
    assert_eq!(found, [("/golden/eu-west-1", None), ("/golden/us-east-1", Some("ami-01234567"))]);
    let message = World::new().refused(|spec| spec.image.lifecycle.parameters = vec![text("/a"), text("/a")]);
    assert!(message.contains("/a"), "{message}");
}
