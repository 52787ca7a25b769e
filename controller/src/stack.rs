//! What the deployed pair needs beyond a [`Place`](crate::place::Place): a place for one build knows nothing of other
//! builds, of hosts that come and go, or of recipes.

use std::{collections::BTreeMap, future::Future};

use bakehouse_machine::{Build, build::PhaseName};
use bakehouse_protocol::{BuildId, BundleRef, HostId, HostReport, ImageId, InstanceId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    leasing::{Host, Leases},
    ports::{Answer, StoreError},
    power::Power,
};

/// A future that gives a store's error if it does not give `T`.
pub trait Stored<T>: Future<Output = Result<T, StoreError>> + Send {}
impl<T, F: Future<Output = Result<T, StoreError>> + Send> Stored<T> for F {}

/// One line of the list of builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The build.
    pub id: BuildId,
    /// The recipe's name.
    pub recipe: String,
    /// Where it is.
    pub phase: PhaseName,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// For when its next tick is arranged; `None` if none is known of.
    pub tick_at: Option<Timestamp>,
    /// The ids of what it has made, as EC2's notifications name them.
    pub resources: Vec<String>,
}

/// A host, as the controller knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// What it said last.
    pub report: HostReport,
    /// When that arrived, by the controller's clock.
    pub seen: Timestamp,
    /// It was told to take no more builds.
    pub drained: bool,
    /// Its slots and device names.
    pub leases: Leases,
    /// Whether it is up, if it is on demand.
    #[serde(default)]
    pub power: Power,
    /// When a slot of it was last taken or given back, or when it came up.
    #[serde(default)]
    pub busy: Timestamp,
    /// Of its leases and its power: each change of them makes it another.
    #[serde(default)]
    pub version: u64,
}

impl HostRecord {
    /// The host as leases are made on it.
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

    /// Whether a build may be given to it: it is up, has been heard of lately, listens to its queue, and takes builds.
    pub fn is_ready(&self, now: Timestamp, silence: bakehouse_protocol::Millis) -> bool {
        let takes = !self.drained && !self.report.draining && self.report.listening;
        self.power == Power::On && now < self.seen + silence && takes
    }
}

/// A recipe: what to build when a schedule or a release says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// Its name, unique in the stack.
    pub name: String,
    /// The template and its files.
    pub bundle: BundleRef,
    /// Template variables; they win over those of the bundle.
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
    /// Takes down a new build. False: it is there already, and was left as it is.
    fn create(&self, build: &Build) -> impl Stored<bool>;
    /// The builds that have not ended, in no order.
    fn running(&self) -> impl Stored<Vec<Listed>>;
    /// The newest builds, newest first.
    fn builds(&self, most: usize) -> impl Stored<Vec<Listed>>;
    /// Takes down what a host said, and gives the record as it then is. An older report than the last changes nothing.
    fn host_seen(&self, report: &HostReport, now: Timestamp) -> impl Stored<HostRecord>;
    /// The hosts, by name.
    fn hosts(&self) -> impl Stored<Vec<HostRecord>>;
    /// Tells a host apart from those that take builds, or puts it back.
    fn drain(&self, host: &HostId, drained: bool) -> impl Stored<()>;
    /// Writes down whether a host is up, if its leases and its power are still those of this record. False: they are
    /// not, and nothing was written.
    fn set_power(&self, host: &HostRecord, power: Power) -> impl Stored<bool>;
    /// Forgets a host, and its leases with it.
    fn forget_host(&self, host: &HostId) -> impl Stored<()>;
    /// The recipes, by name.
    fn recipes(&self) -> impl Stored<Vec<Recipe>>;
    /// One recipe.
    fn recipe(&self, name: &str) -> impl Stored<Option<Recipe>>;
    /// Keeps a recipe under its name, in place of the one before.
    fn put_recipe(&self, recipe: &Recipe) -> impl Stored<()>;
    /// Removes a recipe. False: there was none.
    fn remove_recipe(&self, name: &str) -> impl Stored<bool>;
}

/// The bundles.
pub trait Bundles: Send + Sync {
    /// The bytes of a bundle, its digest and size checked. Refused: they are not what the reference says.
    fn fetch(&self, bundle: &BundleRef) -> impl Answer<Vec<u8>>;
}

/// The hosts' instances, as far as the controller starts and stops them.
pub trait InstancePower: Send + Sync {
    /// Starts an instance; that it runs already is success. NotYet: it is still stopping.
    fn start(&self, instance: &InstanceId) -> impl Answer<()>;
    /// Stops an instance; that it has stopped already is success. True: it has.
    fn stop(&self, instance: &InstanceId) -> impl Answer<bool>;
}

/// The hosts' queues.
pub trait Queues: Send + Sync {
    /// Makes the queue of a host, readable by that instance alone, if it is not there.
    fn ensure(&self, report: &HostReport) -> impl Answer<()>;
    /// Removes it.
    fn remove(&self, host: &HostId) -> impl Answer<()>;
}
