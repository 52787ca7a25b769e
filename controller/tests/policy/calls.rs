//! The table of calls against what the controller really does, on the embedded cloud.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use bakehouse_controller::policy::calls::{Action, CommandKind, required_actions};
use bakehouse_controller::{cloud::Cloud, ports::Parameters, resolve::resolve};
use bakehouse_ec2::request::{CopyImage, CreateSnapshot, CreateVolume, RegisterImage};
use bakehouse_localcloud::{Delays, Model, VirtualCloud, model::Import};
use bakehouse_machine::{
    Build, CommandKey, Fault, Timing, advance::BUILD_TAG, build::NewBuild, command::PublishImage, event::ImageStatus,
    in_region::InRegion, resources::Resource,
};
use bakehouse_protocol::{
    BlockDeviceMapping, BuildSpec, DeviceName, EbsBlockDevice, ImageId, InstanceId, Millis, Region, Timestamp, Zone,
    spec::{Architecture, ImageQuery, Source, Virtualization},
};
use pollster::block_on;

/// A Parameter Store with one parameter, in which every look is counted.
struct Store(String, Mutex<u32>);

impl Parameters for Store {
    async fn parameter(&self, _: &Region, _: &str) -> Result<String, Fault> {
        *self.1.lock().unwrap() += 1;
        Ok(self.0.clone())
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
        let (before, asked) = (cloud.calls().len(), *self.place.1.1.lock().unwrap());
        let result = block_on(what(&self.place));
        let calls = cloud.calls();
        let made = self.made.entry(kind).or_default();
        for call in calls.iter().skip(before) {
            made.insert(call.action);
            // A create call with tags is asked about this, too.
            if call.action.starts_with("Create") || call.action.ends_with("Image") && call.action != "DeregisterImage" {
                made.insert("CreateTags");
            }
        }
        if *self.place.1.1.lock().unwrap() > asked {
            made.insert("GetParameter");
        }
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
    let store = Store(base.to_string(), Mutex::default());
    let place = Cloud(VirtualCloud::new(model, now), store);
    let mut world = World { place, made: BTreeMap::new() };

    let query = ImageQuery { parameter: Some("/golden".to_owned()), ..ImageQuery::default() };
    let mut spec = BuildSpec::minimal("web", Source::Image(query));
    spec.image.regions = vec![away.clone()];
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
    let create = InRegion { region: home.clone(), request };
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
        let create = InRegion { region: home.clone(), request };
        world.perform(CommandKind::CreateSnapshot, async |place| place.ensure_snapshot(&create, again).await).unwrap();
    }
    let resources = block_on(world.place.tagged(&home, &build.id)).unwrap();
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
    let register = InRegion { region: home.clone(), request: request.with_root_snapshot(&snapshot) };
    let image = world.perform(CommandKind::RegisterImage, async |place| place.ensure_image(&register).await).unwrap();
    let again = world.perform(CommandKind::RegisterImage, async |place| place.ensure_image(&register).await).unwrap();
    assert_eq!(again, image, "adopted by its name");
    let request = CopyImage {
        client_token: Some("b-00000001-eu-west-1".to_owned()),
        image_tags: tags.clone(),
        snapshot_tags: tags,
        ..CopyImage::new("web", image.clone(), home.clone())
    };
    let copy = InRegion { region: away.clone(), request };
    let copied: ImageId = world.perform(CommandKind::CopyImage, async |place| place.ensure_copy(&copy).await).unwrap();
    let seen =
        world.perform(CommandKind::DescribeImage, async |place| place.describe_image(&away, &copied).await).unwrap();
    let ImageStatus::Available(snapshots) = seen else { panic!("{seen:?}") };
    let publish = PublishImage {
        region: away.clone(),
        image: copied.clone(),
        snapshots,
        users: vec!["123456789013".to_owned()],
        groups: vec!["all".to_owned()],
        product_codes: Vec::new(),
        tags: BTreeMap::from([("bakehouse:expires".to_owned(), "never".to_owned())]),
    };
    world.perform(CommandKind::PublishImage, async |place| place.publish_image(&publish).await).unwrap();
    world.perform(CommandKind::FindTagged, async |place| place.tagged(&home, &build.id).await).unwrap();
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

#[test]
fn what_a_spec_does_not_ask_for_is_not_needed() {
    let scratch = BuildSpec::minimal("web", Source::Scratch { size: 1 });
    let without = required_actions(&scratch);
    for action in [Action::CopyImage, Action::ModifyImageAttribute, Action::GetParameter] {
        assert!(!without.contains(&action), "{action:?}");
    }
    type Change = fn(&mut BuildSpec);
    let changes: [(Change, Action); 5] = [
        (|spec| spec.image.regions = vec![own("eu-west-1")], Action::CopyImage),
        (|spec| spec.image.users = vec!["123456789012".to_owned()], Action::ModifyImageAttribute),
        (|spec| spec.image.groups = vec!["all".to_owned()], Action::ModifyImageAttribute),
        (|spec| spec.image.product_codes = vec!["x".to_owned()], Action::ModifyImageAttribute),
        (
            |spec| {
                let query = ImageQuery { parameter: Some("/golden".to_owned()), ..ImageQuery::default() };
                spec.source = Source::Image(query);
            },
            Action::GetParameter,
        ),
    ];
    for (change, action) in changes {
        let mut spec = scratch.clone();
        change(&mut spec);
        let mut with = required_actions(&spec);
        assert!(with.remove(&action), "{action:?}");
        assert_eq!(with, without, "{action:?}");
    }
}

#[test]
fn only_steps_of_the_host_need_nothing() {
    let (region, id) = (own::<Region>("us-east-1"), own::<ImageId>("ami-01234567"));
    assert_eq!(CommandKind::of(&CommandKey::SendJob), None);
    assert_eq!(CommandKind::of(&CommandKey::RemoveOrphan(Resource::Image(region, id))), Some(CommandKind::RemoveImage));
}
