//! Hosts that come and go.

use bakehouse_lambda::metrics::Metric;
use bakehouse_localcloud::resource::InstanceState;
use bakehouse_machine::{Phase, build::PhaseName};
use bakehouse_protocol::{
    BuildId, BuildTarget, HostReport, InboxMessage, Millis, Outcome, Proof, Report, ReportBody, Request, Timestamp,
};

use crate::world::{World, host};

/// Waits until a build is provisioned, and says where.
async fn provisioning(world: &World, id: &BuildId) -> u32 {
    loop {
        world.time.sleep(Millis::seconds(1)).await;
        if !world.state().records.contains_key(id) {
            continue;
        }
        let build = world.build(id);
        if build.phase == Phase::Provisioning {
            let lease = build.resources.lease.expect("a lease");
            return if lease.host == host(1) { 1 } else { 2 };
        }
    }
}

#[test]
fn a_host_that_is_ended_loses_its_builds_at_once_and_they_begin_anew_elsewhere() {
    for (state, word) in [(InstanceState::Terminated, "terminated"), (InstanceState::Stopped, "stopped")] {
        let world = World::new(1);
        world.add_host(1);
        world.add_host(2);
        let bundle = world.bundle(&world.template());
        let id = world.request(1, &bundle);
        let mut first = 0;
        world.work_with(2, async {
            first = provisioning(&world, &id).await;
            let since = world.time.now();
            world.take_down(first, state, word);
            while world.build(&id).attempt == 1 {
                world.time.sleep(Millis(100)).await;
            }
            // Long before silence would have told.
            assert!(world.time.now().since(since) < Millis::seconds(60), "{}", world.time.now().since(since));
        });
        world.check();
        let build = world.build(&id);
        assert_eq!((build.phase, build.attempt), (Phase::Succeeded, 2));
        assert!(!world.state().hosts.contains_key(&host(first)));
        // The queue goes with the instance; one that was stopped may come back.
        assert_eq!(world.state().queues.contains(&host(first)), word == "stopped");
    }
}

#[test]
fn a_host_that_only_falls_silent_loses_them_too_and_is_forgotten_in_the_end() {
    let world = World::new(2);
    world.add_host(1);
    world.add_host(2);
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    let mut first = 0;
    world.work_with(2, async {
        first = provisioning(&world, &id).await;
        world.state().up.remove(&host(first));
        world.time.sleep(Millis::minutes(5)).await;
        assert_eq!(world.build(&id).attempt, 2);
        world.time.sleep(Millis::minutes(60)).await;
    });
    world.check();
    assert_eq!(world.phase(&id), Phase::Succeeded);
    let state = world.state();
    assert_eq!(state.hosts.keys().collect::<Vec<_>>(), [&host(3 - first)]);
    assert_eq!(state.queues.iter().collect::<Vec<_>>(), [&host(3 - first)]);
}

#[test]
fn a_host_that_comes_back_has_its_queue_again() {
    let world = World::new(3);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let mut id = None;
    world.work_with(1, async {
        world.time.sleep(Millis::minutes(1)).await;
        world.state().up.clear();
        world.time.sleep(Millis::minutes(70)).await;
        assert!(world.state().queues.is_empty());
        world.state().up.insert(host(1));
        world.time.sleep(Millis::minutes(1)).await;
        id = Some(world.request(1, &bundle));
    });
    world.check();
    assert_eq!(world.phase(&id.expect("an id")), Phase::Succeeded);
}

#[test]
fn a_drained_host_gets_no_new_builds_until_it_is_put_back() {
    let world = World::new(4);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let mut ids = vec![];
    world.work_with(1, async {
        ids.push(world.request(1, &bundle));
        provisioning(&world, &ids[0]).await;
        world.send(InboxMessage::Drain { host: host(1), draining: true });
        world.time.sleep(Millis::seconds(5)).await;
        ids.push(world.request(2, &bundle));
        world.time.sleep(Millis::minutes(10)).await;
        assert_eq!(world.phase(&ids[0]), Phase::Succeeded);
        assert_eq!(world.phase(&ids[1]).name(), PhaseName::Queued);
        world.send(InboxMessage::Drain { host: host(1), draining: false });
    });
    world.check();
    assert_eq!(world.phase(&ids[1]), Phase::Succeeded);
    assert!(world.measured(Metric::BuildsQueued) > 5.0);
}

#[test]
fn a_spot_host_that_is_warned_finishes_what_it_has() {
    let world = World::new(5);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    world.work_with(1, async {
        provisioning(&world, &id).await;
        let warning = serde_json::json!({
            "detail-type": "EC2 Spot Instance Interruption Warning",
            "detail": { "instance-id": host(1), "instance-action": "terminate" },
        });
        world.send_text(warning.to_string());
        world.time.sleep(Millis::seconds(5)).await;
        assert!(world.state().hosts[&host(1)].drained);
    });
    world.check();
    assert_eq!((world.phase(&id), world.build(&id).attempt), (Phase::Succeeded, 1));
}

#[test]
fn instances_that_are_no_hosts_are_nobodys_concern() {
    let world = World::new(6);
    world.add_host(1);
    world.add_host(2);
    world.state().up.remove(&host(2));
    world.work_with(1, async {
        world.time.sleep(Millis::seconds(30)).await;
        world.take_down(2, InstanceState::Terminated, "terminated");
        world.time.sleep(Millis::seconds(30)).await;
    });
    assert!(world.state().dead.is_empty());
    assert!(world.state().hosts.contains_key(&host(1)));
}

#[test]
fn a_host_speaks_for_itself_and_of_nothing_else() {
    let world = World::new(7);
    world.add_host(1);
    world.add_host(2);
    let bundle = world.bundle(&world.template());
    let id = world.request(1, &bundle);
    world.work_with(1, async {
        let (holder, other) = match provisioning(&world, &id).await {
            1 => (host(1), host(2)),
            _ => (host(2), host(1)),
        };
        // It would end the other's build, drain it, and have builds of its own.
        let why = "so says another".to_owned();
        let body = ReportBody::Ended(Outcome::Lost { why, proof: None });
        let report = Report { version: 1, build: id.clone(), host: holder.clone(), attempt: 1, at: Timestamp(0), body };
        world.send_as(&other, InboxMessage::Report { report });
        world.send_as(&other, InboxMessage::Host { host: HostReport { draining: true, ..world.host_report(&holder) } });
        world.send_as(&other, InboxMessage::Drain { host: holder.clone(), draining: true });
        world.send_as(&other, InboxMessage::Cancel { build: id.clone() });
        let target = BuildTarget::Bundle(bundle.clone());
        world.send_as(
            &other,
            InboxMessage::Request(Request { build: None, target, vars: Default::default(), scheduled: None }),
        );
        // Somebody who may submit builds says that this one's work is done and its volume clean.
        let proof = Proof { device: "/dev/sdf".into(), filesystem: "ext4".into(), killed: vec![] };
        let body = ReportBody::Ended(Outcome::Done(proof));
        let report = Report { version: 1, build: id.clone(), host: holder.clone(), attempt: 1, at: Timestamp(0), body };
        world.send_by("AIDAUSER", InboxMessage::Report { report });
        world.time.sleep(Millis::seconds(10)).await;
        assert!(!world.state().hosts[&holder].drained);
    });
    world.check();
    assert_eq!((world.phase(&id), world.build(&id).attempt), (Phase::Succeeded, 1));
    assert_eq!(world.state().records.len(), 1);
    assert_eq!(world.measured(Metric::MessagesRefused), 6.0);
    assert!(world.state().dead.is_empty());
}

#[test]
fn an_instance_that_is_no_host_may_ask_for_a_build() {
    let world = World::new(8);
    world.add_host(1);
    let bundle = world.bundle(&world.template());
    let target = BuildTarget::Bundle(bundle);
    let request = InboxMessage::Request(Request { build: None, target, vars: Default::default(), scheduled: None });
    world.send_by("AROAANOTHERROLE:i-00000000000000009", request);
    world.work(1);
    world.check();
    assert_eq!(world.measured(Metric::BuildsSucceeded), 1.0);
}

#[test]
fn the_volume_is_made_in_the_zone_of_the_host_that_has_room() {
    let world = World::new(9);
    world.add_host(1);
    world.add_host_in(2, "us-east-1b");
    let bundle = world.bundle(&world.template());
    let ids: Vec<_> = (1..=6).map(|n| world.request(n, &bundle)).collect();
    world.work(2);
    world.check();
    // Four fit on one host: EC2 attaches none across zones, so each was made beside its host.
    assert!(ids.iter().all(|id| world.phase(id) == Phase::Succeeded && world.build(id).attempt == 1));
    let zones: std::collections::BTreeSet<_> = world.state().made_in.iter().map(ToString::to_string).collect();
    assert_eq!(zones.into_iter().collect::<Vec<_>>(), ["us-east-1a", "us-east-1b"]);
}
