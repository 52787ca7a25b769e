//! A whole stack on this machine: EC2 with real disks (the embedded cloud behind its HTTP endpoint), the other services
//! (moto), the function's environments behind SQS's event source mapping, and hosts that run the real agent.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use bakehouse_localcloud::http::{Imds, Metadata, Server, Settings};
use bakehouse_localcloud::{Delays, LocalCloud};
use bakehouse_protocol::{InstanceId, Region, Timestamp};
use bakehouse_tests::moto::{ACCOUNT, Moto};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    disk::which,
    leaks::remove_cgroup,
    mapping::{Mapping, Mischief, Tally},
    programs,
    recorder::Recorder,
    services::{REGION, Services},
    stack::{import, make_stack, open_cloud},
};

/// The stack's name.
pub(crate) const STACK: &str = "bakehouse";
/// The key that the function's role has: by it the journal tells who called.
pub(crate) const CONTROLLER_KEY: &str = "ASIACONTROLLER";
/// The key that the hosts' role has.
pub(crate) const HOST_KEY: &str = "ASIAHOST";
/// The key of somebody who uses the command.
pub(crate) const USER_KEY: &str = "AKIAUSER";
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often the function is told to look around. The stack's rule does it every minute.
const PATROL: Duration = Duration::from_secs(10);

/// The host programs without which no test can run.
const TOOLS: [&str; 5] = ["busybox", "mkfs.ext4", "sfdisk", "unshare", "mount"];

pub(crate) struct World {
    // In the order in which they must end.
    pub(crate) hosts: Vec<Host>,
    pub(crate) mapping: Option<Mapping>,
    pub(crate) ec2: Server,
    pub(crate) cloud: Arc<LocalCloud>,
    pub(crate) services: Services,
    pub(crate) recorder: Recorder,
    _moto: Moto,
    /// The patrol ends with it.
    _patrol: Option<Sender<()>>,
    slots: u32,
    on_demand: Option<u64>,
    pub(crate) inbox: String,
    pub(crate) dead: String,
    pub(crate) mischief: Arc<Mischief>,
    config: Value,
    pub(crate) dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

/// A host: an instance, and the agent on it.
pub(crate) struct Host {
    pub(crate) id: String,
    home: PathBuf,
    imds: Imds,
    pub(crate) agent: Child,
}

/// What a world is made with.
pub(crate) struct Plan {
    /// How long EC2 takes.
    pub(crate) delays: Delays,
    /// Whether EventBridge tells of EC2's changes.
    pub(crate) notifications: bool,
    /// Whether templates may reach the host.
    pub(crate) allow_host_access: bool,
    /// How many environments the function has.
    pub(crate) environments: usize,
    /// How long a message that was taken stays unseen, in seconds: longer than an invocation takes, or it comes a second
    /// time while it is being handled.
    pub(crate) visibility: u32,
    /// Whether the function is told to look around all the time.
    pub(crate) patrol: bool,
    /// How many builds a host does at once.
    pub(crate) slots: u32,
    /// The first host is on demand: stopped after so many seconds without a build.
    pub(crate) on_demand: Option<u64>,
    /// A raw disk to bake from; else a small one is made.
    pub(crate) base: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            delays: Delays::default(),
            notifications: true,
            allow_host_access: false,
            environments: 2,
            visibility: 20,
            patrol: true,
            slots: 2,
            on_demand: None,
            base: None,
        }
    }
}

pub(crate) fn region() -> Region {
    Region::new(REGION).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "the world's clock")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

impl World {
    /// `None`, and a line saying why, where the test can't run.
    pub(crate) fn start(test: &str, plan: Plan) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIP {test}: needs root");
            return None;
        }
        if let Some(tool) = TOOLS.iter().find(|tool| which(tool).is_none()) {
            println!("SKIP {test}: there is no {tool}");
            return None;
        }
        let moto = Moto::start(test)?;
        let dir = tempfile::Builder::new().prefix("bakehouse-pair-").tempdir().unwrap();
        let region = Region::new(REGION).unwrap();
        let cloud = open_cloud(dir.path(), plan.delays);
        import(&cloud, dir.path(), &region, "base", plan.base.as_deref());
        let cloud = Arc::new(cloud);
        let settings = Settings { account: ACCOUNT.to_owned(), test_api: true, ..Settings::new(7, now) };
        let ec2 = Server::start(cloud.clone(), settings).unwrap();
        let recorder = Recorder::before(moto.endpoint());
        let services = Services { endpoint: recorder.endpoint.clone() };
        let (inbox, dead, config) = make_stack(&services, &plan);
        let mischief = Arc::new(Mischief::default());
        let mut world = Self {
            hosts: vec![],
            mapping: None,
            ec2,
            cloud,
            services,
            recorder,
            _moto: moto,
            _patrol: None,
            slots: plan.slots,
            on_demand: plan.on_demand,
            inbox,
            dead,
            mischief,
            config,
            dir,
        };
        if plan.notifications {
            world.forward_notifications();
        }
        world.start_controller(plan.environments);
        if plan.patrol && plan.environments > 0 {
            world._patrol = Some(world.patrol());
        }
        Some(world)
    }

    /// What the stack's rule sends, until its end is dropped.
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

    /// EventBridge: what EC2 tells goes to the inbox.
    fn forward_notifications(&self) {
        let (services, inbox) = (self.services.clone(), self.inbox.clone());
        let mut told = self.ec2.notifications();
        thread::spawn(move || {
            while let Ok(notification) = told.blocking_recv() {
                let body = notification.to_json().to_string();
                let _ = services.try_sqs("SendMessage", &json!({ "QueueUrl": inbox, "MessageBody": body }));
            }
        });
    }

    /// What Lambda runs for the function.
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
        let (logs, mischief) = (self.dir.path(), &self.mischief);
        self.mapping =
            Some(Mapping::start(&self.services, &self.inbox, environments, TIMEOUT, logs, mischief, function));
    }

    /// What came of the function's invocations so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.mapping.as_ref().unwrap().tally
    }

    /// A host that runs the agent; its number, counted from 0.
    pub(crate) fn start_host(&mut self) -> usize {
        let number = self.hosts.len();
        let imds = self.imds(number);
        let id = self.instance(number).instance_id.to_string();
        let home = self.dir.path().join(format!("host-{number}"));
        fs::create_dir_all(&home).unwrap();
        let config = self.agent_config(&home, number);
        fs::write(home.join("agent.json"), config.to_string()).unwrap();
        let agent = self.spawn_agent(&home, &imds.url());
        self.hosts.push(Host { id, home, imds, agent });
        number
    }

    /// The control group of a host's builds, below the cgroup v2 mount.
    fn cgroup(&self, number: usize) -> String {
        format!("{}-{number}", self.dir.path().file_name().unwrap().to_str().unwrap())
    }

    fn instance(&self, number: usize) -> bakehouse_localcloud::resource::Instance {
        let mut instance = self.cloud.instance(&region()).unwrap();
        if number > 0 {
            instance.instance_id = InstanceId::new(format!("i-{number:017x}")).unwrap();
        }
        instance
    }

    /// The metadata service of the n-th instance, which comes to be if it is not there.
    pub(crate) fn imds(&self, number: usize) -> Imds {
        let instance = self.instance(number);
        if number > 0 {
            self.cloud.add_another_instance(&region(), instance.instance_id.clone()).unwrap();
        }
        let metadata = Metadata {
            instance,
            region: region(),
            account: ACCOUNT.to_owned(),
            role: "bakehouse-host".to_owned(),
            access_key_id: HOST_KEY.to_owned(),
            v1: false,
            seed: 9,
            clock: Arc::new(now),
        };
        Imds::start("127.0.0.1:0".parse().unwrap(), metadata).unwrap()
    }

    fn spawn_agent(&self, home: &Path, imds: &str) -> Child {
        let log = || fs::OpenOptions::new().create(true).append(true).open(home.join("agent.log")).unwrap();
        Command::new(programs::agent())
            .args(["run", "--config"])
            .arg(home.join("agent.json"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("AWS_ENDPOINT_URL", &self.services.endpoint)
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds)
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .unwrap()
    }

    /// Kills a host's agent, and what it runs, as the kernel does when memory runs out.
    pub(crate) fn kill_agent(&mut self, number: usize) {
        self.hosts[number].agent.kill().unwrap();
        self.hosts[number].agent.wait().unwrap();
    }

    /// Starts it again, as systemd does.
    pub(crate) fn restart_agent(&mut self, number: usize) {
        let host = &self.hosts[number];
        let agent = self.spawn_agent(&host.home, &host.imds.url());
        self.hosts[number].agent = agent;
    }

    fn agent_config(&self, home: &Path, number: usize) -> Value {
        let mut config = self.config.clone();
        let own = json!({
            "slots": self.slots,
            "run_dir": home.join("run"),
            "work_dir": home.join("work"),
            "by_id": [self.cloud.by_id()],
            "cgroup": self.cgroup(number),
            "drain_seconds": 2,
        });
        for (key, value) in own.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    }

    /// A template file: an amazon-chroot builder from the base image, with `options` in addition.
    pub(crate) fn template(&self, name: &str, options: Value, provisioners: Value) -> String {
        let mut builder = json!({
            "type": "amazon-chroot",
            "region": REGION,
            "ami_name": "{{uuid}}",
            "source_ami_filter": { "filters": { "name": "base" }, "owners": ["self"], "most_recent": true },
            "mount_path": self.dir.path().join("mnt/{{.Device}}"),
        });
        for (key, value) in options.as_object().unwrap() {
            match value {
                // `null` takes an option away.
                Value::Null => builder.as_object_mut().unwrap().remove(key),
                value => builder.as_object_mut().unwrap().insert(key.clone(), value.clone()),
            };
        }
        let path = self.dir.path().join(name);
        fs::write(&path, json!({ "builders": [builder], "provisioners": provisioners }).to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command, as its user on another machine has it.
    pub(crate) fn bakehouse(&self, arguments: &[&str]) -> Run {
        self.following(arguments)()
    }

    /// The same, begun now; its end is waited for by calling what is given back.
    pub(crate) fn following(&self, arguments: &[&str]) -> impl FnOnce() -> Run + use<> {
        let command = Command::new(programs::bakehouse())
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.dir.path())
            .env("BAKEHOUSE_STACK", STACK)
            .env("AWS_ENDPOINT_URL", &self.services.endpoint)
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", USER_KEY)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        move || {
            let output = command.wait_with_output().unwrap();
            let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
        }
    }

    /// The words of everybody, for a test that fails.
    pub(crate) fn words(&self) -> String {
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
            all += &format!("--- failed invocations and messages\n{:#?}\n", mapping.tally.failures.lock().unwrap());
        }
        all
    }

    /// The record of a build, once it is there.
    pub(crate) fn build(&self, id: &str) -> Option<Value> {
        let key = json!({ "pk": { "S": format!("build#{id}") }, "sk": { "S": "record" } });
        let item = self.services.dynamodb("GetItem", json!({ "TableName": STACK, "Key": key, "ConsistentRead": true }));
        serde_json::from_str(item["Item"]["record"]["S"].as_str()?).ok()
    }

    /// The ids of all builds.
    pub(crate) fn builds(&self) -> Vec<String> {
        let all = self.services.dynamodb("Scan", json!({ "TableName": STACK }));
        let items = all["Items"].as_array().cloned().unwrap_or_default();
        let ids = items.iter().filter_map(|item| item["pk"]["S"].as_str()?.strip_prefix("build#").map(str::to_owned));
        ids.collect()
    }

    /// Waits until a build has ended; its record.
    #[track_caller]
    pub(crate) fn ended(&self, id: &str, within: Duration) -> Value {
        let began = Instant::now();
        loop {
            let build = self.build(id);
            if let Some(build) = &build
                && has_ended(build)
            {
                return build.clone();
            }
            assert!(began.elapsed() < within, "{id} has not ended: {build:#?}\n{}", self.words());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the one build that there is to be is there and has ended.
    #[track_caller]
    pub(crate) fn only_build(&self, within: Duration) -> (String, Value) {
        let began = Instant::now();
        while self.builds().is_empty() {
            assert!(began.elapsed() < within, "no build came about\n{}", self.words());
            thread::sleep(Duration::from_millis(50));
        }
        let ids = self.builds();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let build = self.ended(&ids[0], within);
        (ids[0].clone(), build)
    }

    /// Waits until something holds.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(120), "never: {what}\n{}", self.words());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Uploads a bundle whose second entry leads out of it; its reference.
    pub(crate) fn climbing_bundle(&self) -> Value {
        let dir = self.dir.path().join("climbing");
        fs::create_dir_all(&dir).unwrap();
        let script = "import tarfile,io,json,sys\n\
            t=tarfile.open(sys.argv[1],'w:gz')\n\
            def add(name,data):\n    i=tarfile.TarInfo(name); i.size=len(data); t.addfile(i,io.BytesIO(data))\n\
            add('bakehouse.json',json.dumps({'bakehouse':1,'recipe':'x','template':'/x.json','working_directory':'/'}).encode())\n\
            add('../../climbed',b'x')\nt.close()\n";
        let file = dir.join("bundle.tar.gz");
        let made = Command::new("python3").args(["-c", script]).arg(&file).status().unwrap();
        assert!(made.success());
        let bytes = fs::read(&file).unwrap();
        let digest = super::disk::sh(&format!("sha256sum {} | cut -d' ' -f1", file.display())).trim().to_owned();
        let key = format!("bundles/{digest}.tar.gz");
        let size = bytes.len();
        self.services.put_object(self.config["bucket"].as_str().unwrap(), &key, bytes);
        json!({ "key": key, "sha256": digest, "size": size })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            let agent = &mut host.agent;
            let pid = nix::unistd::Pid::from_raw(i32::try_from(agent.id()).unwrap());
            if matches!(agent.try_wait(), Ok(None)) {
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
                let began = Instant::now();
                while matches!(agent.try_wait(), Ok(None)) && began.elapsed() < Duration::from_secs(15) {
                    thread::sleep(Duration::from_millis(20));
                }
                let _ = agent.kill();
                let _ = agent.wait();
            }
        }
        // One that was killed for good has left its builds' group; on a real host that goes with the host.
        for number in 0..self.hosts.len() {
            remove_cgroup(&self.cgroup(number));
        }
        self.mapping.take();
        if std::thread::panicking() {
            println!("{}", self.words());
        }
        // Volumes that a failed test has left attached hold loop devices.
        for place in self.cloud.everything().unwrap_or_default() {
            for volume in place.volumes.iter().filter(|volume| !volume.attachments.is_empty()) {
                let request = bakehouse_localcloud::request::DetachVolume {
                    volume_id: volume.volume_id.clone(),
                    instance_id: None,
                };
                let _ = bakehouse_localcloud::Ec2::detach_volume(&*self.cloud, &place.region, request);
            }
        }
    }
}

pub(crate) fn has_ended(build: &Value) -> bool {
    let phase = &build["phase"];
    phase == "succeeded" || phase == "cancelled" || phase.get("failed").is_some()
}
