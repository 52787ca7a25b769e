//! The deployed stack through the SDK: the one module here that uses it.
//!
//! All clients are created once, when the function starts: they are cheap, as connections, credentials and the EC2
//! client of each region are created at the first call.

use std::{sync::Arc, time::Duration};

use bakehouse_aws::{Limits, Logs, logs::Line};
use bakehouse_controller::{
    backend::Backend,
    clock::WallClock,
    cloud::{Cloud, Ec2InstancePower},
    ports::{self, Clock, StoreError},
};
use bakehouse_controller_aws::ec2::{SdkEc2, SsmParameters, connect, connect::ConnectError};
use bakehouse_controller_aws::stack::{Agents, Bundles, Inbox, Queues, Table, config, config::ConfigError, inbox};
use bakehouse_machine::Fault;
use bakehouse_protocol::{BuildId, OnDemand, StackConfig, Timestamp, access::Access};

use crate::{
    stack::{BuildLog, Stack, Timers},
    undeliverable::Undeliverable,
};

/// Short, as an invocation has other builds to handle: a call that times out is repeated later.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(5),
    operation: Duration::from_secs(15),
    attempts: 3,
    pause: Duration::from_secs(1),
};

/// How long a describe call waits for those of other builds, to be merged with them.
const MERGE_DELAY: Duration = Duration::from_millis(50);

/// The environment variable with the hosts on demand ([`OnDemand`]) as JSON. Not set: there are none.
pub const ON_DEMAND: &str = "BAKEHOUSE_ON_DEMAND";

/// The deployed stack.
pub struct Deployed {
    config: StackConfig,
    on_demand: OnDemand,
    cloud: Cloud<SdkEc2, SsmParameters>,
    /// With the stack's table, where unreachable hosts are marked.
    agents: Undeliverable<Agents, Table>,
    inbox: Inbox,
    bundles: Bundles,
    queues: Queues,
    instance_power: Ec2InstancePower<SdkEc2>,
    logs: Logs,
}

/// Why the function can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The stack's configuration is missing or invalid.
    #[error("can't read the stack's configuration")]
    Config(#[from] ConfigError),
    /// The hosts on demand are invalid.
    #[error("can't read the environment variable {ON_DEMAND}")]
    OnDemand(#[source] serde_json::Error),
    /// There is no connection to AWS.
    #[error("can't connect to AWS")]
    Connect(#[from] ConnectError),
}

impl Deployed {
    /// Returns the stack that the environment variables name.
    ///
    /// # Errors
    /// [`StartError`]. No call is made yet.
    pub async fn from_environment() -> Result<Self, StartError> {
        let config = config::from_environment()?;
        let on_demand = match std::env::var(ON_DEMAND) {
            Ok(text) => serde_json::from_str(&text).map_err(StartError::OnDemand)?,
            Err(_) => OnDemand::NONE,
        };
        let connection = connect(&Access::default(), Some(&config.region), LIMITS).await?;
        let sdk = &connection.config;
        Ok(Self {
            cloud: Cloud(connection.ec2().merging(MERGE_DELAY), connection.parameters()),
            agents: Undeliverable {
                agents: Agents::new(sdk, &config),
                registry: Table::new(sdk, &config, Arc::new(WallClock)),
            },
            inbox: Inbox::new(sdk, &config),
            bundles: Bundles(bakehouse_aws::Bundles::new(sdk, &config.bucket)),
            queues: Queues::new(sdk, &config),
            instance_power: Ec2InstancePower(connection.ec2(), config.region.clone()),
            logs: Logs::new(sdk, &config.builds_log_group),
            config,
            on_demand,
        })
    }

    fn table(&self) -> &Table {
        &self.agents.registry
    }
}

/// An inbox that does nothing: see [`Stack`].
#[derive(Clone, Copy, Debug)]
pub struct NoInbox;

impl ports::Inbox for NoInbox {
    async fn wake(&self, _: &BuildId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Backend for Deployed {
    type Ec2 = SdkEc2;
    type Parameters = SsmParameters;
    type Agents = Undeliverable<Agents, Table>;
    type Store = Table;
    type Inbox = NoInbox;
    type Clock = WallClock;

    fn cloud(&self) -> &Cloud<SdkEc2, SsmParameters> {
        &self.cloud
    }
    fn agents(&self) -> &Self::Agents {
        &self.agents
    }
    fn store(&self) -> &Table {
        self.table()
    }
    fn inbox(&self) -> &NoInbox {
        &NoInbox
    }
    fn clock(&self) -> &WallClock {
        &WallClock
    }
}

impl Timers for Deployed {
    async fn schedule_tick(&self, id: &BuildId, at: Timestamp) -> Result<(), StoreError> {
        inbox::schedule_tick(&self.inbox, self.table(), id, at, WallClock.now()).await
    }
}

impl BuildLog for Deployed {
    async fn write(&self, id: &BuildId, lines: Vec<(Timestamp, String)>) -> Result<(), Fault> {
        let lines = lines.into_iter().map(|(at, text)| Line { at, text });
        self.logs.write(id.as_str(), lines.collect()).await
    }
}

impl Stack for Deployed {
    type Registry = Table;
    type Bundles = Bundles;
    type Queues = Queues;
    type InstancePower = Ec2InstancePower<SdkEc2>;
    type Timers = Self;
    type BuildLog = Self;

    fn config(&self) -> &StackConfig {
        &self.config
    }
    fn on_demand(&self) -> &OnDemand {
        &self.on_demand
    }
    fn registry(&self) -> &Table {
        self.table()
    }
    fn bundles(&self) -> &Bundles {
        &self.bundles
    }
    fn queues(&self) -> &Queues {
        &self.queues
    }
    fn instance_power(&self) -> &Ec2InstancePower<SdkEc2> {
        &self.instance_power
    }
    fn timers(&self) -> &Self {
        self
    }
    fn build_log(&self) -> &Self {
        self
    }
    async fn sleep_until(&self, until: Timestamp) {
        tokio::time::sleep(until.since(WallClock.now()).into()).await;
    }
}
