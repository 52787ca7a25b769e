//! The ports of a whole stack: a backend for builds, and what surrounds them.

use std::future::Future;

use bakehouse_controller::{
    backend::Backend,
    ports::FaultFuture,
    stack::{Bundles, InstancePower, Queues, Registry, StoreFuture},
};
use bakehouse_protocol::{BuildId, OnDemand, StackConfig, Timestamp};

/// One deployed stack: a backend for builds, and what keeps builds, hosts and recipes.
///
/// The backend's [`Inbox::wake`](bakehouse_controller::ports::Inbox::wake) does nothing here: [`crate::run`] schedules
/// a build's tick with [`Timers`] at its end. Until then the message that is being handled is the safety net, as it is
/// deleted only afterwards.
pub trait Stack: Backend {
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

    /// The stack's configuration.
    fn config(&self) -> &StackConfig;
    /// The hosts on demand.
    fn on_demand(&self) -> &OnDemand;
    /// Builds, hosts and recipes.
    fn registry(&self) -> &Self::Registry;
    /// Templates and their files.
    fn bundles(&self) -> &Self::Bundles;
    /// The hosts' queues.
    fn queues(&self) -> &Self::Queues;
    /// Starts and stops the hosts' instances.
    fn instance_power(&self) -> &Self::InstancePower;
    /// Schedules ticks.
    fn timers(&self) -> &Self::Timers;
    /// The builds' logs.
    fn build_log(&self) -> &Self::BuildLog;
    /// Waits until this time.
    fn sleep_until(&self, until: Timestamp) -> impl Future<Output = ()> + Send;
}

/// Schedules ticks of builds after this invocation.
pub trait Timers: Send + Sync {
    /// Makes sure that the build gets a tick at this time or earlier: sends one, unless one is already scheduled that
    /// is early enough and not overdue.
    fn schedule_tick(&self, id: &BuildId, at: Timestamp) -> impl StoreFuture<()>;
}

/// The builds' logs, which `bakehouse watch` reads; the agent writes there, too.
pub trait BuildLog: Send + Sync {
    /// Writes lines of JSON, each with its time.
    fn write(&self, id: &BuildId, lines: Vec<(Timestamp, String)>) -> impl FaultFuture<()>;
}
