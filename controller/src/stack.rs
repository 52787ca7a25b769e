//! The ports of a stack beyond those of a [`Backend`](crate::backend::Backend): all builds, hosts, recipes and bundles.

use std::{collections::BTreeMap, future::Future};

use bakehouse_machine::{Build, build::PhaseName};
use bakehouse_protocol::{BuildId, BundleRef, HostId, HostReport, ImageId, InstanceId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    leasing::{Host, Leases},
    ports::{FaultFuture, StoreError},
    power::Power,
};

/// A future of `T` or a store's error.
pub trait StoreFuture<T>: Future<Output = Result<T, StoreError>> + Send {}
impl<T, F: Future<Output = Result<T, StoreError>> + Send> StoreFuture<T> for F {}

/// A build in a list of builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSummary {
    /// The build.
    pub id: BuildId,
    /// The recipe's name.
    pub recipe: String,
    /// Its phase.
    pub phase: PhaseName,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When its next tick is scheduled; `None` if none is known.
    pub tick_at: Option<Timestamp>,
    /// The ids of its resources, as EC2's notifications name them.
    pub resources: Vec<String>,
}

/// A host, as the controller knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// Its latest report.
    pub report: HostReport,
    /// When that arrived, by the controller's clock.
    pub seen: Timestamp,
    /// No builds are assigned to it.
    pub drained: bool,
    /// The leases of its slots and device names.
    pub leases: Leases,
    /// Whether it is up, if it is on demand.
    #[serde(default)]
    pub power: Power,
    /// When one of its slots was last leased or released, or when it came up.
    #[serde(default)]
    pub busy: Timestamp,
    /// The version of its leases and its power, which increases with each change of them.
    #[serde(default)]
    pub version: u64,
}

impl HostRecord {
    /// Returns the host, as leases need it.
    pub fn host(&self) -> Host {
        let report = &self.report;
        Host {
            id: report.host.clone(),
            instance: report.instance.clone(),
            zone: report.zone.clone(),
            architecture: report.architecture,
            slots: report.slots.try_into().unwrap_or(usize::MAX),
        }
    }

    /// Whether a build may be assigned to it: it is up, has reported lately, listens to its queue, and is not draining.
    pub fn is_ready(&self, now: Timestamp, silence: bakehouse_protocol::Millis) -> bool {
        let is_available = !self.drained && !self.report.draining && self.report.listening;
        self.power == Power::On && now < self.seen + silence && is_available
    }
}

/// A recipe: what to build at a schedule or a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Its name, unique in the stack.
    pub name: String,
    /// The template and its files.
    pub bundle: BundleRef,
    /// Template variables; they take precedence over those of the bundle.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// Build it when its source image has a new release.
    #[serde(default)]
    pub on_release: bool,
    /// The source images it was last built from for a release, one for each builder of its template.
    #[serde(default)]
    pub sources: BTreeMap<String, ImageId>,
}

/// Builds, hosts and recipes of one stack.
pub trait Registry: Send + Sync {
    /// Saves a new build. False: it exists already, and was left unchanged.
    fn create(&self, build: &Build) -> impl StoreFuture<bool>;
    /// Returns the builds that have not ended, in no order.
    fn running(&self) -> impl StoreFuture<Vec<BuildSummary>>;
    /// Returns the newest builds, newest first, at most `limit`.
    fn builds(&self, limit: usize) -> impl StoreFuture<Vec<BuildSummary>>;
    /// Saves a host's report and returns the host's record. A report that is older than the last one changes nothing.
    fn host_seen(&self, report: &HostReport, now: Timestamp) -> impl StoreFuture<HostRecord>;
    /// Returns the hosts, by name.
    fn hosts(&self) -> impl StoreFuture<Vec<HostRecord>>;
    /// Drains a host, or ends its draining.
    fn drain(&self, host: &HostId, drained: bool) -> impl StoreFuture<()>;
    /// Saves a host's power state if the record's version is unchanged. False: it has changed, and nothing was saved.
    fn set_power(&self, host: &HostRecord, power: Power) -> impl StoreFuture<bool>;
    /// Removes a host, with its leases.
    fn forget_host(&self, host: &HostId) -> impl StoreFuture<()>;
    /// Returns the recipes, by name.
    fn recipes(&self) -> impl StoreFuture<Vec<Recipe>>;
    /// Returns a recipe.
    fn recipe(&self, name: &str) -> impl StoreFuture<Option<Recipe>>;
    /// Saves a recipe, in place of one of the same name.
    fn put_recipe(&self, recipe: &Recipe) -> impl StoreFuture<()>;
    /// Removes a recipe. False: there was none.
    fn remove_recipe(&self, name: &str) -> impl StoreFuture<bool>;
}

/// The bundles.
pub trait Bundles: Send + Sync {
    /// Returns the bytes of a bundle, after a check of digest and size. Permanent: they differ from the reference.
    fn fetch(&self, bundle: &BundleRef) -> impl FaultFuture<Vec<u8>>;
}

/// Starts and stops the hosts' instances.
pub trait InstancePower: Send + Sync {
    /// Starts an instance; success if it runs already. NotReady: it is still stopping.
    fn start(&self, instance: &InstanceId) -> impl FaultFuture<()>;
    /// Stops an instance; success if it has stopped already. True: it has stopped.
    fn stop(&self, instance: &InstanceId) -> impl FaultFuture<bool>;
}

/// The hosts' queues.
pub trait Queues: Send + Sync {
    /// Creates the queue of a host, readable by that instance alone, if it does not exist.
    fn ensure(&self, report: &HostReport) -> impl FaultFuture<()>;
    /// Removes the queue of a host.
    fn remove(&self, host: &HostId) -> impl FaultFuture<()>;
}
