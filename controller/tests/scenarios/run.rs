//! One run of a script: the loop that delivers what is due, in virtual time.

use pollster::FutureExt as _;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex},
};

use bakehouse_controller::policy::STACK_TAG;
use bakehouse_controller::{
    cloud::Cloud,
    drive::{Observer, handle},
    leasing::Host,
};
use bakehouse_localcloud::{
    Call, Delays, Ec2 as _, Model, VirtualCloud,
    model::{Import, RegionResources},
    request::{CreateTags, DeregisterImage},
};
use bakehouse_machine::{Build, Event, Phase, Timing, UndoReason, build::NewBuild};
use bakehouse_protocol::{
    BlockDeviceMapping, BuildId, BuildSpec, DeferredTemplate, EbsBlockDevice, ImageId, InstanceId, Millis, Region,
    SnapshotId, Timestamp, Zone,
    spec::{
        AccountCopies, Architecture, CopyRole, Deprecation, DeregistrationProtection, ImageQuery, Source,
        Virtualization,
    },
};
use bakehouse_tests::template::{ACCOUNT, STACK};

use crate::{
    agent,
    agent_job::host,
    cloud::FaultyCloud,
    interference::{Crash, Interference},
    older::{self, Older},
    parameters::{FakeParameters, PARAMETER, PREVIOUS},
    place::{FakeAgents, MemoryStore, Queue, TestPlace, VirtualClock},
    script::Script,
    state::{Due, State},
};

/// What became of a run.
pub struct Run {
    pub script: Script,
    pub build: Build,
    pub everything: Vec<RegionResources>,
    pub base: ImageId,
    /// A snapshot that a mapping names and no image holds any more.
    pub another: Option<SnapshotId>,
    pub older: Vec<Older>,
    /// Whether a call was answered that a thing does not exist which does.
    pub is_told_of_nothing: bool,
    /// The parameters at the end.
    pub parameters: BTreeMap<(Region, String), String>,
    /// The calls that reached EC2.
    pub ec2: Vec<Call>,
    pub leases_left: bool,
    pub mounted: bool,
    pub log: Vec<String>,
    pub operations: usize,
    pub calls: Vec<String>,
    pub messages: usize,
}

struct Logger(Arc<Mutex<State>>, Arc<VirtualCloud>);

impl Observer for Logger {
    fn saved(&mut self, before: &Build, after: &Build) {
        let now = self.1.now();
        let mut state = self.0.lock().expect("the state");
        for (phase, _) in &after.history[before.history.len()..] {
            state.log(now, &format!("-- {phase}"));
        }
        if let (Phase::Undoing(UndoReason::Failed(reason)) | Phase::Failed(reason), false) =
            (&after.phase, matches!(before.phase, Phase::Undoing(_)))
        {
            state.log(now, &format!("failed: {}", reason.message));
        }
        for failing in after.newly_reportable_failures(before) {
            state.log(now, &format!("retrying after {} times: {}", failing.times, failing.fault));
        }
        for open in after.in_flight.iter().filter(|open| open.since == now && !before.in_flight.contains(open)) {
            state.log(now, &open.command.to_string());
        }
    }
    fn rejected(&mut self, event: &Event, why: &str) {
        let now = self.1.now();
        self.0.lock().expect("the state").log(now, &format!("refused {event:?}: {why}"));
    }
}

pub fn region(name: &str) -> Region {
    Region::new(name).expect("a region")
}

const START: Timestamp = Timestamp(1_795_382_528_000);
const PATROL: Millis = Millis::minutes(5);
const LIMIT: Millis = Millis::minutes(60 * 24 * 3);

pub fn run(script: &Script, interference: Interference) -> Run {
    let home = region("us-east-1");
    let regions = ["us-east-1", "us-west-2", "eu-west-1"].map(region);
    // Shorter than EC2's where only the number of looks would grow with it.
    let delays = Delays { create_snapshot: Millis::minutes(1), copy_image: Millis::minutes(1), ..Delays::like_ec2() };
    let mut model = Model::new(ACCOUNT, regions, 7, delays);
    let instance = InstanceId::new("i-0aaaaaaaaaaaaaaaa").expect("an instance id");
    let zone = Zone::new("us-east-1a").expect("a zone");
    model.add_instance(&home, instance.clone(), zone.clone(), Architecture::X86_64).expect("an instance");
    let import = Import::new("base", 8, Architecture::X86_64);
    // Long ago: EC2's eventual consistency hides nothing of it.
    let base = model.import_image(Timestamp(START.0 - 3_600_000), &home, &import).expect("a base image").image_id;
    let another = script.maps_another.then(|| snapshot_without_image(&mut model, &home));
    // By this tag the stack's controller may attach volumes to its hosts.
    let stack =
        CreateTags { resources: vec![instance.to_string()], tags: [(STACK_TAG.to_owned(), STACK.to_owned())].into() };
    model.create_tags(Timestamp(START.0 - 3_600_000), &home, &stack).expect("a host's tag");
    if let Some(device) = &script.device_taken {
        model.set_instance_slots(&home, &instance, 26, [device.clone()]).expect("slots");
    }
    let older = older::make(&mut model, script, &home, &instance, Timestamp(START.0 - 3_600_000));
    let cloud = Arc::new(VirtualCloud::new(model, START));
    if let Some(taken) = &script.name_taken {
        cloud
            .with(|model, _| {
                model.import_image(
                    Timestamp(START.0 - 3_600_000),
                    taken,
                    &Import::new("web-1", 8, Architecture::X86_64),
                )
            })
            .expect("an image of that name");
    }
    let state = Arc::new(Mutex::new(State::new(script, interference, START)));
    if script.manages {
        // In the other regions there is none yet.
        let parameter = (home.clone(), PARAMETER.to_owned());
        state.lock().expect("the state").parameters.insert(parameter, PREVIOUS.to_owned());
    }
    let host = Host { id: host(), instance, zone, architecture: Architecture::X86_64, slots: 4 };
    let place = TestPlace {
        ec2: Cloud(
            FaultyCloud { cloud: cloud.clone(), state: state.clone(), is_role: false },
            FakeParameters(state.clone()),
        ),
        store: MemoryStore::new(host, state.clone(), cloud.clone()),
        agents: FakeAgents(state.clone(), cloud.clone()),
        inbox: Queue(state.clone(), cloud.clone()),
        clock: VirtualClock(cloud.clone()),
    };
    let id = BuildId::from_parts(START.0 / 1000, 42);
    let build = Build::new(new_build(script, &id, &base, another.as_ref()), START);
    place
        .store
        .records
        .lock()
        .expect("the records")
        .insert(id.clone(), (build, bakehouse_controller::ports::Version(1)));
    {
        let mut state = state.lock().expect("the state");
        state.send(&id, Event::Tick, START);
        state.push(START + PATROL, Due::Patrol);
        if let Some(at) = script.trouble {
            let message = "writing record.json: No space left on device".to_owned();
            state.send(&id, Event::RunnerFailed { message }, START + at);
        }
        if let Some(at) = script.killed {
            state.push(START + at, Due::Killed);
        }
        if let Some(at) = script.cancel {
            // Asked for by a person, who asks again if nothing happens.
            state.send(&id, Event::Cancel, START + at);
            state.push(START + at + Millis::minutes(1), Due::Deliver { build: id.clone(), event: Event::Cancel });
        }
    }
    deliver_all(&place, &state, &cloud, &home, &id);
    finish(&place, state, &cloud, script, (base, another, older), &id)
}

fn deliver_all(place: &TestPlace, state: &Arc<Mutex<State>>, cloud: &Arc<VirtualCloud>, home: &Region, id: &BuildId) {
    let mut watch = Logger(state.clone(), cloud.clone());
    let record = || place.store.records.lock().expect("the records")[id].0.clone();
    let mut deliveries = 0;
    loop {
        deliveries += 1;
        assert!(deliveries < 20_000, "it goes round in circles: {:?}", record());
        let (at, due) = {
            let mut state = state.lock().expect("the state");
            let Some(first) = state.queue.iter().enumerate().min_by_key(|(_, (at, n, _))| (*at, *n)) else { return };
            let index = first.0;
            let (at, _, due) = state.queue.swap_remove(index);
            (at, due)
        };
        cloud.set_now(at);
        assert!(cloud.now() < START + LIMIT, "the build did not end: {:?}", record());
        match due {
            Due::Patrol => {
                if !record().phase.has_ended() {
                    let mut state = state.lock().expect("the state");
                    state.push(cloud.now(), Due::Deliver { build: id.clone(), event: Event::Tick });
                    state.push(cloud.now() + PATROL, Due::Patrol);
                }
            }
            Due::Killed => {
                let mut state = state.lock().expect("the state");
                state.log(cloud.now(), "the process and its agent are killed");
                state.agents.clear();
                state.mounted.clear();
                // Its queue dies with it.
                state.queue.clear();
                for event in [Event::Cancel, Event::Resume] {
                    state.push(cloud.now() + Millis::seconds(10), Due::Deliver { build: id.clone(), event });
                }
                state.push(cloud.now() + PATROL, Due::Patrol);
            }
            Due::Agent(build) => {
                let record = record();
                let heard = agent::is_heard(&record.resources.job) || record.phase.has_ended();
                agent::step(&mut state.lock().expect("the state"), cloud, home, &build, heard);
            }
            Due::Deliver { build, event } => {
                let again = event.clone();
                let handled = catch_unwind(AssertUnwindSafe(|| {
                    pollster::block_on(handle(place, &build, event, &mut watch)).expect("the store works");
                }));
                if let Err(panic) = handled {
                    if !panic.is::<Crash>() {
                        resume_unwind(panic);
                    }
                    state.clear_poison();
                    let mut state = state.lock().expect("the state");
                    state.log(cloud.now(), "the process dies");
                    // Not acknowledged: the queue delivers it again.
                    state.push(cloud.now() + Millis::seconds(30), Due::Deliver { build, event: again });
                }
            }
        }
    }
}

fn finish(
    place: &TestPlace,
    state: Arc<Mutex<State>>,
    cloud: &VirtualCloud,
    script: &Script,
    (base, another, older): (ImageId, Option<SnapshotId>, Vec<Older>),
    id: &BuildId,
) -> Run {
    let build = place.store.records.lock().expect("the records")[id].0.clone();
    // What is on its way out is given the time to go.
    cloud.pass(Millis::minutes(10));
    let _ = cloud.describe_regions().block_on();
    let state = state.lock().expect("the state");
    Run {
        script: script.clone(),
        everything: cloud.with(|model, now| model.everything(now)),
        base,
        another,
        older,
        is_told_of_nothing: state.interference.call.is_some_and(|(_, fails)| fails.code.ends_with(".NotFound")),
        parameters: state.parameters.clone(),
        ec2: cloud.calls(),
        leases_left: place.store.leases_left(id),
        mounted: !state.mounted.is_empty(),
        log: state.log.clone(),
        operations: state.operations,
        calls: state.calls.clone(),
        messages: state.messages,
        build,
    }
}

/// A snapshot of the account's own that nothing holds, so that nothing but its tags keeps a build from deleting it.
fn snapshot_without_image(model: &mut Model, home: &Region) -> SnapshotId {
    let long_ago = Timestamp(START.0 - 3_600_000);
    let image = model.import_image(long_ago, home, &Import::new("data", 4, Architecture::X86_64)).expect("an image");
    let gone = DeregisterImage { image_id: image.image_id.clone(), delete_associated_snapshots: false };
    model.deregister_image(long_ago, home, &gone).expect("it goes");
    image.root_snapshot().expect("its snapshot").clone()
}

fn new_build(script: &Script, id: &BuildId, base: &ImageId, another: Option<&SnapshotId>) -> NewBuild {
    let root = BlockDeviceMapping {
        device_name: "/dev/sda1".into(),
        ebs: Some(EbsBlockDevice { delete_on_termination: Some(true), ..EbsBlockDevice::default() }),
        ..BlockDeviceMapping::default()
    };
    let source = if script.scratch {
        Source::Scratch { size: 4 }
    } else {
        Source::Image(ImageQuery { id: Some(base.clone()), ..ImageQuery::default() })
    };
    let mut spec = BuildSpec::minimal("web-1", source);
    spec.image.description = DeferredTemplate("from {{.SourceAMIName}}".into());
    spec.image.users = vec!["444455556666".into()];
    spec.image.regions = script.regions.clone();
    spec.image.tags = vec![(DeferredTemplate("base".into()), DeferredTemplate("{{.SourceAMI}}".into()))];
    if script.scratch {
        spec.image.virtualization = Some(Virtualization::Hvm);
        spec.image.root_device_name = Some("/dev/sda1".into());
    }
    if script.scratch || another.is_some() {
        spec.image.block_device_mappings = vec![root];
    }
    spec.image.block_device_mappings.extend(another.map(|snapshot| BlockDeviceMapping {
        device_name: "/dev/sdb".into(),
        ebs: Some(EbsBlockDevice { snapshot_id: Some(snapshot.clone()), ..EbsBlockDevice::default() }),
        ..BlockDeviceMapping::default()
    }));
    with_options(script, &mut spec);
    NewBuild {
        id: id.clone(),
        spec,
        region: region("us-east-1"),
        recipe: "web".into(),
        files: "/".into(),
        bundle: None,
        timing: Timing::AWS,
    }
}

/// The account that gets copies, by this role and with this key.
pub const OTHER: &str = "222233334444";
const OTHER_ROLE: &str = "arn:aws:iam::222233334444:role/images";
pub const OTHER_KEY: &str = "alias/other";

/// How long after the build its images are deprecated.
pub const DEPRECATE_IN: Millis = Millis::minutes(60 * 24 * 30);

fn with_options(script: &Script, spec: &mut BuildSpec) {
    let image = &mut spec.image;
    image.replacement.force_deregister = script.replaces;
    image.replacement.force_delete_snapshot = script.deletes_replaced;
    image.replacement.keep = script.keeps;
    image.copying.skip_save_build_region = script.skips_home;
    if script.encrypts {
        image.encryption.encrypt_boot = Some(true);
        image.encryption.kms_key_id = Some("alias/us-east-1".into());
        let keys = script.regions.iter().map(|region| (region.clone(), format!("alias/{region}")));
        image.encryption.region_kms_key_ids = keys.collect();
    }
    if let Some(regions) = &script.account_copies {
        let role = CopyRole { arn: OTHER_ROLE.parse().expect("a role"), external_id: None, session_name: None };
        let kms_key_id = script.encrypts.then(|| OTHER_KEY.to_owned());
        image.account_copies = vec![AccountCopies { role, regions: regions.clone(), kms_key_id }];
    }
    if script.shares {
        image.sharing.snapshot_users = vec!["444455556666".into()];
        image.sharing.org_arns = vec!["arn:aws:organizations::111122223333:organization/o-abcdefghij".into()];
        image.snapshot_tags = vec![(DeferredTemplate("from".into()), DeferredTemplate("{{.BuildRegion}}".into()))];
    }
    if script.manages {
        image.attributes.watermarks = vec!["approved".into()];
        image.lifecycle.deprecation = Some(Deprecation::In(DEPRECATE_IN));
        image.lifecycle.deregistration_protection = Some(DeregistrationProtection { with_cooldown: false });
        image.lifecycle.parameters = vec![DeferredTemplate(PARAMETER.into())];
    }
}
