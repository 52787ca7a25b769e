//! A deployed stack in memory and in virtual time: a queue that behaves as SQS does (any order, visibility, redrive),
//! functions that take batches from it and may die at any moment, hosts with agents, EC2's model.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use bakehouse_bundle::{PackRequest, pack};
use bakehouse_controller::{
    ports::Version,
    stack::{HostRecord, Recipe},
};
use bakehouse_lambda::{
    bounded_join::{Task, bounded_join},
    dispatcher::{Dispatcher, Record},
    metrics::Metric,
};
use bakehouse_localcloud::{
    Delays, Model, VirtualCloud,
    model::{Import, RegionResources},
    resource::InstanceState,
};
use bakehouse_machine::{Build, Phase, advance::BUILD_TAG};
use bakehouse_protocol::{
    BuildId, BuildTarget, BundleRef, Envelope, HostId, HostReport, ImageId, InboxMessage, InstanceId, Millis, OnDemand,
    Region, Request, StackConfig, Timestamp, VolumeId, Zone, spec::Architecture,
};
use serde_json::json;

use crate::{
    agent::{self, Agent},
    on_demand,
    stack::Memory,
    time::Time,
};

pub const START: Timestamp = Timestamp(1_795_382_528_000);
/// How long a message is invisible after it was received, and how often it may be received.
const VISIBILITY: Millis = Millis::seconds(90);
const RECEIVES: u32 = 5;
/// The function's time-out.
const TIMEOUT: Millis = Millis::seconds(60);
/// The hosts' role, as SQS names it.
const HOST_ROLE: &str = "AROAIWPX5BD2BHG722MW4";
const LIMIT: Millis = Millis::minutes(60 * 30);

#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub sent: Timestamp,
    pub visible: Timestamp,
    pub receives: u32,
    pub sender: Option<String>,
}

#[derive(Default)]
pub struct State {
    pub records: BTreeMap<BuildId, (String, Version)>,
    /// Those that have not ended.
    pub open: BTreeSet<BuildId>,
    pub ticks: BTreeMap<BuildId, Timestamp>,
    pub hosts: BTreeMap<HostId, HostRecord>,
    pub queues: BTreeSet<HostId>,
    pub recipes: BTreeMap<String, Recipe>,
    pub bundles: BTreeMap<String, Vec<u8>>,
    pub inbox: Vec<Message>,
    pub dead: Vec<Message>,
    pub agents: BTreeMap<BuildId, Agent>,
    /// Hosts whose instance is up and whose agent runs.
    pub up: BTreeSet<HostId>,
    /// The zones that volumes were asked for in.
    pub made_in: Vec<Zone>,
    /// Where each stands.
    pub zones: BTreeMap<HostId, Zone>,
    pub calls: BTreeMap<String, usize>,
    pub told: BTreeMap<BuildId, Vec<(Timestamp, String)>>,
    pub measured: Vec<(Metric, f64)>,
    pub invocations: usize,
    pub operations: usize,
    /// The function dies after this call, counted from 0.
    pub kill: Option<usize>,
    /// In how many of a hundred calls, and until when.
    pub throttles: Option<(u64, Timestamp)>,
    pub conflicts: Option<(u64, Timestamp)>,
    /// A larger record can't be kept, in bytes.
    pub largest: Option<usize>,
    /// Calls of EC2 that the role does not allow.
    pub denied: BTreeSet<String>,
    /// Every message is delivered twice; each comes up to this much later.
    pub twice: bool,
    pub late: Millis,
    /// A message after which handling this build panics.
    pub panics: Option<BuildId>,
    /// Loading this build's record never ends.
    pub hangs: Option<BuildId>,
    random: u64,
    messages: usize,
}

pub struct World {
    pub time: Time,
    pub cloud: VirtualCloud,
    pub config: StackConfig,
    pub on_demand: OnDemand,
    pub base: ImageId,
    pub works: Millis,
    state: Mutex<State>,
}

/// One process of the function.
pub struct Function {
    pub world: Arc<World>,
    died: AtomicBool,
}

pub fn region() -> Region {
    Region::new("us-east-1").expect("a region")
}

pub fn host(n: u32) -> HostId {
    HostId::new(format!("i-0000000000000000{n}")).expect("a host")
}

impl State {
    fn random(&mut self) -> u64 {
        // xorshift64*: the same seed, the same run.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }

    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.random() % n }
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn is_mounted(&self, volume: &VolumeId) -> bool {
        self.agents.values().any(|agent| agent.has_mounted(volume) && self.up.contains(&agent.host))
    }

    pub fn send(&mut self, body: String, now: Timestamp, delay: Millis) {
        self.send_from(None, body, now, delay);
    }

    pub fn send_from(&mut self, sender: Option<&HostId>, body: String, now: Timestamp, delay: Millis) {
        let sender = sender.map(|host| format!("{HOST_ROLE}:{host}"));
        self.messages += 1;
        let id = format!("message-{}", self.messages);
        for _ in 0..=usize::from(self.twice) {
            let late = Millis(self.below(self.late.0 + 1));
            let visible = now + delay + late;
            let (id, body, sender) = (id.clone(), body.clone(), sender.clone());
            self.inbox.push(Message { id, body, sent: now, visible, receives: 0, sender });
        }
    }

    /// Takes down a record as it is saved.
    pub fn saved(&mut self, build: &Build) {
        if build.phase.has_ended() {
            self.open.remove(&build.id);
        } else {
            self.open.insert(build.id.clone());
        }
    }

    pub fn builds(&self) -> Vec<Build> {
        self.records.values().map(|(text, _)| serde_json::from_str(text).expect("a record")).collect()
    }
}

impl Function {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, died: AtomicBool::new(false) })
    }

    /// A call goes out: it takes its time.
    pub async fn begins(&self) {
        let takes = self.world.state().below(40) + 1;
        self.world.time.sleep(Millis(takes)).await;
    }

    /// Its answer is there.
    pub async fn ends(&self) {
        let takes = self.world.state().below(20) + 1;
        self.world.time.sleep(Millis(takes)).await;
        let dies = {
            let mut state = self.world.state();
            let dies = state.kill == Some(state.operations);
            state.operations += 1;
            if dies {
                state.kill = None;
            }
            dies
        };
        if dies {
            self.died.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
    }
}

impl World {
    pub fn new(seed: u64) -> Arc<Self> {
        Self::with(seed, OnDemand::NONE)
    }

    /// A world in which some hosts are on demand.
    pub fn with(seed: u64, on_demand: OnDemand) -> Arc<Self> {
        let regions = ["us-east-1", "us-west-2"].map(|name| Region::new(name).expect("a region"));
        let delays =
            Delays { create_snapshot: Millis::minutes(1), copy_image: Millis::minutes(1), ..Delays::like_ec2() };
        let mut model = Model::new("111122223333", regions, 7, delays);
        let import = Import::new("base", 8, Architecture::X86_64);
        let base = model.import_image(Timestamp(START.0 - 3_600_000), &region(), &import).expect("a base").image_id;
        let config = json!({
            "bakehouse": 1, "name": "bakehouse", "region": "us-east-1", "account": "111122223333", "table": "bakehouse",
            "inbox_url": "https://sqs.us-east-1.amazonaws.com/111122223333/bakehouse-inbox", "bucket": "bundles",
            "builds_log_group": "/bakehouse/bakehouse/builds", "host_queue_prefix": "bakehouse-host-",
            "host_role_arn": "arn:aws:iam::111122223333:role/host", "host_role_id": HOST_ROLE,
        });
        let state = State { random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, ..State::default() };
        Arc::new(Self {
            time: Time::new(START),
            cloud: VirtualCloud::new(model, START),
            config: serde_json::from_value(config).expect("a configuration"),
            on_demand,
            base,
            works: Millis::seconds(30),
            state: Mutex::new(state),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host whose agent runs.
    pub fn add_host(&self, n: u32) {
        self.add_host_in(n, "us-east-1a");
    }

    /// The same, in this zone.
    pub fn add_host_in(&self, n: u32, zone: &str) {
        let instance = InstanceId::new(host(n).as_str()).expect("an instance");
        let zone = Zone::new(zone).expect("a zone");
        self.cloud
            .with(|model, _| model.add_instance(&region(), instance, zone.clone(), Architecture::X86_64))
            .expect("an instance");
        let mut state = self.state();
        state.zones.insert(host(n), zone);
        state.up.insert(host(n));
    }

    /// A host's instance is stopped or ended from outside, and EC2 says so.
    pub fn take_down(&self, n: u32, state: InstanceState, word: &str) {
        let instance = InstanceId::new(host(n).as_str()).expect("an instance");
        self.cloud.with(|model, _| model.set_instance_state(&region(), &instance, state)).expect("an instance");
        self.state().up.remove(&host(n));
        let body = json!({
            "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
            "detail": { "instance-id": instance, "state": word },
        });
        self.send_text(body.to_string());
    }

    pub fn send_text(&self, body: String) {
        let now = self.time.now();
        self.state().send(body, now, Millis(0));
    }

    pub fn send(&self, message: InboxMessage) {
        self.send_text(serde_json::to_string(&Envelope::new(message)).expect("a message"));
    }

    /// The same, from whomever SQS calls so.
    pub fn send_by(&self, sender: &str, message: InboxMessage) {
        self.send(message);
        if let Some(last) = self.state().inbox.last_mut() {
            last.sender = Some(sender.to_owned());
        }
    }

    /// The same, with a host's role.
    pub fn send_as(&self, sender: &HostId, message: InboxMessage) {
        let body = serde_json::to_string(&Envelope::new(message)).expect("a message");
        let now = self.time.now();
        self.state().send_from(Some(sender), body, now, Millis(0));
    }

    /// EC2's notification, some seconds after the call; or, as it may, never.
    pub fn notify(&self, kind: &str, arn: &str) {
        let body = json!({ "detail-type": kind, "source": "aws.ec2", "resources": [arn], "detail": {} }).to_string();
        let now = self.time.now();
        let mut state = self.state();
        if state.chance(80) {
            let delay = Millis::seconds(state.below(100));
            state.send(body, now, delay);
        }
    }

    /// Keeps a bundle with this template.
    pub fn bundle(&self, template: &str) -> BundleRef {
        let order = PackRequest {
            recipe: "web.json".into(),
            template: "/recipes/web.json".into(),
            text: Some(template.to_owned()),
            working_directory: "/recipes".into(),
            ..PackRequest::default()
        };
        let packed = pack(&order).expect("a bundle");
        let reference = packed.reference();
        self.state().bundles.insert(reference.key.clone(), packed.bytes);
        reference
    }

    pub fn template(&self) -> String {
        self.template_from(&format!(r#""source_ami": "{}""#, self.base))
    }

    pub fn template_from(&self, source: &str) -> String {
        format!(
            r#"{{"variables": {{"name": "web"}},
                "builders": [{{"type": "amazon-chroot", {source}, "ami_name": "{{{{user `name`}}}}-{{{{timestamp}}}}",
                              "tags": {{"base": "{{{{.SourceAMI}}}}"}}}}],
                "provisioners": [{{"type": "shell", "inline": ["true"]}}]}}"#
        )
    }

    pub fn request(&self, build: u32, bundle: &BundleRef) -> BuildId {
        let id = BuildId::from_parts(START.0 / 1000, build);
        self.send(InboxMessage::Request(Request {
            build: Some(id.clone()),
            target: BuildTarget::Bundle(bundle.clone()),
            vars: BTreeMap::from([("name".into(), format!("web-{build}"))]),
            scheduled: None,
        }));
        id
    }

    pub fn build(&self, id: &BuildId) -> Build {
        let state = self.state();
        let (text, _) = state.records.get(id).unwrap_or_else(|| panic!("there is no build {id}"));
        serde_json::from_str(text).expect("a record")
    }

    pub fn everything(&self) -> Vec<RegionResources> {
        self.cloud.set_now(self.time.now() + Millis::minutes(10));
        self.cloud.with(|model, now| model.everything(now))
    }

    /// Whether nothing is left to do but to patrol.
    fn is_quiet(&self) -> bool {
        let state = self.state();
        state.open.is_empty()
            && state.inbox.iter().all(|message| message.body.contains("patrol") || message.body.contains("\"host\""))
    }

    /// Lets the stack work until nothing is left to do: `functions` at once, hosts, a patrol every minute.
    pub fn work(self: &Arc<Self>, functions: usize) {
        self.work_with(functions, async {});
    }

    /// The same, while something else happens.
    pub fn work_with(self: &Arc<Self>, functions: usize, meanwhile: impl Future<Output = ()> + Send) {
        let finished = AtomicBool::new(false);
        let over = AtomicBool::new(false);
        let mut tasks: Vec<Task<'_, ()>> =
            (0..functions).map(|_| Box::pin(invocations(self.clone(), &over)) as Task<'_, ()>).collect();
        tasks.push(Box::pin(agent::hosts(self, &over)));
        tasks.push(Box::pin(on_demand::instances(self, &over)));
        tasks.push(Box::pin(async {
            meanwhile.await;
            finished.store(true, Ordering::Relaxed);
        }));
        tasks.push(Box::pin(async {
            let mut beats = 0u64;
            while !(finished.load(Ordering::Relaxed) && self.is_quiet()) {
                assert!(self.time.now() < START + LIMIT, "it does not end: {:?}", self.state().builds());
                if beats.is_multiple_of(60) {
                    self.send(InboxMessage::Patrol);
                }
                beats += 1;
                self.time.sleep(Millis::seconds(1)).await;
            }
            over.store(true, Ordering::Relaxed);
        }));
        let done = self.time.run(bounded_join(tasks, 100, std::future::pending()));
        for one in done {
            assert!(matches!(one, bakehouse_lambda::bounded_join::Done::Finished(())), "{one:?}");
        }
    }

    /// What must hold once all is quiet, whatever went wrong.
    pub fn check(&self) {
        let everything = self.everything();
        let state = self.state();
        let builds = state.builds();
        for build in &builds {
            let told = || format!("{build:#?}");
            assert!(build.phase.has_ended(), "{}", told());
            assert!(build.leftovers.is_empty(), "{}", told());
            assert!(state.hosts.values().all(|host| !holds(host, &build.id, self.time.now())), "a lease: {}", told());
            for place in &everything {
                let tagged = |tags: &BTreeMap<String, String>| {
                    tags.get(BUILD_TAG).map(String::as_str) == Some(build.id.as_str())
                };
                let images = place.images.iter().filter(|image| tagged(&image.tags)).count();
                let snapshots = place.snapshots.iter().filter(|snapshot| tagged(&snapshot.tags)).count();
                let wanted = usize::from(build.phase == Phase::Succeeded && place.region == build.region);
                assert_eq!((images, snapshots), (wanted, wanted), "in {}: {}", place.region, told());
                assert!(place.volumes.is_empty(), "volumes: {:?}: {}", place.volumes, told());
            }
        }
        assert!(
            state.agents.values().all(|agent| !state.up.contains(&agent.host) || agent.is_over()),
            "an agent works on"
        );
    }

    pub fn phase(&self, id: &BuildId) -> Phase {
        self.build(id).phase
    }

    pub fn measured(&self, metric: Metric) -> f64 {
        self.state().measured.iter().filter(|(of, _)| *of == metric).map(|(_, value)| value).sum()
    }

    pub fn host_report(&self, id: &HostId) -> HostReport {
        let running = {
            let state = self.state();
            let working = state.agents.iter().filter(|(_, agent)| &agent.host == id && !agent.is_over());
            working.map(|(build, _)| build.clone()).collect()
        };
        HostReport {
            host: id.clone(),
            instance: InstanceId::new(id.as_str()).expect("an instance"),
            region: region(),
            zone: self.state().zones[id].clone(),
            architecture: Architecture::X86_64,
            kernel: "6.12".into(),
            agent: "0.1.0".into(),
            slots: 4,
            attach_limit: Some(27),
            running,
            draining: false,
            listening: true,
            at: self.time.now(),
        }
    }
}

fn holds(host: &HostRecord, build: &BuildId, now: Timestamp) -> bool {
    host.leases.held(now).any(|(holder, _)| holder == build)
}

/// SQS's event source mapping, and one function that it invokes at a time.
async fn invocations(world: Arc<World>, over: &AtomicBool) {
    let mut function = Function::new(world.clone());
    let mut dispatcher = Dispatcher::default();
    while !over.load(Ordering::Relaxed) {
        let batch = receive(&world);
        if batch.is_empty() {
            world.time.sleep(Millis(200)).await;
            continue;
        }
        world.state().invocations += 1;
        let records = batch.iter().map(|(_, message)| Record {
            id: message.id.clone(),
            body: message.body.clone(),
            sent: Some(message.sent),
            receives: message.receives,
            sender: message.sender.clone(),
        });
        let deadline = world.time.now() + TIMEOUT;
        let pair = Memory::new(function.clone());
        let answer = {
            let mut handling = pin!(dispatcher.handle(&pair, records.collect(), deadline));
            poll_fn(|cx| match handling.as_mut().poll(cx) {
                Poll::Ready(failed) => Poll::Ready(Some(failed)),
                Poll::Pending if function.died.load(Ordering::Relaxed) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        let Some(failed) = answer else {
            // The process is gone, and what it knew with it. Its messages stay where they are.
            function = Function::new(world.clone());
            dispatcher = Dispatcher::default();
            continue;
        };
        assert!(world.time.now() < deadline, "the function was ended by its time-out");
        let measured = dispatcher.metrics.take();
        let mut state = world.state();
        state.measured.extend(measured);
        for (at, message) in batch {
            if !failed.contains(&message.id) {
                state.inbox.retain(|other| (other.visible, &other.id) != (at, &message.id));
            }
        }
    }
}

/// Up to ten visible messages, in no order. What has come too often goes to the dead letters.
fn receive(world: &World) -> Vec<(Timestamp, Message)> {
    let now = world.time.now();
    let mut state = world.state();
    let mut batch = Vec::new();
    let mut visible: Vec<usize> = (0..state.inbox.len()).filter(|at| state.inbox[*at].visible <= now).collect();
    let mut dead = Vec::new();
    while !visible.is_empty() && batch.len() < 10 {
        let chosen = usize::try_from(state.below(visible.len() as u64)).expect("an index");
        let at = visible.swap_remove(chosen);
        let storm = state.conflicts.is_some();
        // A little apart, so that two copies of one message are told apart.
        let jitter = Millis(state.below(1000));
        let message = &mut state.inbox[at];
        if message.receives == RECEIVES && !storm {
            dead.push((message.visible, message.id.clone()));
            continue;
        }
        message.receives += 1;
        message.visible = now + VISIBILITY + jitter;
        batch.push((message.visible, message.clone()));
    }
    for (visible, id) in dead {
        if let Some(at) = state.inbox.iter().position(|message| (message.visible, &message.id) == (visible, &id)) {
            let message = state.inbox.remove(at);
            state.dead.push(message);
        }
    }
    batch
}
