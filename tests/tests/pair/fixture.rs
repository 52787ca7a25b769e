//! A whole stack on this machine: EC2 with real disks (the embedded cloud behind its HTTP endpoint), the other services
//! (moto), the function's environments behind SQS's event source mapping, and hosts that run the real agent.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use bakehouse_localcloud::LocalCloud;
use bakehouse_localcloud::http::{Server, Settings};
use bakehouse_protocol::InstanceId;
use bakehouse_tests::moto::{ACCOUNT, Moto};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    clock::now,
    host::Host,
    mapping::{InjectedFaults, Invocations, Mapping},
    names::{CONTROLLER_KEY, region},
    options::Options,
    programs,
    recorder::Recorder,
    requirements,
    services::{REGION, Services},
    stack::{import, make_stack, open_cloud},
};

const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a patrol message is sent. The stack's rule sends one every minute.
const PATROL: Duration = Duration::from_secs(10);

pub(crate) struct Fixture {
    // In the order in which they must be dropped.
    pub(crate) hosts: Vec<Host>,
    pub(crate) mapping: Option<Mapping>,
    pub(crate) ec2: Server,
    pub(crate) cloud: Arc<LocalCloud>,
    pub(crate) services: Services,
    pub(crate) recorder: Recorder,
    _moto: Moto,
    /// The patrol ends when it is dropped.
    _patrol: Option<Sender<()>>,
    pub(crate) slots: u32,
    on_demand: Option<u64>,
    pub(crate) inbox: String,
    pub(crate) dead: String,
    pub(crate) faults: Arc<InjectedFaults>,
    pub(crate) config: Value,
    pub(crate) dir: TempDir,
}

impl Fixture {
    /// `None`, and a line saying why, where the test can't run.
    pub(crate) fn start(test: &str, options: Options) -> Option<Self> {
        if !requirements::are_met(test) {
            return None;
        }
        let moto = Moto::start(test)?;
        let dir = tempfile::Builder::new().prefix("bakehouse-pair-").tempdir().unwrap();
        let region = region();
        let cloud = open_cloud(dir.path(), options.delays);
        import(&cloud, dir.path(), &region, "base", options.base.as_deref());
        let cloud = Arc::new(cloud);
        let settings = Settings { account: ACCOUNT.to_owned(), test_api: true, ..Settings::new(7, now) };
        let ec2 = Server::start(cloud.clone(), settings).unwrap();
        let recorder = Recorder::before(moto.endpoint());
        let services = Services { endpoint: recorder.endpoint.clone() };
        let (inbox, dead, config) = make_stack(&services, &options);
        let faults = Arc::new(InjectedFaults::default());
        let mut fixture = Self {
            hosts: vec![],
            mapping: None,
            ec2,
            cloud,
            services,
            recorder,
            _moto: moto,
            _patrol: None,
            slots: options.slots,
            on_demand: options.on_demand,
            inbox,
            dead,
            faults,
            config,
            dir,
        };
        if options.notifications {
            fixture.forward_notifications();
        }
        fixture.start_controller(options.environments);
        if options.patrol && options.environments > 0 {
            fixture._patrol = Some(fixture.patrol());
        }
        Some(fixture)
    }

    /// Sends what the stack's rule sends, until the sender that is returned is dropped.
    fn patrol(&self) -> Sender<()> {
        let (services, inbox) = (self.services.clone(), self.inbox.clone());
        let (end, ended) = channel();
        thread::spawn(move || {
            let patrol = json!({ "bakehouse": 1, "kind": "patrol" }).to_string();
            while ended.recv_timeout(PATROL) == Err(RecvTimeoutError::Timeout) {
                let _ = services.try_sqs("SendMessage", &json!({ "QueueUrl": inbox, "MessageBody": patrol }));
            }
        });
        end
    }

    /// Sends EC2's notifications to the inbox, as EventBridge does.
    fn forward_notifications(&self) {
        let (services, inbox) = (self.services.clone(), self.inbox.clone());
        let mut notifications = self.ec2.notifications();
        thread::spawn(move || {
            while let Ok(notification) = notifications.blocking_recv() {
                let body = notification.to_json().to_string();
                let _ = services.try_sqs("SendMessage", &json!({ "QueueUrl": inbox, "MessageBody": body }));
            }
        });
    }

    /// Returns the command that Lambda runs for the function.
    pub(crate) fn function(&self) -> impl Fn() -> Command + Clone + Send + use<> {
        let (moto, ec2, config) = (self.services.endpoint.clone(), self.ec2.url(), self.config.to_string());
        let on_demand = self
            .on_demand
            .map(|idle| json!({ "instances": [self.instance(0).instance_id], "idle_seconds": idle }).to_string());
        move || {
            let mut command = Command::new(programs::bootstrap());
            command
                .env_clear()
                .env("AWS_ENDPOINT_URL", &moto)
                .env("AWS_ENDPOINT_URL_EC2", &ec2)
                .env("AWS_REGION", REGION)
                .env("AWS_ACCESS_KEY_ID", CONTROLLER_KEY)
                .env("AWS_SECRET_ACCESS_KEY", "secret")
                .env("AWS_SESSION_TOKEN", "token")
                .env("AWS_LAMBDA_FUNCTION_NAME", "bakehouse-controller")
                .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
                .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
                .env("AWS_LAMBDA_LOG_GROUP_NAME", "/bakehouse/bakehouse/controller")
                .env("AWS_LAMBDA_LOG_STREAM_NAME", "one")
                .env("BAKEHOUSE_CONFIG", &config)
                .envs(on_demand.as_ref().map(|it| ("BAKEHOUSE_ON_DEMAND", it)));
            command
        }
    }

    fn start_controller(&mut self, environments: usize) {
        let function = self.function();
        let (logs, faults) = (self.dir.path(), &self.faults);
        self.mapping = Some(Mapping::start(&self.services, &self.inbox, environments, TIMEOUT, logs, faults, function));
    }

    /// The function's invocations so far.
    pub(crate) fn invocations(&self) -> &Invocations {
        &self.mapping.as_ref().unwrap().invocations
    }

    pub(crate) fn instance(&self, number: usize) -> bakehouse_localcloud::resource::Instance {
        let mut instance = self.cloud.instance(&region()).unwrap();
        if number > 0 {
            instance.instance_id = InstanceId::new(format!("i-{number:017x}")).unwrap();
        }
        instance
    }

    /// The ends of all logs, for the message of a failed assertion.
    pub(crate) fn logs(&self) -> String {
        let files = fs::read_dir(self.dir.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        let functions = files.filter(|file| file.extension().is_some_and(|it| it == "log"));
        let mut logs: Vec<PathBuf> =
            functions.chain(self.hosts.iter().map(|host| host.home.join("agent.log"))).collect();
        logs.sort();
        let mut all = String::new();
        for log in logs {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(60).collect();
            all += &format!("--- {}\n", log.display());
            tail.iter().rev().for_each(|line| all += &format!("{line}\n"));
        }
        if let Some(mapping) = &self.mapping {
            all +=
                &format!("--- failed invocations and messages\n{:#?}\n", mapping.invocations.failures.lock().unwrap());
        }
        all
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            host.stop();
        }
        self.mapping.take();
        if std::thread::panicking() {
            println!("{}", self.logs());
        }
        // Volumes that a failed test has left attached use loop devices.
        for place in self.cloud.everything().unwrap_or_default() {
            for volume in place.volumes.iter().filter(|volume| !volume.attachments.is_empty()) {
                let request = bakehouse_localcloud::request::DetachVolume {
                    volume_id: volume.volume_id.clone(),
                    instance_id: None,
                };
                let detached = bakehouse_localcloud::Ec2::detach_volume(&*self.cloud, &place.region, request);
                let _ = pollster::block_on(detached);
            }
        }
    }
}
