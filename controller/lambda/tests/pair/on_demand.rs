//! A host on demand: started for a build, stopped when it idles.

use pollster::FutureExt as _;
use std::sync::Arc;

use bakehouse_controller::power::Power;
use bakehouse_lambda::metrics::Metric;
use bakehouse_localcloud::{Ec2 as _, EmbeddedCloud as _, request::DescribeInstances, resource::InstanceState};
use bakehouse_machine::{Phase, build::PhaseName};
use bakehouse_protocol::{BuildId, InstanceId, Millis, OnDemand};
use serde_json::json;

use crate::world::{World, host, region};

const IDLE: u64 = 300;

/// A stack whose only host is on demand and runs, as after its deployment.
fn world(seed: u64) -> Arc<World> {
    let instances = vec![InstanceId::new(host(1).as_str()).expect("an instance")];
    let world = World::with(seed, OnDemand { instances, idle_seconds: IDLE });
    world.add_host(1);
    world
}

fn power(world: &World) -> Option<Power> {
    world.state().hosts.get(&host(1)).map(|host| host.power)
}

fn state(world: &World) -> InstanceState {
    let all = world.cloud.describe_instances(&region(), DescribeInstances::default()).expect("instances");
    all[0].state
}

async fn sleeps(world: &World) {
    while !matches!(power(world), Some(Power::Stopped(_))) {
        world.time.sleep(Millis::seconds(1)).await;
    }
    assert_eq!(state(world), InstanceState::Stopped);
}

async fn ended(world: &World, id: &BuildId) {
    while !world.state().records.contains_key(id) || !world.phase(id).has_ended() {
        world.time.sleep(Millis::seconds(1)).await;
    }
}

#[test]
fn it_is_started_for_a_build_and_stopped_when_it_idles() {
    for seed in 0..5 {
        let world = world(seed);
        let bundle = world.bundle(&world.template());
        world.work_with(2, async {
            let begun = world.time.now();
            sleeps(&world).await;
            let slept = world.time.now().since(begun);
            assert!(slept > Millis::seconds(IDLE) && slept < Millis::seconds(IDLE + 240), "{slept}");
            // Longer than a host that is silent is remembered.
            world.time.sleep(Millis::minutes(90)).await;
            for n in 1..=2 {
                let id = world.request(n, &bundle);
                ended(&world, &id).await;
                let build = world.build(&id);
                assert_eq!((&build.phase, build.attempt), (&Phase::Succeeded, 1), "{:?}", build.history);
                let at = |phase| build.history.iter().find(|(name, _)| *name == phase).expect("a phase").1;
                let waited = at(PhaseName::Creating).since(at(PhaseName::Queued));
                // The first waits for the start, the boot and a word; the second for nothing.
                let most = if n == 1 { 15 + 20 + 20 + 10 } else { 2 };
                assert!(waited <= Millis::seconds(most), "seed {seed}, build {n}: {waited}");
            }
            sleeps(&world).await;
        });
        world.check();
        assert!(world.state().dead.is_empty(), "{:?}", world.state().dead);
        let calls = world.state().calls.clone();
        assert_eq!(calls["StartInstances"], 1, "{calls:?}");
        assert!(calls["StopInstances"] <= 6, "{calls:?}");
    }
}

#[test]
fn a_host_that_sleeps_counts_as_one_that_takes_builds() {
    let world = world(1);
    world.work_with(1, async {
        sleeps(&world).await;
        world.state().measured.clear();
        world.time.sleep(Millis::minutes(10)).await;
        assert!(world.measured(Metric::HostsReady) >= 9.0, "{}", world.measured(Metric::HostsReady));
    });
}

#[test]
fn the_function_may_die_after_any_call_of_starting_and_stopping() {
    let run = |kill: Option<usize>| {
        let world = world(3);
        let bundle = world.bundle(&world.template());
        let mut first = 0;
        world.work_with(1, async {
            sleeps(&world).await;
            first = world.state().operations;
            world.state().kill = kill.map(|n| first + n);
            let id = world.request(1, &bundle);
            ended(&world, &id).await;
            assert_eq!((world.phase(&id), world.build(&id).attempt), (Phase::Succeeded, 1), "{kill:?}");
            sleeps(&world).await;
        });
        world.check();
        assert!(world.state().dead.is_empty(), "{kill:?}: {:?}", world.state().dead);
        let operations = world.state().operations;
        operations - first
    };
    let operations = run(None);
    assert!(operations > 100, "{operations}");
    for n in (0..operations).step_by(3) {
        run(Some(n));
    }
}

#[test]
fn a_build_whose_host_is_stopped_by_somebody_else_begins_anew_on_it() {
    let world = world(4);
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    world.work_with(2, async {
        while !world.state().records.contains_key(&id) || world.phase(&id) != Phase::Provisioning {
            world.time.sleep(Millis::seconds(1)).await;
        }
        let instance = world.on_demand.instances[0].clone();
        world.cloud.stop_instances(&region(), &instance).block_on().expect("it runs");
        ended(&world, &id).await;
    });
    world.check();
    let build = world.build(&id);
    assert_eq!((build.phase, build.attempt), (Phase::Succeeded, 2));
    assert!(!world.state().hosts[&host(1)].drained);
}

#[test]
fn old_news_of_its_stop_takes_no_build_from_a_host_that_is_up_again() {
    let world = world(5);
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    world.work_with(1, async {
        let instance = world.on_demand.instances[0].clone();
        let before = world.time.now();
        while !world.state().records.contains_key(&id) || world.phase(&id) != Phase::Provisioning {
            world.time.sleep(Millis::seconds(1)).await;
        }
        let time = jiff::Timestamp::from_millisecond(i64::try_from(before.0).expect("a time") - 120_000);
        for state in ["stopping", "stopped"] {
            let body = json!({
                "detail-type": "EC2 Instance State-change Notification",
                "time": time.as_ref().expect("a time").to_string(),
                "detail": { "instance-id": instance, "state": state },
            });
            world.send_text(body.to_string());
        }
        ended(&world, &id).await;
    });
    world.check();
    assert_eq!((world.phase(&id), world.build(&id).attempt), (Phase::Succeeded, 1));
}

#[test]
fn one_that_may_not_be_stopped_goes_on_taking_builds() {
    let world = world(6);
    world.state().denied.insert("StopInstances".into());
    let bundle = world.bundle(&world.template());
    world.work_with(1, async {
        world.time.sleep(Millis::seconds(2 * IDLE + 200)).await;
        let tries = world.state().calls.get("StopInstances").copied();
        assert_eq!(tries, Some(2), "once in a while, should the permission be given");
        let id = world.request(1, &bundle);
        ended(&world, &id).await;
        assert_eq!(world.phase(&id), Phase::Succeeded);
    });
    world.check();
}
