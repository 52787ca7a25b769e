//! The deployed stack through the SDK: the one module here that knows it.
//!
//! Everything is made once, when the function starts: clients are cheap, as connections, credentials and EC2's client of
//! each region come with the first call that needs them.

use std::{sync::Arc, time::Duration};

use bakehouse_aws::{Limits, Logs, logs::Line};
use bakehouse_controller::{
    clock::WallClock,
    cloud::{Cloud, Ec2InstancePower},
    place::Place,
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

/// An invocation has other builds to see to: what has not answered by then is given up, and looked at later.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(2),
    attempt: Duration::from_secs(5),
    operation: Duration::from_secs(15),
    attempts: 3,
    pause: Duration::from_secs(1),
};

/// How long a look waits for those of other builds.
const GATHER: Duration = Duration::from_millis(50);

/// The environment variable that has the hosts on demand ([`OnDemand`]) as JSON. Not set: there are none.
pub const ON_DEMAND: &str = "BAKEHOUSE_ON_DEMAND";

/// The deployed stack.
pub struct Deployed {
    config: StackConfig,
    on_demand: OnDemand,
    cloud: Cloud<SdkEc2, SsmParameters>,
    /// With the stack's table, which is told of hosts that hear nothing.
    agents: Undeliverable<Agents, Table>,
    inbox: Inbox,
    bundles: Bundles,
    queues: Queues,
    switch: Ec2InstancePower<SdkEc2>,
    logs: Logs,
}

/// Why the function can't start.
#[derive(Debug, thiserror::Error)]
pub enum NotDeployed {
    /// It does not know its stack.
    #[error("finding the stack")]
    Config(#[from] ConfigError),
    /// It does not know its hosts on demand.
    #[error("reading the environment variable {ON_DEMAND}")]
    OnDemand(#[source] serde_json::Error),
    /// It does not know how to reach AWS.
    #[error("reaching AWS")]
    Connect(#[from] ConnectError),
}

impl Deployed {
    /// The stack that the environment names.
    ///
    /// # Errors
    /// [`NotDeployed`]. No call is made yet.
    pub async fn from_environment() -> Result<Self, NotDeployed> {
        let config = config::from_environment()?;
        let on_demand = match std::env::var(ON_DEMAND) {
            Ok(text) => serde_json::from_str(&text).map_err(NotDeployed::OnDemand)?,
            Err(_) => OnDemand::NONE,
        };
        let connection = connect(&Access::default(), Some(&config.region), LIMITS).await?;
        let sdk = &connection.config;
        Ok(Self {
            cloud: Cloud(connection.ec2().merging(GATHER), connection.parameters()),
            agents: Undeliverable {
                agents: Agents::new(sdk, &config),
                registry: Table::new(sdk, &config, Arc::new(WallClock)),
            },
            inbox: Inbox::new(sdk, &config),
            bundles: Bundles(bakehouse_aws::Bundles::new(sdk, &config.bucket)),
            queues: Queues::new(sdk, &config),
            switch: Ec2InstancePower(connection.ec2(), config.region.clone()),
            logs: Logs::new(sdk, &config.builds_log_group),
            config,
            on_demand,
        })
    }

    fn table(&self) -> &Table {
        &self.agents.registry
    }
}

/// The wishes that the driver tells while a build is at work: see [`Stack`].
#[derive(Clone, Copy, Debug)]
pub struct NoInbox;

impl ports::Inbox for NoInbox {
    async fn wake(&self, _: &BuildId, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Place for Deployed {
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
    async fn arrange(&self, id: &BuildId, at: Timestamp) -> Result<(), StoreError> {
        inbox::arrange(&self.inbox, self.table(), id, at, WallClock.now()).await
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
    fn switch(&self) -> &Ec2InstancePower<SdkEc2> {
        &self.switch
    }
    fn ticks(&self) -> &Self {
        self
    }
    fn build_log(&self) -> &Self {
        self
    }
    async fn rest(&self, until: Timestamp) {
        tokio::time::sleep(until.since(WallClock.now()).into()).await;
    }
}
