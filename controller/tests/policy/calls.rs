//! The table of calls against what the controller really does, on the embedded cloud.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use bakehouse_controller::policy::calls::{Action, CommandKind, required_actions};
use bakehouse_controller::{
    cloud::Cloud,
    ports::{Key, Keys, Parameters},
    resolve::resolve,
};
use bakehouse_ec2::request::{CopyImage, CreateSnapshot, CreateTags, CreateVolume, RegisterImage};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_machine::{
    Build, CommandKey, Fault, Timing,
    build::NewBuild,
    command::{FinalImage, ImageSharing, PublishImage},
    event::ImageStatus,
    in_region::InRegion,
    plan::ParameterPlan,
    resources::Resource,
    tags::{BUILD_TAG, BUILDER_TAG},
};
use bakehouse_protocol::{
    BlockDeviceMapping, BuildSpec, DeferredTemplate, DeviceName, EbsBlockDevice, ImageId, InstanceId, Millis, Region,
    Timestamp, Zone,
    spec::{
        AccountCopies, Architecture, CopyRole, Deprecation, DeregistrationProtection, ImageQuery, Source,
        Virtualization,
    },
};
use pollster::block_on;

/// A Parameter Store with one parameter, and KMS, of which every call is noted.
struct Store(String, Mutex<Vec<&'static str>>);

impl Store {
    fn note(&self, call: &'static str) {
        self.1.lock().unwrap().push(call);
    }
}

impl Parameters for Store {
    async fn find_parameter(&self, _: &Region, _: &str) -> Result<Option<String>, Fault> {
        self.note("GetParameter");
        Ok(Some(self.0.clone()))
    }
    async fn put_image(&self, _: &Region, _: &str, _: &str) -> Result<(), Fault> {
        self.note("PutParameter");
        Ok(())
    }
    async fn delete_parameter(&self, _: &Region, _: &str) -> Result<(), Fault> {
        self.note("DeleteParameter");
        Ok(())
    }
}

impl Keys for Store {
    async fn key(&self, _: &Region, _: Option<&CopyRole>, _: &str) -> Result<Key, Fault> {
        self.note("DescribeKey");
        Ok(Key { enabled: true, encrypts: true, managed_by_aws: false })
    }
}

type Place = Cloud<VirtualCloud, Store>;

struct World {
    place: Place,
    made: BTreeMap<CommandKind, BTreeSet<&'static str>>,
}

impl World {
    /// Does it, and notes which calls that took.
    fn perform<T>(&mut self, kind: CommandKind, what: impl AsyncFnOnce(&Place) -> T) -> T {
        let cloud = &self.place.0;
        let before = cloud.calls().len();
        self.place.1.1.lock().unwrap().clear();
        let result = block_on(what(&self.place));
        let calls = cloud.calls();
        let made = self.made.entry(kind).or_default();
        for call in calls.iter().skip(before) {
            made.insert(call.action);
            // A create call with tags is asked about this, too.
            if call.action.starts_with("Create") || matches!(call.action, "RegisterImage" | "CopyImage") {
                made.insert("CreateTags");
            }
        }
        made.extend(self.place.1.1.lock().unwrap().iter());
        result
    }
}

fn own<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

#[test]
fn every_command_calls_what_the_table_says() {
    let (home, away): (Region, Region) = (own("us-east-1"), own("eu-west-1"));
    let (instance, other): (InstanceId, InstanceId) = (own("i-0123456789abcdef0"), own("i-0123456789abcdef1"));
    let zone: Zone = own("us-east-1a");
    let mut model = Model::new("123456789012", [home.clone(), away.clone()], 7, Delays::default());
    model.add_instance(&home, instance.clone(), zone.clone(), Architecture::X86_64).unwrap();
    model.add_instance(&home, other.clone(), zone.clone(), Architecture::X86_64).unwrap();
    let now = Timestamp(1_795_382_529_195);
    let base = model.import_image(now, &home, &Import::new("base", 2, Architecture::X86_64)).unwrap().image_id;
    model.import_image(now, &home, &Import::new("web", 2, Architecture::X86_64)).unwrap();
    let store = Store(base.to_string(), Mutex::default());
    let place = Cloud(VirtualCloud::new(model, now), store);
    let mut world = World { place, made: BTreeMap::new() };

    let query = ImageQuery { parameter: Some("/golden".to_owned()), ..ImageQuery::default() };
    let mut spec = BuildSpec::minimal("web", Source::Image(query));
    spec.image.regions = vec![away.clone()];
    spec.image.replacement.force_deregister = true;
    spec.volume.encrypted = Some(true);
    spec.volume.kms_key_id = Some("alias/ours".to_owned());
    let build = Build::new(
        NewBuild {
            id: own("b-00000001"),
            recipe: "web.json".to_owned(),
            spec,
            region: home.clone(),
            files: String::new(),
            bundle: None,
            timing: Timing::AWS,
        },
        now,
    );
    let plan = world.perform(CommandKind::Resolve, async |place| resolve(place, &build).await).unwrap();

    let tags = BTreeMap::from([(BUILD_TAG.to_owned(), build.id.to_string())]);
    let request = CreateVolume {
        client_token: Some("b-00000001-volume".to_owned()),
        size: Some(plan.volume.size),
        snapshot_id: plan.volume.snapshot.clone(),
        tags: tags.clone(),
        ..CreateVolume::new(zone)
    };
    let create = InRegion { region: (&home).into(), request };
    let volume = world.perform(CommandKind::CreateVolume, async |place| place.ensure_volume(&create).await).unwrap();
    world.perform(CommandKind::DescribeVolume, async |place| place.describe_volume(&home, &volume).await).unwrap();
    let device: DeviceName = own("/dev/sdf");
    for host in [&instance, &instance, &other] {
        // Again, and elsewhere: a look tells whether it is attached there already.
        let attached = world
            .perform(CommandKind::AttachVolume, async |place| place.attach_volume(&home, &volume, host, &device).await);
        assert_eq!(attached.is_ok(), *host == instance);
    }
    for again in [false, true] {
        let request = CreateSnapshot { volume_id: volume.clone(), description: String::new(), tags: tags.clone() };
        let create = InRegion { region: (&home).into(), request };
        world.perform(CommandKind::CreateSnapshot, async |place| place.ensure_snapshot(&create, again).await).unwrap();
    }
    let resources = block_on(world.place.tagged(&(&home).into(), &build.id)).unwrap();
    let snapshot = resources.into_iter().find_map(|one| match one {
        Resource::Snapshot(_, id) => Some(id),
        _ => None,
    });
    let snapshot = snapshot.unwrap();
    world
        .perform(CommandKind::DescribeSnapshot, async |place| place.describe_snapshot(&home, &snapshot).await)
        .unwrap();
    for _ in 0..2 {
        // The second time there is nothing to detach.
        world.perform(CommandKind::DetachVolume, async |place| place.detach_volume(&home, &volume).await).unwrap();
    }

    // The image that has the name.
    let replaced = plan.replaced[0].clone();
    world.perform(CommandKind::ReplaceImage, async |place| place.deregister(&home, &replaced.id).await).unwrap();
    let root = BlockDeviceMapping {
        device_name: "/dev/sda1".to_owned(),
        ebs: Some(EbsBlockDevice { volume_size: Some(2), ..EbsBlockDevice::default() }),
        ..BlockDeviceMapping::default()
    };
    let request = RegisterImage {
        name: "web".to_owned(),
        architecture: Some(Architecture::X86_64),
        virtualization_type: Some(Virtualization::Hvm),
        root_device_name: Some("/dev/sda1".to_owned()),
        block_device_mappings: vec![root],
        ena_support: Some(true),
        tags: tags.clone(),
        ..RegisterImage::default()
    };
    let register = InRegion { region: (&home).into(), request: request.with_root_snapshot(&snapshot) };
    let image = world.perform(CommandKind::RegisterImage, async |place| place.ensure_image(&register).await).unwrap();
    let again = world.perform(CommandKind::RegisterImage, async |place| place.ensure_image(&register).await).unwrap();
    assert_eq!(again, image, "adopted by its name");
    let request = CopyImage {
        client_token: Some("b-00000001-eu-west-1".to_owned()),
        image_tags: tags.clone(),
        snapshot_tags: tags.clone(),
        ..CopyImage::new("web", image.clone(), home.clone())
    };
    let copy = InRegion { region: (&away).into(), request };
    let copied: ImageId = world.perform(CommandKind::CopyImage, async |place| place.ensure_copy(&copy).await).unwrap();
    let seen =
        world.perform(CommandKind::DescribeImage, async |place| place.describe_image(&away, &copied).await).unwrap();
    let ImageStatus::Available(snapshots) = seen else { panic!("{seen:?}") };
    let publish = PublishImage {
        region: (&away).into(),
        image: copied.clone(),
        snapshots,
        users: vec!["123456789013".to_owned()],
        groups: vec!["all".to_owned()],
        org_arns: Vec::new(),
        ou_arns: Vec::new(),
        snapshot_users: vec!["123456789013".to_owned()],
        snapshot_groups: Vec::new(),
        deprecate_at: Some(now + Millis::minutes(9)),
        product_codes: Vec::new(),
        tags: BTreeMap::from([("bakehouse:expires".to_owned(), "never".to_owned())]),
    };
    let sharing = ImageSharing {
        region: away.clone(),
        image: copied.clone(),
        snapshots: publish.snapshots.clone(),
        accounts: vec!["123456789013".to_owned()],
    };
    for shared in [true, false] {
        world.perform(CommandKind::ShareImage, async |place| place.set_sharing(&sharing, shared).await).unwrap();
    }
    world.perform(CommandKind::PublishImage, async |place| place.publish_image(&publish).await).unwrap();
    world.perform(CommandKind::WatermarkImage, async |place| {
        place.watermark_image(&away, &copied, &["approved".to_owned()]).await.unwrap();
    });
    world.perform(CommandKind::ProtectImage, async |place| place.protect_image(&away, &copied, false).await).unwrap();
    world
        .perform(CommandKind::PutParameter, async |place| place.put_parameter(&away, "/p", &copied).await)
        .unwrap_err();
    let ours = ImageId::new(world.place.1.0.as_str()).unwrap();
    let mut parameter = ParameterPlan { region: away.clone(), name: "/p".to_owned(), previous: None };
    world
        .perform(CommandKind::RestoreParameter, async |place| place.restore_parameter(&parameter, Some(&ours)).await)
        .unwrap();
    parameter.previous = Some("ami-01234567".to_owned());
    world
        .perform(CommandKind::RestoreParameter, async |place| place.restore_parameter(&parameter, Some(&ours)).await)
        .unwrap();
    let register = FinalImage {
        region: home.clone(),
        temporary: image.clone(),
        replaced: replaced.id.clone(),
        request: RegisterImage { name: "final".to_owned(), tags: tags.clone(), ..register.request.clone() },
    };
    for _ in 0..2 {
        // The second time it is found by its name.
        world.perform(CommandKind::ReplaceImage, async |place| place.ensure_final_image(&register).await).unwrap();
    }
    let mut lost = replaced.clone();
    (lost.register.name, lost.launch_permission.users) = ("lost".to_owned(), ["123456789013".to_owned()].into());
    for _ in 0..2 {
        world.perform(CommandKind::RestoreReplaced, async |place| place.restore_image(&lost, false).await).unwrap();
    }
    // What keeps the build's snapshot from being deleted.
    let last = block_on(world.place.ensure_final_image(&register)).unwrap();
    block_on(world.place.deregister(&home, &last)).unwrap();
    world.place.0.with(|model, now| older_images(model, now, &home));
    let old = world.perform(CommandKind::RetireImages, async |place| {
        place.old_images(&home, ("web.json", "amazon-chroot"), 1, &image).await.unwrap()
    });
    assert_eq!(old.len(), 1);
    world.perform(CommandKind::RetireImages, async |place| place.retire_image(&old[0]).await).unwrap();
    world.perform(CommandKind::FindTagged, async |place| place.tagged(&(&home).into(), &build.id).await).unwrap();
    world.perform(CommandKind::RemoveImage, async |place| place.remove_image(&away, &copied, &build.id).await).unwrap();
    block_on(world.place.remove_image(&home, &image, &build.id)).unwrap();
    world
        .perform(CommandKind::DeleteSnapshot, async |place| place.delete_snapshot(&home, &snapshot).await)
        .unwrap_err();
    let slow = Delays { delete_volume: Millis::seconds(20), ..Delays::default() };
    world.place.0.with(|model, _| model.set_delays(slow));
    for _ in 0..2 {
        // The second time it is on its way already.
        world.perform(CommandKind::DeleteVolume, async |place| place.delete_volume(&home, &volume).await).unwrap();
    }

    let said = |kind: CommandKind| kind.actions().iter().map(|action| action.name().split(':').nth(1).unwrap());
    for kind in CommandKind::ALL {
        let said: BTreeSet<&str> = said(kind).collect();
        assert_eq!(world.made.get(&kind), Some(&said), "{kind:?}");
    }
}

/// A finished image of an earlier build of the recipe.
fn older_images(model: &mut Model, now: Timestamp, home: &Region) {
    let image = model.import_image(now, home, &Import::new("older", 2, Architecture::X86_64)).unwrap();
    let resources = vec![image.image_id.to_string(), image.root_snapshot().unwrap().to_string()];
    let tags = [
        (BUILD_TAG, "b-1"),
        ("bakehouse:recipe", "web.json"),
        (BUILDER_TAG, "amazon-chroot"),
        ("bakehouse:expires", "never"),
    ];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    model.create_tags(now, home, &CreateTags { resources, tags }).unwrap();
}

#[test]
fn what_a_spec_does_not_ask_for_is_not_needed() {
    use Action::*;
    type Change = fn(&mut BuildSpec);
    let scratch = BuildSpec::minimal("web", Source::Scratch { size: 1 });
    let without = required_actions(&scratch);
    let changes: [(Change, &[Action]); 16] = [
        (|spec| spec.image.regions = vec![own("eu-west-1")], &[CopyImage]),
        (
            |spec| {
                let arn = own("arn:aws:iam::123456789013:role/images");
                let role = CopyRole { arn, external_id: None, session_name: None };
                spec.image.account_copies = vec![AccountCopies { role, regions: vec![], kms_key_id: None }];
            },
            &[ModifyImageAttribute, ModifySnapshotAttribute, DescribeKey, AssumeRole],
        ),
        (|spec| spec.image.users = vec!["123456789012".to_owned()], &[ModifyImageAttribute, DescribeKey]),
        (|spec| spec.image.groups = vec!["all".to_owned()], &[ModifyImageAttribute, DescribeKey]),
        (|spec| spec.image.product_codes = vec!["x".to_owned()], &[ModifyImageAttribute]),
        (|spec| spec.image.sharing.org_arns = vec!["x".to_owned()], &[ModifyImageAttribute, DescribeKey]),
        (|spec| spec.image.sharing.ou_arns = vec!["x".to_owned()], &[ModifyImageAttribute, DescribeKey]),
        (|spec| spec.image.sharing.snapshot_users = vec!["x".to_owned()], &[ModifySnapshotAttribute, DescribeKey]),
        (|spec| spec.image.sharing.snapshot_groups = vec!["all".to_owned()], &[ModifySnapshotAttribute, DescribeKey]),
        (
            |spec| spec.volume.kms_key_id = Some("k".to_owned()),
            &[
                DescribeKey,
                Decrypt,
                GenerateDataKey,
                GenerateDataKeyWithoutPlaintext,
                ReEncryptFrom,
                ReEncryptTo,
                CreateGrant,
            ],
        ),
        (|spec| spec.image.attributes.watermarks = vec!["w".to_owned()], &[AttachImageWatermark]),
        (|spec| spec.image.replacement.force_deregister = true, &[DescribeImageAttribute, ModifyImageAttribute]),
        (|spec| spec.image.replacement.keep = Some(2), &[DescribeInstances]),
        (
            |spec| spec.image.lifecycle.deprecation = Some(Deprecation::In(Millis::minutes(9))),
            &[EnableImageDeprecation],
        ),
        (
            |spec| {
                let protection = DeregistrationProtection { with_cooldown: false };
                spec.image.lifecycle.deregistration_protection = Some(protection);
            },
            &[EnableImageDeregistrationProtection, DisableImageDeregistrationProtection],
        ),
        (
            |spec| spec.image.lifecycle.parameters = vec![DeferredTemplate("/p".to_owned())],
            &[GetParameter, PutParameter, DeleteParameter],
        ),
    ];
    for (change, actions) in changes {
        let mut spec = scratch.clone();
        change(&mut spec);
        let added: BTreeSet<Action> = required_actions(&spec).difference(&without).copied().collect();
        assert_eq!(added, actions.iter().copied().collect(), "{actions:?}");
    }
    let query = ImageQuery { parameter: Some("/golden".to_owned()), ..ImageQuery::default() };
    assert!(required_actions(&BuildSpec::minimal("web", Source::Image(query))).contains(&GetParameter));
    let mut unchecked = scratch;
    unchecked.image.copying.skip_region_validation = true;
    assert!(without.contains(&DescribeRegions) && !required_actions(&unchecked).contains(&DescribeRegions));
}

#[test]
fn only_steps_of_the_host_need_nothing() {
    let (region, id) = (own::<Region>("us-east-1"), own::<ImageId>("ami-01234567"));
    assert_eq!(CommandKind::of(&CommandKey::SendJob), None);
    assert_eq!(
        CommandKind::of(&CommandKey::RemoveOrphan(Resource::Image(region.into(), id))),
        Some(CommandKind::RemoveImage)
    );
}
