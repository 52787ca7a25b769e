//! The port `Store`: one body, on the local place's files and on the table.

use std::sync::Arc;

use bakehouse_controller::{
    leasing::Host,
    ports::{Clock as _, LeaseRequest, Store, StoreError, Version},
    stack::Registry as _,
};
use bakehouse_controller_aws::stack::Table;
use bakehouse_machine::{Build, Fault, FaultKind, resources::Lease};
use bakehouse_protocol::{
    BuildId, DeferredTemplate, DeviceName, Millis, Timestamp,
    spec::{Action, Architecture, Provisioner, Upload},
};
use bakehouse_runner::{Records, leases::LeaseFile, records::Owner};

use crate::stack::{self, SetClock, Stack, build, id, report};

/// A store with one host that has two slots.
trait Subject {
    type Store: Store;
    fn store(&self) -> &Self::Store;
    fn clock(&self) -> &SetClock;
    async fn create(&mut self, build: &Build);
    /// The host says that it is alive.
    async fn heartbeat(&self);
}

struct OnFiles {
    _dir: tempfile::TempDir,
    store: Files,
    owners: Vec<Owner>,
}

/// What the local place makes its store of.
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

impl Subject for OnFiles {
    type Store = Files;
    fn store(&self) -> &Files {
        &self.store
    }
    fn clock(&self) -> &SetClock {
        &self.store.clock
    }
    async fn create(&mut self, build: &Build) {
        self.owners.push(self.store.records.create(build).unwrap());
    }
    async fn heartbeat(&self) {}
}

async fn on_files(_test: &str) -> Option<OnFiles> {
    let dir = tempfile::tempdir().unwrap();
    let host = report(1, Timestamp(0));
    let (id, instance, zone) = (host.host, host.instance, host.zone);
    let host = Host { id, instance, zone, architecture: host.architecture, slots: 2 };
    let records = Records::open(dir.path()).unwrap();
    let leases = LeaseFile::new(dir.path().join("leases.json"), host);
    Some(OnFiles { _dir: dir, store: Files { records, leases, clock: SetClock::new() }, owners: vec![] })
}

struct OnTable {
    stack: Stack,
    table: Table,
}

impl Subject for OnTable {
    type Store = Table;
    fn store(&self) -> &Table {
        &self.table
    }
    fn clock(&self) -> &SetClock {
        &self.stack.clock
    }
    async fn create(&mut self, build: &Build) {
        assert!(self.table.create(build).await.unwrap());
    }
    async fn heartbeat(&self) {
        let now = self.stack.now();
        self.table.host_seen(&report(1, now), now).await.unwrap();
    }
}

async fn on_table(test: &str) -> Option<OnTable> {
    let (stack, table) = stack::with_table(test).await?;
    let subject = OnTable { stack, table };
    subject.heartbeat().await;
    Some(subject)
}

macro_rules! contract {
    ($($name:ident)*) => {
        mod files {
            $(#[tokio::test]
            async fn $name() {
                let Some(subject) = super::on_files(stringify!($name)).await else { return };
                super::$name(subject).await;
            })*
        }
        mod table {
            $(#[tokio::test]
            async fn $name() {
                let Some(subject) = super::on_table(stringify!($name)).await else { return };
                super::$name(subject).await;
            })*
        }
    };
}

contract! {
    of_two_who_save_one_must_load_again
    what_is_not_there_is_not_found
    a_large_record_goes_there_and_back
    a_build_gets_the_same_lease_again
    slots_run_out_and_come_free
    a_name_to_avoid_is_not_given_again
    a_named_device_is_given_or_nothing_is
    a_lease_that_was_lost_is_not_renewed
    a_lease_ends_with_its_time
    another_architecture_gets_no_slot
}

async fn of_two_who_save_one_must_load_again(mut subject: impl Subject) {
    subject.create(&build(1)).await;
    let (mut first, one) = subject.store().load(&id(1)).await.unwrap();
    let (mut second, two) = subject.store().load(&id(1)).await.unwrap();
    assert_eq!((&first, one), (&second, two));
    first.leftovers.push("by the first".to_owned());
    second.leftovers.push("by the second".to_owned());
    let saved = subject.store().save(&first, one).await.unwrap();
    assert!(saved > one);
    let refused = subject.store().save(&second, two).await;
    assert!(matches!(refused, Err(StoreError::Conflict(build)) if build == id(1)));
    // The very same record is no excuse.
    let refused = subject.store().save(&first, one).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(subject.store().load(&id(1)).await.unwrap(), (first, saved));
    subject.store().save(&second, saved).await.unwrap();
    assert_eq!(subject.store().load(&id(1)).await.unwrap().0, second);
}

async fn what_is_not_there_is_not_found(subject: impl Subject) {
    let error = subject.store().load(&id(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::NotFound(build) if build == &id(1)), "{error:?}");
    let error = subject.store().save(&build(1), Version(1)).await.unwrap_err();
    assert!(!matches!(error, StoreError::Conflict(_)), "whoever is told that loads it again: {error:?}");
    assert!(subject.store().load(&id(1)).await.is_err(), "the save has made nothing");
}

async fn a_large_record_goes_there_and_back(mut subject: impl Subject) {
    let mut large = build(1);
    large.spec.provisioners = (0..3000).map(step).collect();
    assert!(serde_json::to_string(&large).unwrap().len() > 400 * 1024);
    subject.create(&build(1)).await;
    // Small to large, and back: nothing of the other form may stay.
    for next in [large, build(1)] {
        let (_, version) = subject.store().load(&id(1)).await.unwrap();
        subject.store().save(&next, version).await.unwrap();
        assert_eq!(subject.store().load(&id(1)).await.unwrap().0, next);
    }
}

fn step(n: u32) -> Provisioner {
    let upload = Upload { sources: vec![], destination: DeferredTemplate(format!("/srv/step-{n}/of/a/long/template")) };
    Provisioner { pause_before: None, timeout: None, max_retries: 0, action: Action::Upload(upload) }
}

fn until(subject: &impl Subject) -> Timestamp {
    subject.clock().now() + Millis::minutes(30)
}

async fn ask(subject: &impl Subject, n: u32, device: Option<&str>, avoid: &[DeviceName]) -> Option<Lease> {
    let device = device.map(|name| DeviceName::new(name).unwrap());
    let (build, until) = (&id(n), until(subject));
    let architecture = Architecture::X86_64;
    let request = LeaseRequest { build, architecture, device: device.as_ref(), avoid, until };
    subject.store().lease(&request).await.unwrap()
}

async fn a_build_gets_the_same_lease_again(subject: impl Subject) {
    let first = ask(&subject, 1, None, &[]).await.unwrap();
    assert_eq!(first.host, report(1, Timestamp(0)).host);
    assert_eq!(first.until, until(&subject));
    subject.clock().advance(Millis::seconds(60));
    let again = ask(&subject, 1, None, &[]).await.unwrap();
    assert_eq!(again.device, first.device);
    assert_eq!(again.until, until(&subject), "with a new end");
}

async fn slots_run_out_and_come_free(subject: impl Subject) {
    let one = ask(&subject, 1, None, &[]).await.unwrap();
    let two = ask(&subject, 2, None, &[]).await.unwrap();
    assert_ne!(one.device, two.device);
    assert_eq!(ask(&subject, 3, None, &[]).await, None);
    subject.store().release(&id(1), &one).await.unwrap();
    subject.store().release(&id(1), &one).await.unwrap();
    let three = ask(&subject, 3, None, &[]).await.unwrap();
    assert_ne!(three.device, two.device);
}

async fn a_name_to_avoid_is_not_given_again(subject: impl Subject) {
    let first = ask(&subject, 1, None, &[]).await.unwrap();
    let other = ask(&subject, 1, None, std::slice::from_ref(&first.device)).await.unwrap();
    assert_ne!(other.device, first.device);
    // And the first is no second slot.
    assert!(ask(&subject, 2, None, &[]).await.is_some());
    assert_eq!(ask(&subject, 3, None, &[]).await, None);
}

async fn a_named_device_is_given_or_nothing_is(subject: impl Subject) {
    let one = ask(&subject, 1, Some("/dev/sdk"), &[]).await.unwrap();
    assert_eq!(one.device.as_str(), "/dev/sdk");
    assert_eq!(ask(&subject, 2, Some("/dev/sdk"), &[]).await, None);
    assert!(ask(&subject, 2, Some("/dev/sdm"), &[]).await.is_some());
}

async fn a_lease_that_was_lost_is_not_renewed(subject: impl Subject) {
    let lease = ask(&subject, 1, None, &[]).await.unwrap();
    let later = until(&subject) + Millis::minutes(5);
    let renewed = subject.store().renew(&id(1), &lease, later).await.unwrap();
    assert_eq!(renewed, Lease { until: later, ..lease.clone() });
    subject.store().release(&id(1), &lease).await.unwrap();
    let fault = subject.store().renew(&id(1), &lease, later).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
}

async fn a_lease_ends_with_its_time(subject: impl Subject) {
    let one = ask(&subject, 1, None, &[]).await.unwrap();
    ask(&subject, 2, None, &[]).await.unwrap();
    subject.clock().advance(Millis::seconds(100));
    let two = ask(&subject, 2, None, &[]).await.unwrap();
    let rest = one.until.since(subject.clock().now());
    subject.clock().advance(rest);
    subject.heartbeat().await;
    let three = ask(&subject, 3, None, &[]).await.expect("the first's slot");
    assert_ne!(three.device, two.device);
    assert_eq!(ask(&subject, 1, None, &[]).await, None);
}

async fn another_architecture_gets_no_slot(subject: impl Subject) {
    let request = LeaseRequest {
        build: &id(1),
        architecture: Architecture::Arm64,
        device: None,
        avoid: &[],
        until: until(&subject),
    };
    // With one host for ever that is an error; where hosts come and go, one may come.
    match subject.store().lease(&request).await {
        Ok(lease) => assert_eq!(lease, None),
        Err(fault) => assert_eq!(fault.kind, FaultKind::Permanent),
    }
}
