//! A host on demand, with the real function and the real agent.

use bakehouse_localcloud::{Delays, Ec2 as _, request::DescribeInstances, resource::InstanceState};
use bakehouse_protocol::Millis;
use bakehouse_tests::{roles, template::Template};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use crate::{
    fixture::Fixture,
    names::{CONTROLLER_KEY, region},
    options::Options,
    rights::called,
    triggers::LONG,
};

fn state(fixture: &Fixture) -> InstanceState {
    pollster::block_on(fixture.cloud.describe_instances(&region(), DescribeInstances::default())).unwrap()[0].state
}

fn shown(fixture: &Fixture) -> String {
    fixture.bakehouse(&["hosts", "--json"]).json()[0]["state"].as_str().unwrap_or_default().to_owned()
}

/// Ends the agent, as systemd does when its instance is stopped.
fn shut_down(fixture: &mut Fixture, host: usize) {
    let agent = &mut fixture.hosts[host].agent;
    kill(Pid::from_raw(i32::try_from(agent.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(agent.wait().unwrap().success());
}

#[test]
fn root_pair_a_host_on_demand_is_started_and_stopped_when_idle() {
    let test = "root_pair_a_host_on_demand_is_started_and_stopped_when_idle";
    let delays = Delays { start_instance: Millis(500), stop_instance: Millis(2000), ..Delays::default() };
    let Some(mut fixture) = Fixture::start(test, Options { delays, on_demand: Some(1), ..Options::default() }) else {
        return;
    };
    // It runs at first, as after the stack's deployment.
    let host = fixture.start_host();
    fixture.until("it stops", |fixture| state(fixture) == InstanceState::Stopping);
    shut_down(&mut fixture, host);
    fixture.until("the stack knows that it has stopped", |fixture| shown(fixture) == "stopped");
    assert_eq!(state(&fixture), InstanceState::Stopped);

    let steps = json!([{ "type": "shell", "inline": ["echo begun", "sleep 2"] }]);
    let template = fixture.template("web.json", json!({}), steps);
    let run = fixture.bakehouse(&["submit", &template]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    fixture.until("it is started", |fixture| state(fixture) == InstanceState::Running);
    fixture.restart_agent(host);
    let build = fixture.ended(run.stdout.trim(), LONG);
    assert_eq!((&build["phase"], &build["attempt"]), (&json!("succeeded"), &json!(1)), "{}", fixture.logs());

    fixture.until("it stops again", |fixture| state(fixture) != InstanceState::Running);
    shut_down(&mut fixture, host);
    fixture.until("the stack knows it again", |fixture| shown(fixture) == "stopped");
    let starts = fixture.ec2.calls().into_iter().filter(|call| call.action == "StartInstances" && call.code.is_none());
    assert_eq!(starts.count(), 1, "{}", fixture.logs());

    // The controller's role allows this only in a stack with such a host.
    let allowed = roles::policy(&Template::read().unwrap().with("HostOnDemand", "true"), roles::CONTROLLER).actions();
    let switching = ["ec2:StartInstances", "ec2:StopInstances"];
    let called = called(&fixture, CONTROLLER_KEY);
    assert!(switching.iter().all(|action| allowed.contains(*action) && called.contains(*action)), "{called:?}");
    fixture.nothing_left(1);
}
