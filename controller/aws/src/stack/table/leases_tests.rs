use bakehouse_controller::power::Power;
use bakehouse_protocol::{DeviceName, HostReport, InstanceId, Region, Zone, spec::Architecture};

use super::*;

const NOW: Timestamp = Timestamp(1_000_000);
const SILENCE: Millis = Millis::seconds(120);

fn id(n: u32) -> String {
    format!("i-{n:08x}")
}

fn host(n: u32, slots: u32) -> HostRecord {
    let report = HostReport {
        host: HostId::new(id(n)).unwrap(),
        instance: InstanceId::new(id(n)).unwrap(),
        region: Region::new("us-east-1").unwrap(),
        zone: Zone::new("us-east-1a").unwrap(),
        architecture: Architecture::X86_64,
        kernel: "6.1".to_owned(),
        agent: "0.1".to_owned(),
        slots,
        attach_limit: None,
        running: vec![],
        draining: false,
        listening: true,
        at: NOW,
    };
    let (leases, power) = (Leases::default(), Power::On);
    HostRecord { report, seen: NOW, drained: false, leases, power, busy: NOW, version: u64::from(n) * 10 }
}

fn build(n: u32) -> BuildId {
    BuildId::from_parts(1, n)
}

fn ask(hosts: &[HostRecord], build: &BuildId, avoid: &[DeviceName]) -> Choice {
    let until = NOW + Millis::seconds(60);
    let request = LeaseRequest { build, architecture: Architecture::X86_64, device: None, avoid, until };
    choose(hosts.to_vec(), &request, NOW, SILENCE).unwrap()
}

/// Leases a slot and applies the writes.
fn lease(hosts: &mut [HostRecord], n: u32) -> Option<Lease> {
    let choice = ask(hosts, &build(n), &[]);
    for write in choice.writes {
        let host = hosts.iter_mut().find(|host| host.report.host == write.host).unwrap();
        assert_eq!(host.version, write.version, "each write is on what was read, or on the write before");
        (host.leases, host.version) = (write.leases, write.version + 1);
    }
    choice.lease
}

fn on(lease: Option<Lease>) -> String {
    lease.unwrap().host.to_string()
}

#[test]
fn the_host_with_most_free_slots_is_chosen_first_by_name() {
    let mut hosts = [host(3, 2), host(2, 2), host(1, 1)];
    assert_eq!(on(lease(&mut hosts, 1)), id(2));
    assert_eq!(on(lease(&mut hosts, 2)), id(3));
    assert_eq!(on(lease(&mut hosts, 3)), id(1));
    assert_eq!(on(lease(&mut hosts, 4)), id(2));
    assert_eq!(on(lease(&mut hosts, 5)), id(3));
    assert_eq!(lease(&mut hosts, 6), None);
}

#[test]
fn hosts_that_are_drained_lost_or_of_another_kind_take_nothing() {
    let mut hosts = [host(1, 1), host(2, 1), host(3, 1), host(4, 1)];
    hosts[0].drained = true;
    hosts[1].report.draining = true;
    hosts[2].seen = Timestamp(NOW.0 - SILENCE.0);
    hosts[3].report.architecture = Architecture::Arm64;
    assert_eq!(ask(&hosts, &build(1), &[]), Choice::default());
    assert_eq!(ask(&[], &build(1), &[]), Choice::default());
}

#[test]
fn a_build_keeps_its_host_though_it_is_drained() {
    let mut hosts = [host(1, 1), host(2, 1)];
    let first = lease(&mut hosts, 1);
    hosts[0].drained = true;
    assert_eq!(lease(&mut hosts, 1), first);
}

#[test]
fn a_build_whose_host_is_lost_gets_another_and_gives_up_the_first() {
    let mut hosts = [host(1, 1), host(2, 1)];
    assert_eq!(on(lease(&mut hosts, 1)), id(1));
    hosts[0].seen = Timestamp(NOW.0 - SILENCE.0);
    assert_eq!(on(lease(&mut hosts, 1)), id(2));
    // It comes back: its slot is free.
    hosts[0].seen = NOW;
    assert_eq!(on(lease(&mut hosts, 1)), id(2));
    assert_eq!(on(lease(&mut hosts, 2)), id(1));
}

#[test]
fn a_name_to_avoid_costs_the_name_and_not_the_host() {
    let mut hosts = [host(1, 1), host(2, 4)];
    hosts[1].drained = true;
    let first = lease(&mut hosts, 1).unwrap();
    hosts[1].drained = false;
    let other = ask(&hosts, &build(1), std::slice::from_ref(&first.device)).lease.unwrap();
    assert_eq!(other.host, first.host);
    assert_ne!(other.device, first.device);
}

#[test]
fn a_build_that_holds_two_leases_gives_one_up() {
    let mut hosts = [host(1, 1), host(2, 1)];
    lease(&mut hosts[..1], 1);
    lease(&mut hosts[1..], 1);
    assert_eq!(on(lease(&mut hosts, 1)), id(1));
    assert_eq!(on(lease(&mut hosts, 2)), id(2));
}
