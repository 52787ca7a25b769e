//! What an implementation under test provides.

use std::future::Future;

use bakehouse_controller::{
    ports::Store,
    stack::{HostRecord, Registry},
};
use bakehouse_machine::Build;
use bakehouse_protocol::{HostReport, Millis, Timestamp};

use super::records::report;

/// After so long without a report a host of a [`TableFixture`] is lost.
pub const HOST_SILENCE: Millis = Millis::seconds(120);

/// A store with one host, `report(1, …)`, of two slots.
pub trait StoreFixture {
    /// The store's type.
    type Store: Store;
    /// The store.
    fn store(&self) -> &Self::Store;
    /// The time by the store's clock.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    fn advance(&self, by: Millis) -> impl Future<Output = ()>;
    /// Creates a build's record.
    fn create(&self, build: &Build) -> impl Future<Output = ()>;
    /// Records a heartbeat of the host.
    fn heartbeat(&self) -> impl Future<Output = ()>;
}

/// An empty table, whose hosts are lost after [`HOST_SILENCE`].
pub trait TableFixture {
    /// The table's type.
    type Table: Store + Registry;
    /// The table.
    fn table(&self) -> &Self::Table;
    /// The time by the table's clock.
    fn now(&self) -> Timestamp;
    /// Lets time pass.
    fn advance(&self, by: Millis) -> impl Future<Output = ()>;
    /// Records a host's report, as the controller does (whatever it does before belongs here).
    fn host_seen(&self, report: &HostReport, now: Timestamp) -> impl Future<Output = HostRecord>;
    /// Records a heartbeat of the host with this number.
    fn heartbeat(&self, host: u32) -> impl Future<Output = HostRecord> {
        async move { self.host_seen(&report(host, self.now()), self.now()).await }
    }
}

/// A table that knows one host, as a [`StoreFixture`].
#[derive(Debug)]
pub struct OneHost<F>(F);

impl<F: TableFixture> OneHost<F> {
    /// Records the host in an empty table.
    pub async fn new(table: F) -> Self {
        table.heartbeat(1).await;
        Self(table)
    }
}

impl<F: TableFixture> StoreFixture for OneHost<F> {
    type Store = F::Table;
    fn store(&self) -> &F::Table {
        self.0.table()
    }
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    async fn advance(&self, by: Millis) {
        self.0.advance(by).await;
    }
    async fn create(&self, build: &Build) {
        assert!(self.0.table().create(build).await.unwrap());
    }
    async fn heartbeat(&self) {
        self.0.heartbeat(1).await;
    }
}
