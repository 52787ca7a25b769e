//! Hosts on demand: instances that are started for a build and stopped when idle. Pure: decides which to start and to
//! stop. The caller saves the new [`Power`] before it calls EC2, so that no build is assigned to a host that is about
//! to stop, and repeats calls that had no effect.
//!
//! ```text
//!     On -> Stopping -> Stopped -> Starting -> On
//! ```
//! A host counts as up when its agent reports, not when EC2 says that the instance runs.

use bakehouse_protocol::{InstanceId, Millis, Timestamp, spec::Architecture};

use crate::{power::Power, stack::HostRecord};

/// After how long without an effect a call to EC2 is repeated: a stop takes about as long.
const RETRY_AFTER: Millis = Millis::seconds(60);
/// How long a host may take from its start to its agent's first report.
const START_TIMEOUT: Millis = Millis::minutes(10);

/// An instance to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A known host, whose record must be saved first.
    Host(&'a HostRecord),
    /// An instance without a record: it has never reported, or not for long.
    Unknown(&'a InstanceId),
}

/// Returns the host to start for a queued build of this architecture. `None`: one is starting, or none would help.
pub fn to_start<'a>(
    hosts: &'a [HostRecord],
    on_demand: &'a [InstanceId],
    architecture: Architecture,
    now: Timestamp,
) -> Option<Start<'a>> {
    let record = |instance: &InstanceId| hosts.iter().find(|host| &host.report.instance == instance);
    let known = on_demand.iter().filter_map(record);
    let mut fitting = known.filter(|host| host.report.architecture == architecture && !host.drained);
    let starting = |host: &'a HostRecord| match host.power {
        Power::Starting(since) => Some((host, since)),
        _ => None,
    };
    if let Some((host, since)) = fitting.clone().find_map(starting) {
        return (since + RETRY_AFTER <= now).then_some(Start::Host(host));
    }
    if let Some(host) = fitting.find(|host| matches!(host.power, Power::Stopped(_))) {
        return Some(Start::Host(host));
    }
    on_demand.iter().find(|instance| record(instance).is_none()).map(Start::Unknown)
}

/// Returns the hosts to stop: those that have been idle for `idle`, those that did not come up in time, and those whose
/// stop had no effect.
pub fn to_stop<'a>(
    hosts: &'a [HostRecord],
    on_demand: &'a [InstanceId],
    idle: Millis,
    now: Timestamp,
) -> impl Iterator<Item = &'a HostRecord> {
    let on_demand = hosts.iter().filter(|host| on_demand.contains(&host.report.instance));
    on_demand.filter(move |host| match host.power {
        Power::On => {
            let is_free = host.leases.held(now).next().is_none() && host.report.running.is_empty();
            is_free && host.busy + idle <= now
        }
        Power::Starting(since) => since + START_TIMEOUT.max(idle) <= now,
        Power::Stopping(since) => since + RETRY_AFTER <= now,
        Power::Stopped(_) => false,
    })
}

/// Whether a build could be assigned to the host if it were started.
pub fn could_start(host: &HostRecord, on_demand: &[InstanceId], now: Timestamp) -> bool {
    on_demand.contains(&host.report.instance)
        && !host.drained
        && match host.power {
            Power::On => false,
            Power::Stopping(_) | Power::Stopped(_) => true,
            Power::Starting(since) => now < since + START_TIMEOUT,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{leasing::Leases, ports::LeaseRequest};
    use bakehouse_protocol::{BuildId, HostId, HostReport, Region, Zone};

    const NOW: Timestamp = Timestamp(10_000_000);
    const IDLE: Millis = Millis::minutes(15);

    fn instance(n: u32) -> InstanceId {
        InstanceId::new(format!("i-{n:017x}")).unwrap()
    }

    fn host(n: u32, power: Power) -> HostRecord {
        let report = HostReport {
            host: HostId::new(instance(n).as_str()).unwrap(),
            instance: instance(n),
            region: Region::new("us-east-1").unwrap(),
            zone: Zone::new("us-east-1a").unwrap(),
            architecture: Architecture::X86_64,
            kernel: "6.12".into(),
            agent: "0.1.0".into(),
            slots: 1,
            attach_limit: None,
            running: vec![],
            draining: false,
            listening: true,
            at: NOW,
        };
        HostRecord {
            report,
            seen: NOW,
            drained: false,
            leases: Leases::default(),
            power,
            busy: Timestamp(NOW.0 - IDLE.0 + 1),
            version: 1,
        }
    }

    fn started(hosts: &[HostRecord], on_demand: &[u32], architecture: Architecture) -> Option<String> {
        let on_demand: Vec<_> = on_demand.iter().map(|n| instance(*n)).collect();
        to_start(hosts, &on_demand, architecture, NOW).map(|start| match start {
            Start::Host(host) => host.report.host.to_string(),
            Start::Unknown(instance) => format!("unknown {instance}"),
        })
    }

    fn before(seconds: u64) -> Timestamp {
        Timestamp(NOW.0 - seconds * 1000)
    }

    #[test]
    fn only_one_stopped_host_is_started_at_a_time() {
        let x86 = Architecture::X86_64;
        let stopped = || host(1, Power::Stopped(before(100)));
        assert_eq!(started(&[stopped()], &[1], x86), Some(instance(1).to_string()));
        assert_eq!(started(&[stopped()], &[], x86), None, "not on demand");
        assert_eq!(started(&[stopped()], &[1], Architecture::Arm64), None, "it would not help");
        assert_eq!(started(&[HostRecord { drained: true, ..stopped() }], &[1], x86), None);
        assert_eq!(started(&[host(1, Power::On)], &[1], x86), None, "it is up");
        assert_eq!(started(&[host(1, Power::Stopping(before(5)))], &[1], x86), None, "not before it has stopped");
        let coming = || host(2, Power::Starting(before(59)));
        assert_eq!(started(&[stopped(), coming()], &[1, 2], x86), None, "another is on its way");
        let late = || host(2, Power::Starting(before(60)));
        assert_eq!(started(&[stopped(), late()], &[1, 2], x86), Some(instance(2).to_string()), "asked again");
        assert_eq!(started(&[], &[3], x86), Some(format!("unknown {}", instance(3))));
    }

    #[test]
    fn only_idle_hosts_are_stopped() {
        let stopped = |host: HostRecord, at: Timestamp| to_stop(&[host], &[instance(1)], IDLE, at).count() == 1;
        let idle = || host(1, Power::On);
        assert!(!stopped(idle(), NOW));
        let later = NOW + Millis(1);
        assert!(stopped(idle(), later));
        let build = BuildId::from_parts(1, 1);
        let mut busy = idle();
        busy.report.running = vec![build.clone()];
        assert!(!stopped(busy, later));
        let mut leased = idle();
        let (architecture, until) = (Architecture::X86_64, later + IDLE);
        let request = LeaseRequest { build: &build, architecture, device: None, avoid: &[], until };
        leased.leases.lease(&leased.host(), &request, NOW, |_| false).unwrap().unwrap();
        assert!(!stopped(leased, later));
        assert_eq!(to_stop(&[idle()], &[], IDLE, later).count(), 0, "not on demand");
    }

    #[test]
    fn calls_without_effect_are_repeated() {
        let stopped = |power| to_stop(&[host(1, power)], &[instance(1)], IDLE, NOW).count() == 1;
        assert!(!stopped(Power::Stopping(before(59))));
        assert!(stopped(Power::Stopping(before(60))));
        assert!(!stopped(Power::Starting(before(899))));
        assert!(stopped(Power::Starting(before(900))), "it never came");
        assert!(!stopped(Power::Stopped(before(9000))));
    }

    #[test]
    fn a_report_ends_starting_and_stopped() {
        assert!(Power::Starting(before(10)).is_ended_by_report(NOW));
        assert!(!Power::Starting(before(10)).is_ended_by_report(before(11)), "a word from before it stopped");
        assert!(Power::Stopped(before(10)).is_ended_by_report(NOW), "started by somebody else");
        assert!(!Power::Stopping(before(10)).is_ended_by_report(NOW), "its last words");
    }
}
