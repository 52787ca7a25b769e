//! Starting and killing the agents on a stack's hosts.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use bakehouse_localcloud::http::{Imds, Metadata};
use bakehouse_tests::moto::ACCOUNT;
use serde_json::{Value, json};

use super::{
    clock::now,
    fixture::Fixture,
    host::Host,
    names::{HOST_KEY, region},
    programs,
};

impl Fixture {
    /// Starts a host that runs the agent; returns its number, counted from 0.
    pub(crate) fn start_host(&mut self) -> usize {
        let number = self.hosts.len();
        let imds = self.imds(number);
        let id = self.instance(number).instance_id.to_string();
        let home = self.dir.path().join(format!("host-{number}"));
        fs::create_dir_all(&home).unwrap();
        let config = self.agent_config(&home, number);
        fs::write(home.join("agent.json"), config.to_string()).unwrap();
        let agent = self.spawn_agent(&home, &imds.url());
        let cgroup = self.cgroup(number);
        self.hosts.push(Host { id, home, imds, cgroup, agent });
        number
    }

    /// The control group of a host's builds, below the cgroup v2 mount.
    fn cgroup(&self, number: usize) -> String {
        format!("{}-{number}", self.dir.path().file_name().unwrap().to_str().unwrap())
    }

    /// The metadata service of the n-th instance, which is made if it does not exist.
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

    /// Kills a host's agent and its jobs, as the kernel does when memory runs out.
    pub(crate) fn kill_agent(&mut self, number: usize) {
        self.hosts[number].agent.kill().unwrap();
        self.hosts[number].agent.wait().unwrap();
    }

    /// Starts the agent of a host again, as systemd does.
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
}
