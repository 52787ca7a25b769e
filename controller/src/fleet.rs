//! Hosts on demand: an instance that is started for a build and stopped when it idles. Pure: what to start and what to
//! stop; who asks EC2 writes down first what it is about to do ([`Power`]), so that no build is given to a host that is
//! going down, and what a death has cut off is done by the next look.
//!
//! ```text
//!     On -> Stopping -> Stopped -> Starting -> On
//! ```
//! A host comes up by its own word (its agent's report), not by EC2's, which knows nothing of agents.

use bakehouse_protocol::{InstanceId, Millis, Timestamp, spec::Architecture};

use crate::{power::Power, stack::HostRecord};

/// After how long without an effect EC2 is asked again: a stop takes about as long.
const AGAIN: Millis = Millis::seconds(60);
/// How long a host may take from its start to its agent's first word before it counts as one that does not come.
const COMES: Millis = Millis::minutes(10);

/// Whom to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// This host, whose record is to say so first.
    Host(&'a HostRecord),
    /// This instance, of which nothing is known: it has not reported yet, or not for long.
    Unknown(&'a InstanceId),
}

/// Which host to start for a build of this architecture that waits for a slot. `None`: one is on its way, or none would
/// help.
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
        return (since + AGAIN <= now).then_some(Start::Host(host));
    }
    if let Some(host) = fitting.find(|host| matches!(host.power, Power::Stopped(_))) {
        return Some(Start::Host(host));
    }
    on_demand.iter().find(|instance| record(instance).is_none()).map(Start::Unknown)
}

/// The hosts to stop: those that have had nothing to do for `idle`, those that never came, and those that were asked to
/// stop and have not.
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
        Power::Starting(since) => since + COMES.max(idle) <= now,
        Power::Stopping(since) => since + AGAIN <= now,
        Power::Stopped(_) => false,
    })
}

/// Whether a build could be given to the host if somebody started it.
pub fn could_start(host: &HostRecord, on_demand: &[InstanceId], now: Timestamp) -> bool {
    on_demand.contains(&host.report.instance)
        && !host.drained
        && match host.power {
            Power::On => false,
            Power::Stopping(_) | Power::Stopped(_) => true,
            Power::Starting(since) => now < since + COMES,
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
    fn one_that_has_stopped_is_started_and_only_one_at_a_time() {
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
    fn one_that_idles_is_stopped_and_none_that_has_something_to_do() {
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
    fn what_was_asked_in_vain_is_asked_again() {
        let stopped = |power| to_stop(&[host(1, power)], &[instance(1)], IDLE, NOW).count() == 1;
        assert!(!stopped(Power::Stopping(before(59))));
        assert!(stopped(Power::Stopping(before(60))));
        assert!(!stopped(Power::Starting(before(899))));
        assert!(stopped(Power::Starting(before(900))), "it never came");
        assert!(!stopped(Power::Stopped(before(9000))));
    }

    #[test]
    fn a_host_comes_up_by_its_own_word() {
        assert!(Power::Starting(before(10)).ended_by(NOW));
        assert!(!Power::Starting(before(10)).ended_by(before(11)), "a word from before it stopped");
        assert!(Power::Stopped(before(10)).ended_by(NOW), "started by somebody else");
        assert!(!Power::Stopping(before(10)).ended_by(NOW), "its last words");
    }
}
