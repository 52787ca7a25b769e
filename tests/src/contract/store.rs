//! The port `Store`.

use bakehouse_controller::ports::{LeaseRequest, Store as _, StoreError, Version};
use bakehouse_machine::{FaultKind, resources::Lease};
use bakehouse_protocol::{
    DeferredTemplate, DeviceName, Millis, Timestamp,
    spec::{Action, Architecture, Provisioner, Upload},
};

use super::{
    fixture::StoreFixture,
    records::{build, id, report},
};

/// A save over a version that is not the current one is a conflict, even of the same record.
pub async fn of_two_saves_over_one_version_the_second_fails(fixture: &impl StoreFixture) {
    fixture.create(&build(1)).await;
    let store = fixture.store();
    let (mut first, one) = store.load(&id(1)).await.unwrap();
    let (mut second, two) = store.load(&id(1)).await.unwrap();
    assert_eq!((&first, one), (&second, two));
    first.leftovers.push("by the first".to_owned());
    second.leftovers.push("by the second".to_owned());
    let saved = store.save(&first, one).await.unwrap();
    assert!(saved > one);
    let refused = store.save(&second, two).await;
    assert!(matches!(refused, Err(StoreError::Conflict(build)) if build == id(1)));
    let refused = store.save(&first, one).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "the same record is a conflict, too");
    assert_eq!(store.load(&id(1)).await.unwrap(), (first, saved));
    store.save(&second, saved).await.unwrap();
    assert_eq!(store.load(&id(1)).await.unwrap().0, second);
}

/// Neither a load nor a save creates a record.
pub async fn a_record_that_does_not_exist_is_not_found(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let error = store.load(&id(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::NotFound(build) if build == &id(1)), "{error:?}");
    let error = store.save(&build(1), Version(1)).await.unwrap_err();
    assert!(!matches!(error, StoreError::Conflict(_)), "after a conflict the caller loads it again: {error:?}");
    assert!(store.load(&id(1)).await.is_err(), "the save has created it");
}

/// A record over 400 kB is kept, and replaced by a small one.
pub async fn a_large_record_is_saved_and_loaded(fixture: &impl StoreFixture) {
    let mut large = build(1);
    large.spec.provisioners = (0..3000).map(provisioner).collect();
    assert!(serde_json::to_string(&large).unwrap().len() > 400 * 1024);
    fixture.create(&build(1)).await;
    // Small to large, and back: nothing of the other form may stay.
    for next in [large, build(1)] {
        let (_, version) = fixture.store().load(&id(1)).await.unwrap();
        fixture.store().save(&next, version).await.unwrap();
        assert_eq!(fixture.store().load(&id(1)).await.unwrap().0, next);
    }
}

fn provisioner(n: u32) -> Provisioner {
    let destination = DeferredTemplate(format!("/srv/step-{n}/of/a/long/template"));
    Provisioner::new(Action::Upload(Upload { destination, ..Upload::default() }))
}

fn in_half_an_hour(fixture: &impl StoreFixture) -> Timestamp {
    fixture.now() + Millis::minutes(30)
}

async fn lease_until(
    fixture: &impl StoreFixture,
    n: u32,
    device: Option<&str>,
    avoid: &[DeviceName],
    until: Timestamp,
) -> Option<Lease> {
    let device = device.map(|name| DeviceName::new(name).unwrap());
    let architecture = Architecture::X86_64;
    let request = LeaseRequest { build: &id(n), architecture, device: device.as_ref(), avoid, until };
    fixture.store().lease(&request).await.unwrap()
}

async fn lease(fixture: &impl StoreFixture, n: u32) -> Option<Lease> {
    lease_until(fixture, n, None, &[], in_half_an_hour(fixture)).await
}

/// A second request of a build extends its lease.
pub async fn a_build_gets_the_same_lease_again(fixture: &impl StoreFixture) {
    let until = in_half_an_hour(fixture);
    let first = lease_until(fixture, 1, None, &[], until).await.unwrap();
    assert_eq!(first.host, report(1, Timestamp(0)).host);
    assert_eq!(first.until, until);
    fixture.advance(Millis::seconds(60)).await;
    let until = in_half_an_hour(fixture);
    let again = lease_until(fixture, 1, None, &[], until).await.unwrap();
    assert_eq!(again.device, first.device);
    assert_eq!(again.until, until, "with a new end");
}

/// A host of two slots leases two, and a released one again; a release may come twice.
pub async fn slots_run_out_and_are_released(fixture: &impl StoreFixture) {
    let one = lease(fixture, 1).await.unwrap();
    let two = lease(fixture, 2).await.unwrap();
    assert_ne!(one.device, two.device);
    assert_eq!(lease(fixture, 3).await, None);
    fixture.store().release(&id(1), &one).await.unwrap();
    fixture.store().release(&id(1), &one).await.unwrap();
    let three = lease(fixture, 3).await.unwrap();
    assert_ne!(three.device, two.device);
}

/// A build that avoids its device name gets another in the same slot.
pub async fn a_device_name_to_avoid_is_not_leased_again(fixture: &impl StoreFixture) {
    let first = lease(fixture, 1).await.unwrap();
    let avoid = std::slice::from_ref(&first.device);
    let other = lease_until(fixture, 1, None, avoid, in_half_an_hour(fixture)).await.unwrap();
    assert_ne!(other.device, first.device);
    // The first name takes no second slot.
    assert!(lease(fixture, 2).await.is_some());
    assert_eq!(lease(fixture, 3).await, None);
}

/// A request for one device name gets that or nothing.
pub async fn a_requested_device_name_is_leased_or_none_is(fixture: &impl StoreFixture) {
    let until = in_half_an_hour(fixture);
    let one = lease_until(fixture, 1, Some("/dev/sdk"), &[], until).await.unwrap();
    assert_eq!(one.device.as_str(), "/dev/sdk");
    assert_eq!(lease_until(fixture, 2, Some("/dev/sdk"), &[], until).await, None);
    assert!(lease_until(fixture, 2, Some("/dev/sdm"), &[], until).await.is_some());
}

/// A lease can be renewed until it is released.
pub async fn a_lease_that_was_lost_is_not_renewed(fixture: &impl StoreFixture) {
    let lease = lease(fixture, 1).await.unwrap();
    let later = lease.until + Millis::minutes(5);
    let renewed = fixture.store().renew(&id(1), &lease, later).await.unwrap();
    assert_eq!(renewed, Lease { until: later, ..lease.clone() });
    fixture.store().release(&id(1), &lease).await.unwrap();
    let fault = fixture.store().renew(&id(1), &lease, later).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound, "{fault}");
}

/// A lease whose time is over gives its slot to the next.
pub async fn a_lease_ends_with_its_time(fixture: &impl StoreFixture) {
    let one = lease(fixture, 1).await.unwrap();
    lease(fixture, 2).await.unwrap();
    fixture.advance(Millis::seconds(100)).await;
    let two = lease(fixture, 2).await.unwrap();
    fixture.advance(one.until.since(fixture.now())).await;
    fixture.heartbeat().await;
    let three = lease(fixture, 3).await.expect("the first's slot");
    assert_ne!(three.device, two.device);
    assert_eq!(lease(fixture, 1).await, None);
}

/// With one host for ever that is a permanent fault; where hosts come and go, another may come.
pub async fn a_host_of_another_architecture_leases_no_slot(fixture: &impl StoreFixture) {
    let (build, architecture, until) = (&id(1), Architecture::Arm64, in_half_an_hour(fixture));
    let request = LeaseRequest { build, architecture, device: None, avoid: &[], until };
    match fixture.store().lease(&request).await {
        Ok(lease) => assert_eq!(lease, None),
        Err(fault) => assert_eq!(fault.kind, FaultKind::Permanent),
    }
}
