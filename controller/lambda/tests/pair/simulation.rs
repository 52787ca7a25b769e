//! A deployed stack in memory and in virtual time: a queue that behaves as SQS does (any order, visibility, redrive),
//! functions that take batches from it and may die at any moment, hosts with agents, EC2's model.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bakehouse_bundle::{PackRequest, pack};
use bakehouse_lambda::metrics::Metric;
use bakehouse_localcloud::{
    Delays, Model, VirtualCloud,
    model::{Import, RegionResources},
    resource::InstanceState,
};
use bakehouse_machine::{Build, Phase};
use bakehouse_protocol::{
    BuildId, BuildTarget, BundleRef, Envelope, HostId, HostReport, ImageId, InboxMessage, InstanceId, Millis, OnDemand,
    Region, Request, StackConfig, Timestamp, Zone, spec::Architecture,
};
use serde_json::json;

use crate::{
    state::{HOST_ROLE, State},
    time::Time,
};

pub const START: Timestamp = Timestamp(1_795_382_528_000);

pub struct Simulation {
    pub time: Time,
    pub cloud: VirtualCloud,
    pub config: StackConfig,
    pub on_demand: OnDemand,
    pub base: ImageId,
    pub works: Millis,
    state: Mutex<State>,
}

pub fn region() -> Region {
    Region::new("us-east-1").expect("a region")
}

pub fn host(n: u32) -> HostId {
    HostId::new(format!("i-0000000000000000{n}")).expect("a host")
}

impl Simulation {
    pub fn new(seed: u64) -> Arc<Self> {
        Self::with(seed, OnDemand::NONE)
    }

    /// A simulation in which some hosts are on demand.
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
        Arc::new(Self {
            time: Time::new(START),
            cloud: VirtualCloud::new(model, START),
            config: serde_json::from_value(config).expect("a configuration"),
            on_demand,
            base,
            works: Millis::seconds(30),
            state: Mutex::new(State::new(seed)),
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

    /// Stops or terminates a host's instance, with EC2's notification.
    pub fn stop_instance(&self, n: u32, state: InstanceState, word: &str) {
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

    /// The same, from this sender.
    pub fn send_by(&self, sender: &str, message: InboxMessage) {
        self.send(message);
        if let Some(last) = self.state().inbox.last_mut() {
            last.sender = Some(sender.to_owned());
        }
    }

    /// The same, sent with a host's role.
    pub fn send_as(&self, sender: &HostId, message: InboxMessage) {
        let body = serde_json::to_string(&Envelope::new(message)).expect("a message");
        let now = self.time.now();
        self.state().send_from(Some(sender), body, now, Millis(0));
    }

    /// Sends EC2's notification some seconds after the call, or, as EC2 may, never.
    pub fn notify(&self, kind: &str, arn: &str) {
        let body = json!({ "detail-type": kind, "source": "aws.ec2", "resources": [arn], "detail": {} }).to_string();
        let now = self.time.now();
        let mut state = self.state();
        if state.chance(80) {
            let delay = Millis::seconds(state.below(100));
            state.send(body, now, delay);
        }
    }

    /// Uploads a bundle with this template.
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
