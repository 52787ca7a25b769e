//! Builds from requests, with nothing going wrong but the usual.

use bakehouse_lambda::metrics::Metric;
use bakehouse_machine::{Phase, build::PhaseName};
use bakehouse_protocol::{BuildId, BuildTarget, InboxMessage, Millis, Request};

use crate::world::{START, World};

#[test]
fn a_request_becomes_an_image() {
    let world = World::new(1);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    world.work(2);
    world.check();
    let build = world.build(&id);
    assert_eq!(build.phase, Phase::Succeeded);
    assert_eq!((build.recipe.as_str(), build.bundle), ("web.json", Some(bundle)));
    // The variable of the request won, and `timestamp` is the time of the message.
    assert_eq!(build.spec.image.name, format!("web-1-{}", START.0 / 1000));
    assert_eq!(world.measured(Metric::BuildsSucceeded), 1.0);
    assert_eq!(world.measured(Metric::BuildsFailed), 0.0);
    assert!((30.0..60.0).contains(&world.measured(Metric::PhaseSeconds(PhaseName::Provisioning))));
    assert!(world.state().dead.is_empty());
    // Those who watch are told of every phase, once, in order.
    let mut told = world.state().told[&id].clone();
    // The log sorts by time.
    told.sort_by_key(|(at, _)| *at);
    let phases: Vec<String> = told
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
        told[0].1.contains(r#""at":"2026-11-22T21:22:0"#) && told[0].1.contains(r#""event":"phase""#),
        "{}",
        told[0].1
    );
    // Nothing is asked for twice where nothing goes wrong.
    let state = world.state();
    for action in ["CreateVolume", "AttachVolume", "CreateSnapshot", "RegisterImage", "DetachVolume"] {
        assert_eq!(state.calls[action], 1, "{action}: {:?}", state.calls);
    }
}

#[test]
fn a_request_without_an_id_that_comes_twice_is_one_build() {
    let world = World::new(2);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    world.state().twice = true;
    world.send(InboxMessage::Request(Request {
        build: None,
        target: BuildTarget::Bundle(bundle),
        vars: Default::default(),
        scheduled: None,
    }));
    world.work(2);
    world.check();
    assert_eq!(world.state().records.len(), 1);
    assert_eq!(world.measured(Metric::BuildsSucceeded), 1.0);
}

#[test]
fn a_template_with_two_builders_makes_two_builds() {
    let world = World::new(3);
    world.add_host(1);
    let base = &world.base;
    let bundle = world.bundle(&format!(
        r#"{{"builders": [
            {{"name": "a", "type": "amazon-chroot", "source_ami": "{base}", "ami_name": "img-a"}},
            {{"name": "b", "type": "amazon-chroot", "source_ami": "{base}", "ami_name": "img-b"}}]}}"#
    ));
    let id = BuildId::from_parts(1, 1);
    let target = BuildTarget::Bundle(bundle);
    world.send(InboxMessage::Request(Request {
        build: Some(id.clone()),
        target,
        vars: Default::default(),
        scheduled: None,
    }));
    world.work(2);
    world.check();
    let second = BuildId::new(format!("{id}-2")).expect("an id");
    for (id, name) in [(id, "img-a"), (second, "img-b")] {
        let build = world.build(&id);
        assert_eq!((build.phase, build.spec.image.name.as_str()), (Phase::Succeeded, name));
    }
}

#[test]
fn more_builds_than_slots_wait_for_their_turn() {
    let world = World::new(4);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let ids: Vec<BuildId> = (1..=9).map(|n| world.request(n, &bundle)).collect();
    world.work(3);
    world.check();
    assert!(ids.iter().all(|id| world.phase(id) == Phase::Succeeded));
    assert!(world.measured(Metric::BuildsQueued) > 0.0);
    assert_eq!(world.measured(Metric::BuildsSucceeded), 9.0);
}

#[test]
fn a_cancel_ends_a_build_even_if_it_overtakes_the_request() {
    let world = World::new(5);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let early = BuildId::from_parts(START.0 / 1000, 1);
    world.send(InboxMessage::Cancel { build: early.clone() });
    let mut late = None;
    world.work_with(2, async {
        world.time.sleep(Millis::seconds(1)).await;
        world.request(1, &bundle);
        late = Some(world.request(2, &bundle));
        world.time.sleep(Millis::seconds(40)).await;
        world.send(InboxMessage::Cancel { build: late.clone().expect("an id") });
    });
    world.check();
    assert_eq!(world.phase(&early), Phase::Cancelled);
    assert_eq!(world.phase(&late.expect("an id")), Phase::Cancelled);
    assert_eq!(world.measured(Metric::BuildsCancelled), 2.0);
    assert!(world.state().dead.is_empty());
}

#[test]
fn a_message_on_a_build_that_does_not_exist_is_dropped() {
    let world = World::new(6);
    world.send(InboxMessage::Tick { build: BuildId::from_parts(1, 1) });
    world.work(1);
    assert!(world.state().dead.is_empty());
    assert!(world.state().records.is_empty());
}
