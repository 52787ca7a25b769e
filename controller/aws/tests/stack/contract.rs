//! The contract of `Store` and `Registry`, on the table, and of `Store` alone, on the files of a local build.

use std::{cell::RefCell, sync::Arc};

use bakehouse_controller::{
    leasing::Host,
    ports::{Clock as _, LeaseRequest, Store, StoreError, Version},
    stack::{HostRecord, Registry as _},
};
use bakehouse_controller_aws::stack::Table;
use bakehouse_machine::{Build, Fault, resources::Lease};
use bakehouse_protocol::{BuildId, HostReport, Millis, Timestamp};
use bakehouse_runner::{Records, leases::LeaseFile, records::OwnerLock};
use bakehouse_tests::contract::{OneHost, StoreFixture, TableFixture, report};

use crate::stack::{self, SetClock, Stack};

struct OnTable {
    stack: Stack,
    table: Table,
}

impl TableFixture for OnTable {
    type Table = Table;
    fn table(&self) -> &Table {
        &self.table
    }
    fn now(&self) -> Timestamp {
        self.stack.now()
    }
    async fn advance(&self, by: Millis) {
        self.stack.clock.advance(by);
    }
    async fn host_seen(&self, report: &HostReport, now: Timestamp) -> HostRecord {
        self.table.host_seen(report, now).await.unwrap()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn on_table(test: &str, case: impl AsyncFnOnce(OnTable)) {
    block_on(async {
        let Some((stack, table)) = stack::with_table(test).await else { return };
        case(OnTable { stack, table }).await;
    });
}

fn on_table_with_host(test: &str, case: impl AsyncFnOnce(OneHost<OnTable>)) {
    on_table(test, async |table| case(OneHost::new(table).await).await);
}

struct OnFiles {
    _dir: tempfile::TempDir,
    store: Files,
    owners: RefCell<Vec<OwnerLock>>,
}

/// A local build's store.
struct Files {
    records: Records,
    leases: LeaseFile,
    clock: Arc<SetClock>,
}

impl Store for Files {
    async fn load(&self, id: &BuildId) -> Result<(Build, Version), StoreError> {
        self.records.load(id)
    }
    async fn save(&self, build: &Build, version: Version) -> Result<Version, StoreError> {
        self.records.save(build, version)
    }
    async fn lease(&self, request: &LeaseRequest<'_>) -> Result<Option<Lease>, Fault> {
        self.leases.lease(request, self.clock.now(), |_| false)
    }
    async fn renew(&self, build: &BuildId, _: &Lease, until: Timestamp) -> Result<Lease, Fault> {
        self.leases.renew(build, until)
    }
    async fn release(&self, build: &BuildId, _: &Lease) -> Result<(), Fault> {
        self.leases.release(build)
    }
}

impl StoreFixture for OnFiles {
    type Store = Files;
    fn store(&self) -> &Files {
        &self.store
    }
    fn now(&self) -> Timestamp {
        self.store.clock.now()
    }
    async fn advance(&self, by: Millis) {
        self.store.clock.advance(by);
    }
    async fn create(&self, build: &Build) {
        let owner = self.store.records.create(build).unwrap();
        self.owners.borrow_mut().push(owner);
    }
    async fn heartbeat(&self) {}
}

fn on_files(_test: &str, case: impl AsyncFnOnce(OnFiles)) {
    let dir = tempfile::tempdir().unwrap();
    let host = report(1, Timestamp(0));
    let (id, instance, zone) = (host.host, host.instance, host.zone);
    let host = Host { id, instance, zone, architecture: host.architecture, slots: 2 };
    let records = Records::open(dir.path()).unwrap();
    let leases = LeaseFile::new(dir.path().join("leases.json"), host);
    let store = Files { records, leases, clock: SetClock::new() };
    block_on(case(OnFiles { _dir: dir, store, owners: RefCell::new(vec![]) }));
}

mod files {
    bakehouse_tests::store_contract!(super::on_files);
}
mod table {
    bakehouse_tests::table_contract!(crate::contract::on_table, crate::contract::on_table_with_host);
}
