//! Whether a host is up, and when it was last in use.

use bakehouse_controller::{
    ports::{LeaseRequest, Store as _},
    power::Power,
    stack::{HostRecord, Registry as _},
};
use bakehouse_machine::resources::Lease;
use bakehouse_protocol::{Millis, Timestamp, spec::Architecture};

use super::{fixture::TableFixture, records::id};

async fn lease(fixture: &impl TableFixture, n: u32) -> Option<Lease> {
    let (build, until) = (&id(n), fixture.now() + Millis::minutes(30));
    let request = LeaseRequest { build, architecture: Architecture::X86_64, device: None, avoid: &[], until };
    fixture.table().lease(&request).await.unwrap()
}

async fn only_host(fixture: &impl TableFixture) -> HostRecord {
    let mut hosts = fixture.table().hosts().await.unwrap();
    assert_eq!(hosts.len(), 1);
    hosts.remove(0)
}

/// Every change of leases or power in between makes it fail, even one that was undone; a heartbeat and a drain do not.
pub async fn power_is_set_only_over_the_version_that_was_read(fixture: &impl TableFixture) {
    let table = fixture.table();
    let stopping = Power::Stopping(Timestamp(1));
    let first = fixture.heartbeat(1).await;
    assert_eq!(first.power, Power::On);
    let held = lease(fixture, 1).await.unwrap();
    assert!(!table.set_power(&first, stopping).await.unwrap(), "it has a lease by now");

    let leased = only_host(fixture).await;
    let renewed = table.renew(&id(1), &held, held.until + Millis::minutes(5)).await.unwrap();
    assert!(!table.set_power(&leased, stopping).await.unwrap(), "the lease was renewed");

    let leased = only_host(fixture).await;
    table.release(&id(1), &renewed).await.unwrap();
    assert!(!table.set_power(&leased, stopping).await.unwrap(), "the lease was released");

    let free = only_host(fixture).await;
    fixture.advance(Millis::seconds(20)).await;
    fixture.heartbeat(1).await;
    table.drain(&free.report.host, true).await.unwrap();
    assert!(table.set_power(&free, stopping).await.unwrap(), "a heartbeat and a drain are no changes of it");
    assert!(!table.set_power(&free, stopping).await.unwrap(), "it was set already");
    let set = only_host(fixture).await;
    assert_eq!((set.power, set.drained), (stopping, true));

    assert!(table.set_power(&set, Power::On).await.unwrap());
    assert!(!table.set_power(&free, stopping).await.unwrap(), "it was on, off, and is on again");
    table.forget_host(&set.report.host).await.unwrap();
    assert!(!table.set_power(&set, Power::On).await.unwrap(), "there is no such host");
    assert_eq!(table.hosts().await.unwrap(), []);
}

/// A host that stops, is stopped or starts leases no slots.
pub async fn only_a_host_that_is_on_leases_slots(fixture: &impl TableFixture) {
    fixture.heartbeat(1).await;
    for power in [Power::Stopping(Timestamp(1)), Power::Stopped(Timestamp(1)), Power::Starting(Timestamp(1))] {
        assert!(fixture.table().set_power(&only_host(fixture).await, power).await.unwrap());
        assert_eq!(lease(fixture, 1).await, None, "{power:?}");
    }
    assert!(fixture.table().set_power(&only_host(fixture).await, Power::On).await.unwrap());
    assert!(lease(fixture, 1).await.is_some());
}

/// A first report, a change of the leases and coming up count as use; a heartbeat, going down and a release of what is
/// not held do not.
pub async fn the_time_of_the_last_use_is_recorded(fixture: &impl TableFixture) {
    let table = fixture.table();
    let seen = fixture.now();
    let mut last = fixture.host_seen(&super::records::report(1, seen), seen).await.busy;
    assert_eq!(last, seen);
    let mut is_used = async |what: &str, used: bool| {
        let busy = only_host(fixture).await.busy;
        assert_eq!(busy > last, used, "{what}: {busy:?} after {last:?}");
        assert!(busy <= fixture.now());
        last = busy;
        fixture.advance(Millis::seconds(1)).await;
    };
    fixture.advance(Millis::seconds(1)).await;
    fixture.heartbeat(1).await;
    is_used("a heartbeat", false).await;
    let held = lease(fixture, 1).await.unwrap();
    is_used("a lease", true).await;
    let held = table.renew(&id(1), &held, held.until).await.unwrap();
    is_used("a renewal", true).await;
    table.release(&id(1), &held).await.unwrap();
    is_used("a release", true).await;
    table.release(&id(1), &held).await.unwrap();
    is_used("a release of what is not held", false).await;
    assert!(table.set_power(&only_host(fixture).await, Power::Stopped(Timestamp(1))).await.unwrap());
    is_used("going down", false).await;
    assert!(table.set_power(&only_host(fixture).await, Power::On).await.unwrap());
    is_used("coming up", true).await;
}
