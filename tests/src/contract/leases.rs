//! Leases on several hosts, some requested at the same moment.

use std::collections::BTreeSet;

use bakehouse_controller::{
    ports::{LeaseRequest, Store as _},
    stack::Registry as _,
};
use bakehouse_machine::{FaultKind, resources::Lease};
use bakehouse_protocol::{DeviceName, Millis, spec::Architecture};
use futures_util::future::join_all;

use super::{
    fixture::{HOST_SILENCE, TableFixture},
    records::{id, report},
};

async fn lease(fixture: &impl TableFixture, n: u32) -> Option<Lease> {
    let (build, until) = (&id(n), fixture.now() + Millis::minutes(30));
    let request = LeaseRequest { build, architecture: Architecture::X86_64, device: None, avoid: &[], until };
    fixture.table().lease(&request).await.unwrap()
}

/// Eight builds that request a slot at once get the six that there are.
pub async fn concurrent_builds_get_one_slot_each(fixture: &impl TableFixture) {
    for n in 1..=3 {
        fixture.heartbeat(n).await;
    }
    let leases = join_all((1..=8).map(|n| lease(fixture, n))).await;
    let slots: Vec<_> = leases.into_iter().flatten().map(|lease| (lease.host, lease.device)).collect();
    assert_eq!(slots.len(), 6, "three hosts with two slots");
    assert_eq!(slots.iter().collect::<BTreeSet<_>>().len(), 6, "{slots:?}");
    let hosts = fixture.table().hosts().await.unwrap();
    assert!(hosts.iter().all(|host| host.leases.held(fixture.now()).count() == 2), "{hosts:?}");
}

/// A drained host keeps its leases and gives no new ones.
pub async fn a_heartbeat_and_a_drain_leave_the_leases_alone(fixture: &impl TableFixture) {
    fixture.heartbeat(1).await;
    let first = lease(fixture, 1).await.unwrap();
    fixture.advance(Millis::seconds(20)).await;
    fixture.heartbeat(1).await;
    fixture.table().drain(&first.host, true).await.unwrap();
    let later = fixture.now() + Millis::minutes(60);
    assert_eq!(fixture.table().renew(&id(1), &first, later).await.unwrap().until, later);
    assert_eq!(lease(fixture, 1).await.unwrap().device, first.device, "drained, and kept");
    assert_eq!(lease(fixture, 2).await, None, "drained, and given to no other");
}

/// A build whose host is silent for too long gets a slot on another, and gives the first up.
pub async fn a_lost_host_is_left_and_a_forgotten_one_has_no_leases(fixture: &impl TableFixture) {
    assert_eq!(lease(fixture, 1).await, None, "no host at all: one may come");
    fixture.heartbeat(1).await;
    let first = lease(fixture, 1).await.unwrap();
    fixture.advance(HOST_SILENCE).await;
    assert_eq!(lease(fixture, 1).await, None, "the host was silent for too long");
    let fault = fixture.table().renew(&id(1), &first, fixture.now()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");

    fixture.heartbeat(2).await;
    let second = lease(fixture, 1).await.unwrap();
    assert_eq!(second.host, report(2, fixture.now()).host);
    fixture.table().forget_host(&second.host).await.unwrap();
    let fault = fixture.table().renew(&id(1), &second, fixture.now()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    fixture.table().release(&id(1), &second).await.unwrap();
}

/// Of hosts with as many free slots, the first by name.
pub async fn the_ready_host_with_the_most_free_slots_is_leased(fixture: &impl TableFixture) {
    let host = |n| report(n, fixture.now()).host;
    for n in 1..=3 {
        fixture.heartbeat(n).await;
    }
    let leased = [lease(fixture, 1).await, lease(fixture, 2).await, lease(fixture, 3).await, lease(fixture, 4).await];
    let hosts: Vec<_> = leased.into_iter().map(|lease| lease.unwrap().host).collect();
    assert_eq!(hosts, [host(1), host(2), host(3), host(1)]);
}

/// Where hosts come and go, one of the wanted architecture may come: it is no fault that there is none.
pub async fn hosts_of_another_architecture_are_passed_over(fixture: &impl TableFixture) {
    fixture.heartbeat(1).await;
    let (build, until) = (&id(1), fixture.now() + Millis::minutes(30));
    let request = LeaseRequest { build, architecture: Architecture::Arm64, device: None, avoid: &[], until };
    assert_eq!(fixture.table().lease(&request).await.unwrap(), None);
    let mut other = report(2, fixture.now());
    other.architecture = Architecture::Arm64;
    fixture.host_seen(&other, fixture.now()).await;
    assert_eq!(fixture.table().lease(&request).await.unwrap().unwrap().host, other.host);
}

/// Neither renewed nor released is a lease by a device name that the build does not hold.
pub async fn a_lease_of_another_device_is_not_the_builds(fixture: &impl TableFixture) {
    fixture.heartbeat(1).await;
    let held = lease(fixture, 1).await.unwrap();
    let other = Lease { device: DeviceName::new("/dev/sdp").unwrap(), ..held.clone() };
    assert_ne!(other.device, held.device);
    let later = held.until + Millis::minutes(5);
    let fault = fixture.table().renew(&id(1), &other, later).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
    fixture.table().release(&id(1), &other).await.unwrap();
    assert_eq!(fixture.table().renew(&id(1), &held, later).await.unwrap().until, later, "it is still held");
}
