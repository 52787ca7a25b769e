//! A host on demand: started for a build, stopped when it idles.

use pollster::FutureExt as _;
use std::sync::Arc;

use bakehouse_controller::power::Power;
use bakehouse_lambda::metrics::Metric;
use bakehouse_localcloud::{Ec2 as _, request::DescribeInstances, resource::InstanceState};
use bakehouse_machine::{Phase, build::PhaseName};
use bakehouse_protocol::{BuildId, InstanceId, Millis, OnDemand};
use serde_json::json;

use crate::simulation::{Simulation, host, region};

const IDLE: u64 = 300;

/// A stack whose only host is on demand and runs, as after its deployment.
fn simulation(seed: u64) -> Arc<Simulation> {
    let instances = vec![InstanceId::new(host(1).as_str()).expect("an instance")];
    let simulation = Simulation::with(seed, OnDemand { instances, idle_seconds: IDLE });
    simulation.add_host(1);
    simulation
}

fn power(simulation: &Simulation) -> Option<Power> {
    simulation.state().hosts.get(&host(1)).map(|host| host.power)
}

fn state(simulation: &Simulation) -> InstanceState {
    let all =
        simulation.cloud.describe_instances(&region(), DescribeInstances::default()).block_on().expect("instances");
    all[0].state
}

async fn sleeps(simulation: &Simulation) {
    while !matches!(power(simulation), Some(Power::Stopped(_))) {
        simulation.time.sleep(Millis::seconds(1)).await;
    }
    assert_eq!(state(simulation), InstanceState::Stopped);
}

async fn ended(simulation: &Simulation, id: &BuildId) {
    while !simulation.state().records.contains_key(id) || !simulation.phase(id).has_ended() {
        simulation.time.sleep(Millis::seconds(1)).await;
    }
}

#[test]
fn a_host_is_started_for_a_build_and_stopped_when_idle() {
    for seed in 0..5 {
        let simulation = simulation(seed);
        let bundle = simulation.bundle(&simulation.template());
        simulation.work_with(2, async {
            let begun = simulation.time.now();
            sleeps(&simulation).await;
            let slept = simulation.time.now().since(begun);
            assert!(slept > Millis::seconds(IDLE) && slept < Millis::seconds(IDLE + 240), "{slept}");
            // Longer than a host that is silent is remembered.
            simulation.time.sleep(Millis::minutes(90)).await;
            for n in 1..=2 {
                let id = simulation.request(n, &bundle);
                ended(&simulation, &id).await;
                let build = simulation.build(&id);
                assert_eq!((&build.phase, build.attempt), (&Phase::Succeeded, 1), "{:?}", build.history);
                let at = |phase| build.history.iter().find(|(name, _)| *name == phase).expect("a phase").1;
                let waited = at(PhaseName::Creating).since(at(PhaseName::Queued));
                // The first waits for the start, the boot and a word; the second for nothing.
                let most = if n == 1 { 15 + 20 + 20 + 10 } else { 2 };
                assert!(waited <= Millis::seconds(most), "seed {seed}, build {n}: {waited}");
            }
            sleeps(&simulation).await;
        });
        simulation.check();
        assert!(simulation.state().dead.is_empty(), "{:?}", simulation.state().dead);
        let calls = simulation.state().calls.clone();
        assert_eq!(calls["StartInstances"], 1, "{calls:?}");
        assert!(calls["StopInstances"] <= 6, "{calls:?}");
    }
}

#[test]
fn a_stopped_host_counts_as_ready() {
    let simulation = simulation(1);
    simulation.work_with(1, async {
        sleeps(&simulation).await;
        simulation.state().measured.clear();
        simulation.time.sleep(Millis::minutes(10)).await;
        assert!(simulation.measured(Metric::HostsReady) >= 9.0, "{}", simulation.measured(Metric::HostsReady));
    });
}

#[test]
fn the_function_may_die_after_any_call_of_starting_and_stopping() {
    let run = |kill: Option<usize>| {
        let simulation = simulation(3);
        let bundle = simulation.bundle(&simulation.template());
        let mut first = 0;
        simulation.work_with(1, async {
            sleeps(&simulation).await;
            first = simulation.state().operations;
            simulation.state().kill = kill.map(|n| first + n);
            let id = simulation.request(1, &bundle);
            ended(&simulation, &id).await;
            assert_eq!((simulation.phase(&id), simulation.build(&id).attempt), (Phase::Succeeded, 1), "{kill:?}");
            sleeps(&simulation).await;
        });
        simulation.check();
        assert!(simulation.state().dead.is_empty(), "{kill:?}: {:?}", simulation.state().dead);
        let operations = simulation.state().operations;
        operations - first
    };
    let operations = run(None);
    assert!(operations > 100, "{operations}");
    for n in (0..operations).step_by(3) {
        run(Some(n));
    }
}

#[test]
fn a_build_restarts_on_its_host_after_it_was_stopped() {
    let simulation = simulation(4);
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    simulation.work_with(2, async {
        while !simulation.state().records.contains_key(&id) || simulation.phase(&id) != Phase::Provisioning {
            simulation.time.sleep(Millis::seconds(1)).await;
        }
        let instance = simulation.on_demand.instances[0].clone();
        simulation.cloud.stop_instances(&region(), &instance).block_on().expect("it runs");
        ended(&simulation, &id).await;
    });
    simulation.check();
    let build = simulation.build(&id);
    assert_eq!((build.phase, build.attempt), (Phase::Succeeded, 2));
    assert!(!simulation.state().hosts[&host(1)].drained);
}

#[test]
fn an_old_stop_notification_leaves_a_running_host_alone() {
    let simulation = simulation(5);
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    simulation.work_with(1, async {
        let instance = simulation.on_demand.instances[0].clone();
        let before = simulation.time.now();
        while !simulation.state().records.contains_key(&id) || simulation.phase(&id) != Phase::Provisioning {
            simulation.time.sleep(Millis::seconds(1)).await;
        }
        let time = jiff::Timestamp::from_millisecond(i64::try_from(before.0).expect("a time") - 120_000);
        for state in ["stopping", "stopped"] {
            let body = json!({
                "detail-type": "EC2 Instance State-change Notification",
                "time": time.as_ref().expect("a time").to_string(),
                "detail": { "instance-id": instance, "state": state },
            });
            simulation.send_text(body.to_string());
        }
        ended(&simulation, &id).await;
    });
    simulation.check();
    assert_eq!((simulation.phase(&id), simulation.build(&id).attempt), (Phase::Succeeded, 1));
}

#[test]
fn a_host_that_cannot_be_stopped_still_takes_builds() {
    let simulation = simulation(6);
    simulation.state().denied.insert("StopInstances".into());
    let bundle = simulation.bundle(&simulation.template());
    simulation.work_with(1, async {
        simulation.time.sleep(Millis::seconds(2 * IDLE + 200)).await;
        let tries = simulation.state().calls.get("StopInstances").copied();
        assert_eq!(tries, Some(2), "once in a while, should the permission be given");
        let id = simulation.request(1, &bundle);
        ended(&simulation, &id).await;
        assert_eq!(simulation.phase(&id), Phase::Succeeded);
    });
    simulation.check();
}
