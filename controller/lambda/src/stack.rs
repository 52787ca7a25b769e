//! What the dispatcher needs beyond a place for one build: the stack around it, ticks, and a way to rest.

use std::future::Future;

use bakehouse_controller::{
    place::Place,
    ports::Answer,
    stack::{Bundles, InstancePower, Queues, Registry, Stored},
};
use bakehouse_protocol::{BuildId, OnDemand, StackConfig, Timestamp};

/// One deployed stack: a place in which builds run, and what keeps builds, hosts and recipes.
///
/// The place's own [`Inbox::wake`](bakehouse_controller::ports::Inbox::wake) has nothing to do here: what is arranged
/// for a build is what [`crate::run`] asks of [`Timers`] at its end. Until then the message that is being handled is the
/// net: it is deleted only afterwards.
pub trait Stack: Place {
    /// See [`Registry`].
    type Registry: Registry;
    /// See [`Bundles`].
    type Bundles: Bundles;
    /// See [`Queues`].
    type Queues: Queues;
    /// See [`InstancePower`].
    type InstancePower: InstancePower;
    /// See [`Timers`].
    type Timers: Timers;
    /// See [`BuildLog`].
    type BuildLog: BuildLog;

    /// How the stack's parts find each other.
    fn config(&self) -> &StackConfig;
    /// The hosts on demand.
    fn on_demand(&self) -> &OnDemand;
    /// Builds, hosts and recipes.
    fn registry(&self) -> &Self::Registry;
    /// Templates and their files.
    fn bundles(&self) -> &Self::Bundles;
    /// The hosts' queues.
    fn queues(&self) -> &Self::Queues;
    /// What starts and stops the hosts' instances.
    fn switch(&self) -> &Self::InstancePower;
    /// What makes a build be looked at again.
    fn ticks(&self) -> &Self::Timers;
    /// What is told of builds.
    fn build_log(&self) -> &Self::BuildLog;
    /// Waits until this moment.
    fn rest(&self, until: Timestamp) -> impl Future<Output = ()> + Send;
}

/// What makes a build be looked at again after this invocation.
pub trait Timers: Send + Sync {
    /// Makes sure that the build gets a tick at this time or earlier: sends one, unless one that is early enough and
    /// not overdue is known to be on its way.
    fn arrange(&self, id: &BuildId, at: Timestamp) -> impl Stored<()>;
}

/// What is told of builds, for those who watch them from afar; the agent writes there, too.
pub trait BuildLog: Send + Sync {
    /// Writes lines of JSON, each with its time.
    fn write(&self, id: &BuildId, lines: Vec<(Timestamp, String)>) -> impl Answer<()>;
}
