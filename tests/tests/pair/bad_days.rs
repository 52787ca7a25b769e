//! What goes wrong, and that nothing is left of it and nothing is made twice.

use std::{fs, sync::atomic::Ordering, time::Duration};

use bakehouse_localcloud_http::{Effect, Fault};
use serde_json::json;

use crate::{
    rights::event_of_instance,
    triggers::LONG,
    world::{Plan, World},
};

/// A template that works for so many seconds.
fn template(world: &World, seconds: u32) -> String {
    world.template(
        "web.json",
        json!({}),
        json!([{ "type": "shell", "inline": ["echo begun", format!("sleep {seconds}"), "echo done > /etc/done"] }]),
    )
}

#[track_caller]
fn submit(world: &World, template: &str) -> String {
    let run = world.bakehouse(&["submit", template]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout.trim().to_owned()
}

#[test]
fn root_pair_a_function_killed_again_and_again_finishes_its_build() {
    let test = "root_pair_a_function_killed_again_and_again_finishes_its_build";
    let Some(mut world) = World::start(test, Plan { environments: 1, ..Plan::default() }) else { return };
    world.start_host();
    world.until("the host is known", |world| world.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "ready");
    let seen = world.mapping.as_ref().unwrap().invocations.load(Ordering::SeqCst);
    // The next ones, each a little later in its life.
    let kills = (0..8).map(|n| (seen + n, Duration::from_millis(20 + 60 * n))).collect();
    *world.mischief.kill.lock().unwrap() = kills;
    let id = submit(&world, &template(&world, 1));
    let build = world.ended(&id, LONG);
    assert_eq!(build["phase"], "succeeded", "{}", world.words());
    assert!(!world.mapping.as_ref().unwrap().failures.lock().unwrap().is_empty(), "nobody was killed");
    world.nothing_left(1);
    world.made_once(&id);
}

#[test]
fn root_pair_every_message_twice_makes_everything_once() {
    let test = "root_pair_every_message_twice_makes_everything_once";
    let Some(mut world) = World::start(test, Plan::default()) else { return };
    world.mischief.twice.store(true, Ordering::SeqCst);
    world.start_host();
    let id = submit(&world, &template(&world, 0));
    assert_eq!(world.ended(&id, LONG)["phase"], "succeeded", "{}", world.words());
    world.nothing_left(1);
    world.made_once(&id);
}

#[test]
fn root_pair_a_throttle_storm_only_takes_longer() {
    let test = "root_pair_a_throttle_storm_only_takes_longer";
    let Some(mut world) = World::start(test, Plan::default()) else { return };
    world.start_host();
    let storm = Effect::Error("RequestLimitExceeded".to_owned());
    world.ec2.faults().add(Fault { action: None, region: None, after: 0, every: 2, times: Some(60), effect: storm });
    let id = submit(&world, &template(&world, 0));
    assert_eq!(world.ended(&id, LONG)["phase"], "succeeded", "{}", world.words());
    world.nothing_left(1);
    world.made_once(&id);
}

#[test]
fn root_pair_answers_that_are_lost_make_nothing_twice() {
    let test = "root_pair_answers_that_are_lost_make_nothing_twice";
    let Some(mut world) = World::start(test, Plan::default()) else { return };
    world.start_host();
    // The SDK asks once more by itself, with the same token where there is one.
    for action in ["CreateVolume", "AttachVolume", "DetachVolume", "DeleteVolume"] {
        world.ec2.faults().add(Fault::once(action, Effect::DropAfter));
    }
    let id = submit(&world, &template(&world, 0));
    assert_eq!(world.ended(&id, LONG)["phase"], "succeeded", "{}", world.words());
    world.nothing_left(1);
    world.made_once(&id);
}

#[test]
fn root_pair_an_agent_killed_at_work_loses_its_job_and_the_build_begins_anew() {
    let test = "root_pair_an_agent_killed_at_work_loses_its_job_and_the_build_begins_anew";
    let Some(mut world) = World::start(test, Plan::default()) else { return };
    let host = world.start_host();
    let id = submit(&world, &template(&world, 6));
    world.until("the job runs", |world| world.bakehouse(&["logs", &id]).stdout.contains("begun"));
    world.kill_agent(host);
    world.restart_agent(host);
    let build = world.ended(&id, LONG);
    assert_eq!((&build["phase"], &build["attempt"]), (&json!("succeeded"), &json!(2)), "{}", world.words());
    world.nothing_left(1);
}

#[test]
fn root_pair_a_host_that_is_gone_for_good_loses_its_builds_to_another() {
    let test = "root_pair_a_host_that_is_gone_for_good_loses_its_builds_to_another";
    let Some(mut world) = World::start(test, Plan { silence: 5, ..Plan::default() }) else { return };
    let host = world.start_host();
    let id = submit(&world, &template(&world, 6));
    world.until("the job runs", |world| world.bakehouse(&["logs", &id]).stdout.contains("begun"));
    world.kill_agent(host);
    let gone = event_of_instance(&world.hosts[host].id, "terminated");
    world.services.send(&world.inbox, &gone);
    let other = world.start_host();
    let build = world.ended(&id, LONG);
    assert_eq!((&build["phase"], &build["attempt"]), (&json!("succeeded"), &json!(2)), "{}", world.words());
    let log = fs::read_to_string(world.dir.path().join(format!("host-{other}/agent.log"))).unwrap();
    assert!(log.contains(&id), "the other host has not done it:\n{log}");
    world.nothing_left(1);
}

#[test]
fn root_pair_a_host_whose_queue_is_gone_gets_another() {
    let test = "root_pair_a_host_whose_queue_is_gone_gets_another";
    let Some(mut world) = World::start(test, Plan::default()) else { return };
    let host = world.start_host();
    world.until("the host is known", |world| world.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "ready");
    let name = format!("bakehouse-host-{}", world.hosts[host].id);
    let url = world.services.sqs("GetQueueUrl", json!({ "QueueName": name }))["QueueUrl"].clone();
    world.services.sqs("DeleteQueue", json!({ "QueueUrl": url }));
    let id = submit(&world, &template(&world, 0));
    assert_eq!(world.ended(&id, LONG)["phase"], "succeeded", "{}", world.words());
    world.nothing_left(1);
}

#[test]
fn root_pair_what_can_never_be_understood_goes_to_the_dead_letters() {
    let test = "root_pair_what_can_never_be_understood_goes_to_the_dead_letters";
    let Some(world) = World::start(test, Plan { visibility: 1, ..Plan::default() }) else { return };
    let bodies =
        ["not even json", "{\"bakehouse\": 9, \"kind\": \"tick\"}", "[1, 2", "{\"bakehouse\":1,\"kind\":\"dance\"}"];
    for body in bodies {
        world.services.sqs("SendMessage", json!({ "QueueUrl": world.inbox, "MessageBody": body }));
    }
    world.until("all are dead letters", |world| world.services.depth(&world.dead).0 == 4);
    assert_eq!(world.services.depth(&world.inbox), (0, 0));
    let log = world.words();
    assert!(log.contains("not even json"), "the reason is not logged:\n{log}");
    assert!(world.builds().is_empty());
}

#[test]
fn root_pair_what_is_refused_is_recorded_with_its_reason() {
    let test = "root_pair_what_is_refused_is_recorded_with_its_reason";
    let Some(mut world) = World::start(test, Plan::default()) else { return };
    world.start_host();
    let refused = |world: &World, id: &str, why: &str| {
        let build = world.ended(id, LONG);
        let reason = build["phase"]["failed"]["message"].as_str().unwrap_or_default();
        assert!(reason.contains(why), "{reason:?} does not say {why:?}\n{}", world.words());
        let shown = world.bakehouse(&["show", id]);
        assert!(shown.stdout.contains(why), "{}", shown.stdout);
    };

    // Host-side commands, which the operator has not allowed.
    let options = json!({ "pre_mount_commands": ["touch /tmp/bakehouse-was-here"] });
    let id = submit(&world, &world.template("host.json", options, json!([])));
    refused(&world, &id, "pre_mount_commands");
    assert!(!std::path::Path::new("/tmp/bakehouse-was-here").exists());

    // A bundle whose digest is another.
    let good = world.template("web.json", json!({}), json!([{ "type": "shell", "inline": ["true"] }]));
    let put = world.bakehouse(&["recipe", "put", "web", &good]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    let recipe = world.bakehouse(&["recipe", "ls", "--json"]).json()[0].clone();
    let request = |id: &str, bundle: serde_json::Value| json!({ "bakehouse": 1, "kind": "request", "build": id, "bundle": bundle });
    let mut bundle = recipe["bundle"].clone();
    bundle["sha256"] = json!("0".repeat(64));
    world.services.send(&world.inbox, &request("b-00000001-00000001", bundle));
    refused(&world, "b-00000001-00000001", "SHA-256");

    // One whose entries climb out of it.
    let climbing = world.climbing_bundle();
    world.services.send(&world.inbox, &request("b-00000001-00000002", climbing));
    refused(&world, "b-00000001-00000002", "..");
    world.nothing_left(0);
}

#[test]
fn root_pair_a_build_is_cancelled_from_afar() {
    let Some(mut world) = World::start("root_pair_a_build_is_cancelled_from_afar", Plan::default()) else { return };
    world.start_host();
    let id = submit(&world, &template(&world, 600));
    world.until("the job runs", |world| world.bakehouse(&["logs", &id]).stdout.contains("begun"));
    let run = world.bakehouse(&["cancel", "last"]);
    assert_eq!(run.code, Some(0), "{}\n{}", run.stderr, world.words());
    assert_eq!(world.ended(&id, LONG)["phase"], "cancelled");
    world.nothing_left(0);
}
