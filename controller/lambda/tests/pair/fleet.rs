//! Hosts that come and go.

use bakehouse_lambda::metrics::Metric;
use bakehouse_localcloud::resource::InstanceState;
use bakehouse_machine::{Phase, build::PhaseName};
use bakehouse_protocol::{
    BuildId, BuildTarget, HostReport, InboxMessage, Millis, Outcome, Proof, Report, ReportBody, Request, Timestamp,
};

use crate::simulation::{Simulation, host};

/// Waits until a build is provisioned; returns its host.
async fn provisioning(simulation: &Simulation, id: &BuildId) -> u32 {
    loop {
        simulation.time.sleep(Millis::seconds(1)).await;
        if !simulation.state().records.contains_key(id) {
            continue;
        }
        let build = simulation.build(id);
        if build.phase == Phase::Provisioning {
            let lease = build.resources.lease.expect("a lease");
            return if lease.host == host(1) { 1 } else { 2 };
        }
    }
}

#[test]
fn builds_of_a_terminated_host_restart_on_another_at_once() {
    for (state, word) in [(InstanceState::Terminated, "terminated"), (InstanceState::Stopped, "stopped")] {
        let simulation = Simulation::new(1);
        simulation.add_host(1);
        simulation.add_host(2);
        let bundle = simulation.bundle(&simulation.template());
        let id = simulation.request(1, &bundle);
        let mut first = 0;
        simulation.work_with(2, async {
            first = provisioning(&simulation, &id).await;
            let since = simulation.time.now();
            simulation.stop_instance(first, state, word);
            while simulation.build(&id).attempt == 1 {
                simulation.time.sleep(Millis(100)).await;
            }
            // Long before the host would count as silent.
            assert!(simulation.time.now().since(since) < Millis::seconds(60), "{}", simulation.time.now().since(since));
        });
        simulation.check();
        let build = simulation.build(&id);
        assert_eq!((build.phase, build.attempt), (Phase::Succeeded, 2));
        assert!(!simulation.state().hosts.contains_key(&host(first)));
        // The queue goes with the instance; one that was stopped may come back.
        assert_eq!(simulation.state().queues.contains(&host(first)), word == "stopped");
    }
}

#[test]
fn builds_of_a_silent_host_restart_and_it_is_forgotten() {
    let simulation = Simulation::new(2);
    simulation.add_host(1);
    simulation.add_host(2);
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    let mut first = 0;
    simulation.work_with(2, async {
        first = provisioning(&simulation, &id).await;
        simulation.state().up.remove(&host(first));
        simulation.time.sleep(Millis::minutes(5)).await;
        assert_eq!(simulation.build(&id).attempt, 2);
        simulation.time.sleep(Millis::minutes(60)).await;
    });
    simulation.check();
    assert_eq!(simulation.phase(&id), Phase::Succeeded);
    let state = simulation.state();
    assert_eq!(state.hosts.keys().collect::<Vec<_>>(), [&host(3 - first)]);
    assert_eq!(state.queues.iter().collect::<Vec<_>>(), [&host(3 - first)]);
}

#[test]
fn a_host_that_comes_back_gets_its_queue_again() {
    let simulation = Simulation::new(3);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let mut id = None;
    simulation.work_with(1, async {
        simulation.time.sleep(Millis::minutes(1)).await;
        simulation.state().up.clear();
        simulation.time.sleep(Millis::minutes(70)).await;
        assert!(simulation.state().queues.is_empty());
        simulation.state().up.insert(host(1));
        simulation.time.sleep(Millis::minutes(1)).await;
        id = Some(simulation.request(1, &bundle));
    });
    simulation.check();
    assert_eq!(simulation.phase(&id.expect("an id")), Phase::Succeeded);
}

#[test]
fn a_drained_host_gets_no_builds_until_it_is_undrained() {
    let simulation = Simulation::new(4);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let mut ids = vec![];
    simulation.work_with(1, async {
        ids.push(simulation.request(1, &bundle));
        provisioning(&simulation, &ids[0]).await;
        simulation.send(InboxMessage::Drain { host: host(1), draining: true });
        simulation.time.sleep(Millis::seconds(5)).await;
        ids.push(simulation.request(2, &bundle));
        simulation.time.sleep(Millis::minutes(10)).await;
        assert_eq!(simulation.phase(&ids[0]), Phase::Succeeded);
        assert_eq!(simulation.phase(&ids[1]).name(), PhaseName::Queued);
        simulation.send(InboxMessage::Drain { host: host(1), draining: false });
    });
    simulation.check();
    assert_eq!(simulation.phase(&ids[1]), Phase::Succeeded);
    assert!(simulation.measured(Metric::BuildsQueued) > 5.0);
}

#[test]
fn a_spot_host_with_an_interruption_notice_finishes_its_builds() {
    let simulation = Simulation::new(5);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    simulation.work_with(1, async {
        provisioning(&simulation, &id).await;
        let warning = serde_json::json!({
            "detail-type": "EC2 Spot Instance Interruption Warning",
            "detail": { "instance-id": host(1), "instance-action": "terminate" },
        });
        simulation.send_text(warning.to_string());
        simulation.time.sleep(Millis::seconds(5)).await;
        assert!(simulation.state().hosts[&host(1)].drained);
    });
    simulation.check();
    assert_eq!((simulation.phase(&id), simulation.build(&id).attempt), (Phase::Succeeded, 1));
}

#[test]
fn notifications_of_other_instances_are_ignored() {
    let simulation = Simulation::new(6);
    simulation.add_host(1);
    simulation.add_host(2);
    simulation.state().up.remove(&host(2));
    simulation.work_with(1, async {
        simulation.time.sleep(Millis::seconds(30)).await;
        simulation.stop_instance(2, InstanceState::Terminated, "terminated");
        simulation.time.sleep(Millis::seconds(30)).await;
    });
    assert!(simulation.state().dead.is_empty());
    assert!(simulation.state().hosts.contains_key(&host(1)));
}

#[test]
fn a_host_may_report_only_itself_and_its_builds() {
    let simulation = Simulation::new(7);
    simulation.add_host(1);
    simulation.add_host(2);
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    simulation.work_with(1, async {
        let (holder, other) = match provisioning(&simulation, &id).await {
            1 => (host(1), host(2)),
            _ => (host(2), host(1)),
        };
        // These would end another host's build, drain that host, and register a host of its own.
        let why = "so says another".to_owned();
        let body = ReportBody::Ended(Outcome::Lost { why, proof: None });
        let report = Report { version: 1, build: id.clone(), host: holder.clone(), attempt: 1, at: Timestamp(0), body };
        simulation.send_as(&other, InboxMessage::Report { report });
        simulation.send_as(
            &other,
            InboxMessage::Host { host: HostReport { draining: true, ..simulation.host_report(&holder) } },
        );
        simulation.send_as(&other, InboxMessage::Drain { host: holder.clone(), draining: true });
        simulation.send_as(&other, InboxMessage::Cancel { build: id.clone() });
        let target = BuildTarget::Bundle(bundle.clone());
        simulation.send_as(
            &other,
            InboxMessage::Request(Request { build: None, target, vars: Default::default(), scheduled: None }),
        );
        // A user who may submit builds reports that this build has ended and its volume is unmounted.
        let proof = Proof { device: "/dev/sdf".into(), filesystem: "ext4".into(), killed: vec![] };
        let body = ReportBody::Ended(Outcome::Done(proof));
        let report = Report { version: 1, build: id.clone(), host: holder.clone(), attempt: 1, at: Timestamp(0), body };
        simulation.send_by("AIDAUSER", InboxMessage::Report { report });
        simulation.time.sleep(Millis::seconds(10)).await;
        assert!(!simulation.state().hosts[&holder].drained);
    });
    simulation.check();
    assert_eq!((simulation.phase(&id), simulation.build(&id).attempt), (Phase::Succeeded, 1));
    assert_eq!(simulation.state().records.len(), 1);
    assert_eq!(simulation.measured(Metric::MessagesRefused), 6.0);
    assert!(simulation.state().dead.is_empty());
}

#[test]
fn an_instance_that_is_no_host_may_request_a_build() {
    let simulation = Simulation::new(8);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let target = BuildTarget::Bundle(bundle);
    let request = InboxMessage::Request(Request { build: None, target, vars: Default::default(), scheduled: None });
    simulation.send_by("AROAANOTHERROLE:i-00000000000000009", request);
    simulation.work(1);
    simulation.check();
    assert_eq!(simulation.measured(Metric::BuildsSucceeded), 1.0);
}

#[test]
fn the_volume_is_created_in_the_zone_of_a_host_with_a_free_slot() {
    let simulation = Simulation::new(9);
    simulation.add_host(1);
    simulation.add_host_in(2, "us-east-1b");
    let bundle = simulation.bundle(&simulation.template());
    let ids: Vec<_> = (1..=6).map(|n| simulation.request(n, &bundle)).collect();
    simulation.work(2);
    simulation.check();
    // Four fit on one host: EC2 attaches none across zones, so each was made beside its host.
    assert!(ids.iter().all(|id| simulation.phase(id) == Phase::Succeeded && simulation.build(id).attempt == 1));
    let zones: std::collections::BTreeSet<_> =
        simulation.state().volume_zones.iter().map(ToString::to_string).collect();
    assert_eq!(zones.into_iter().collect::<Vec<_>>(), ["us-east-1a", "us-east-1b"]);
}
