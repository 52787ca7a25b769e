//! Builds from requests, without injected faults.

use bakehouse_lambda::metrics::Metric;
use bakehouse_machine::{Phase, build::PhaseName};
use bakehouse_protocol::{BuildId, BuildTarget, InboxMessage, Millis, Request};

use crate::simulation::{START, Simulation};

#[test]
fn a_request_becomes_an_image() {
    let simulation = Simulation::new(1);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let id = simulation.request(1, &bundle);
    simulation.work(2);
    simulation.check();
    let build = simulation.build(&id);
    assert_eq!(build.phase, Phase::Succeeded);
    assert_eq!((build.recipe.as_str(), build.bundle), ("web.json", Some(bundle)));
    // The variable of the request won, and `timestamp` is the time of the message.
    assert_eq!(build.spec.image.name, format!("web-1-{}", START.0 / 1000));
    assert_eq!(simulation.measured(Metric::BuildsSucceeded), 1.0);
    assert_eq!(simulation.measured(Metric::BuildsFailed), 0.0);
    assert!((30.0..60.0).contains(&simulation.measured(Metric::PhaseSeconds(PhaseName::Provisioning))));
    assert!(simulation.state().dead.is_empty());
    // Every phase is logged once, in order.
    let mut lines = simulation.state().log_lines[&id].clone();
    // The log sorts by time.
    lines.sort_by_key(|(at, _)| *at);
    let phases: Vec<String> = lines
        .iter()
        .map(|(_, line)| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["phase"].as_str().expect("a phase").into()
        })
        .collect();
    assert_eq!(
        phases.join(" "),
        "resolving queued creating attaching provisioning snapshotting registering copying finishing succeeded"
    );
    assert!(
        lines[0].1.contains(r#""at":"2026-11-22T21:22:0"#) && lines[0].1.contains(r#""event":"phase""#),
        "{}",
        lines[0].1
    );
    // Without faults no call is repeated.
    let state = simulation.state();
    for action in ["CreateVolume", "AttachVolume", "CreateSnapshot", "RegisterImage", "DetachVolume"] {
        assert_eq!(state.calls[action], 1, "{action}: {:?}", state.calls);
    }
}

#[test]
fn a_request_without_an_id_that_comes_twice_is_one_build() {
    let simulation = Simulation::new(2);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    simulation.state().twice = true;
    simulation.send(InboxMessage::Request(Request {
        build: None,
        target: BuildTarget::Bundle(bundle),
        vars: Default::default(),
        scheduled: None,
    }));
    simulation.work(2);
    simulation.check();
    assert_eq!(simulation.state().records.len(), 1);
    assert_eq!(simulation.measured(Metric::BuildsSucceeded), 1.0);
}

#[test]
fn a_template_with_two_builders_makes_two_builds() {
    let simulation = Simulation::new(3);
    simulation.add_host(1);
    let base = &simulation.base;
    let bundle = simulation.bundle(&format!(
        r#"{{"builders": [
            {{"name": "a", "type": "amazon-chroot", "source_ami": "{base}", "ami_name": "img-a"}},
            {{"name": "b", "type": "amazon-chroot", "source_ami": "{base}", "ami_name": "img-b"}}]}}"#
    ));
    let id = BuildId::from_parts(1, 1);
    let target = BuildTarget::Bundle(bundle);
    simulation.send(InboxMessage::Request(Request {
        build: Some(id.clone()),
        target,
        vars: Default::default(),
        scheduled: None,
    }));
    simulation.work(2);
    simulation.check();
    let second = BuildId::new(format!("{id}-2")).expect("an id");
    for (id, name) in [(id, "img-a"), (second, "img-b")] {
        let build = simulation.build(&id);
        assert_eq!((build.phase, build.spec.image.name.as_str()), (Phase::Succeeded, name));
    }
}

#[test]
fn more_builds_than_slots_wait_for_their_turn() {
    let simulation = Simulation::new(4);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let ids: Vec<BuildId> = (1..=9).map(|n| simulation.request(n, &bundle)).collect();
    simulation.work(3);
    simulation.check();
    assert!(ids.iter().all(|id| simulation.phase(id) == Phase::Succeeded));
    assert!(simulation.measured(Metric::BuildsQueued) > 0.0);
    assert_eq!(simulation.measured(Metric::BuildsSucceeded), 9.0);
}

#[test]
fn a_cancel_ends_a_build_even_if_it_overtakes_the_request() {
    let simulation = Simulation::new(5);
    simulation.add_host(1);
    let bundle = simulation.bundle(&simulation.template());
    let early = BuildId::from_parts(START.0 / 1000, 1);
    simulation.send(InboxMessage::Cancel { build: early.clone() });
    let mut late = None;
    simulation.work_with(2, async {
        simulation.time.sleep(Millis::seconds(1)).await;
        simulation.request(1, &bundle);
        late = Some(simulation.request(2, &bundle));
        simulation.time.sleep(Millis::seconds(40)).await;
        simulation.send(InboxMessage::Cancel { build: late.clone().expect("an id") });
    });
    simulation.check();
    assert_eq!(simulation.phase(&early), Phase::Cancelled);
    assert_eq!(simulation.phase(&late.expect("an id")), Phase::Cancelled);
    assert_eq!(simulation.measured(Metric::BuildsCancelled), 2.0);
    assert!(simulation.state().dead.is_empty());
}

#[test]
fn a_message_on_a_build_that_does_not_exist_is_dropped() {
    let simulation = Simulation::new(6);
    simulation.send(InboxMessage::Tick { build: BuildId::from_parts(1, 1) });
    simulation.work(1);
    assert!(simulation.state().dead.is_empty());
    assert!(simulation.state().records.is_empty());
}
