//! A host on demand, with the real function and the real agent.

use bakehouse_localcloud::{Delays, EmbeddedCloud as _, request::DescribeInstances, resource::InstanceState};
use bakehouse_protocol::Millis;
use bakehouse_tests::{roles, template::Template};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use crate::{
    rights::called,
    triggers::LONG,
    world::{CONTROLLER_KEY, Plan, World, region},
};

fn state(world: &World) -> InstanceState {
    world.cloud.describe_instances(&region(), DescribeInstances::default()).unwrap()[0].state
}

fn shown(world: &World) -> String {
    world.bakehouse(&["hosts", "--json"]).json()[0]["state"].as_str().unwrap_or_default().to_owned()
}

/// What systemd does when its instance is stopped.
fn shut_down(world: &mut World, host: usize) {
    let agent = &mut world.hosts[host].agent;
    kill(Pid::from_raw(i32::try_from(agent.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(agent.wait().unwrap().success());
}

#[test]
fn root_pair_a_host_on_demand_is_started_for_a_build_and_stopped_when_it_idles() {
    let test = "root_pair_a_host_on_demand_is_started_for_a_build_and_stopped_when_it_idles";
    let delays = Delays { start_instance: Millis(500), stop_instance: Millis(2000), ..Delays::default() };
    let Some(mut world) = World::start(test, Plan { delays, on_demand: Some(1), ..Plan::default() }) else { return };
    // It runs at first, as after the stack's deployment.
    let host = world.start_host();
    world.until("it is told to stop", |world| state(world) == InstanceState::Stopping);
    shut_down(&mut world, host);
    world.until("the stack knows that it has stopped", |world| shown(world) == "stopped");
    assert_eq!(state(&world), InstanceState::Stopped);

    let steps = json!([{ "type": "shell", "inline": ["echo begun", "sleep 2"] }]);
    let template = world.template("web.json", json!({}), steps);
    let run = world.bakehouse(&["submit", &template]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    world.until("it is started", |world| state(world) == InstanceState::Running);
    world.restart_agent(host);
    let build = world.ended(run.stdout.trim(), LONG);
    assert_eq!((&build["phase"], &build["attempt"]), (&json!("succeeded"), &json!(1)), "{}", world.words());

    world.until("it is told to stop again", |world| state(world) != InstanceState::Running);
    shut_down(&mut world, host);
    world.until("the stack knows it again", |world| shown(world) == "stopped");
    let starts = world.ec2.calls().into_iter().filter(|call| call.action == "StartInstances" && call.code.is_none());
    assert_eq!(starts.count(), 1, "{}", world.words());

    // With such a host the controller's role allows this, and without none.
    let allowed = roles::policy(&Template::read().unwrap().with("HostOnDemand", "true"), roles::CONTROLLER).actions();
    let switching = ["ec2:StartInstances", "ec2:StopInstances"];
    let called = called(&world, CONTROLLER_KEY);
    assert!(switching.iter().all(|action| allowed.contains(*action) && called.contains(*action)), "{called:?}");
    world.nothing_left(1);
}
