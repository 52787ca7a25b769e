//! What goes wrong, and that nothing is left of it and nothing is made twice.

use std::{fs, sync::atomic::Ordering, thread, time::Duration};

use bakehouse_localcloud::http::{Effect, Fault};
use serde_json::json;

use crate::{
    rights::event_of_instance,
    runtime::ENDED,
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
    // One poller: a message that becomes visible while it is handled is not given to another.
    let plan = Plan { environments: 1, visibility: 6, ..Plan::default() };
    let Some(mut world) = World::start(test, plan) else { return };
    world.start_host();
    world.until("the host is known", |world| world.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "ready");
    // Each a little later in its life: what is killed with a command open costs a minute or three, as that is not given
    // out again before; what is killed while it rests costs no more than the time until its message comes again.
    *world.mischief.kill.lock().unwrap() = [20, 110, 700, 1300, 1900].map(Duration::from_millis).into();
    let id = submit(&world, &template(&world, 1));
    let build = world.ended(&id, 2 * LONG);
    assert_eq!(build["phase"], "succeeded", "{}", world.words());
    println!("{}", build["history"]);
    let killed = world.tally().failures.lock().unwrap().iter().filter(|why| *why == ENDED).count();
    println!("killed {killed} times");
    assert!(killed >= 4, "killed {killed} times only\n{}", world.words());
    world.nothing_left(1);
    world.made_once(&[&id], 0);
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
    world.made_once(&[&id], 0);
    // Two functions were at work on the one build at the same time, and were in each other's way.
    let twins = world.tally().twins.lock().unwrap();
    let both: Duration = twins.iter().filter(|twin| twin.bodies.contains(&id)).map(|twin| twin.both).sum();
    let (count, conflicts) = (twins.len(), world.recorder.conflicts());
    println!("{count} batches twice, {both:?} of both at work on the build, {conflicts} writes refused");
    // How long depends on whether a wait of seconds falls into one of them; that they met shows in the refused writes.
    assert!(both > Duration::from_millis(100) && conflicts > 0, "{both:?}, {conflicts} writes refused\n{twins:#?}");
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
    world.made_once(&[&id], 0);
}

/// Two builds, as what has no token is asked for again only when EC2 must show what the first call may have made, three
/// minutes later: the one waits for its snapshot while the other waits for its image.
#[test]
fn root_pair_answers_that_are_lost_make_nothing_twice() {
    let test = "root_pair_answers_that_are_lost_make_nothing_twice";
    let Some(mut world) = World::start(test, Plan::default()) else { return };
    world.start_host();
    // The SDK asks once more by itself where there is a token: with the same.
    let lost = ["CreateVolume", "AttachVolume", "DetachVolume", "DeleteVolume", "CreateSnapshot", "RegisterImage"];
    for action in lost.into_iter().chain(["CopyImage"]) {
        world.ec2.faults().add(Fault::once(action, Effect::DropAfter));
    }
    let template = world.template("web.json", json!({ "ami_regions": ["eu-west-1"] }), json!([]));
    let (one, other) = (submit(&world, &template), submit(&world, &template));
    for id in [&one, &other] {
        assert_eq!(world.ended(id, 2 * LONG)["phase"], "succeeded", "{}", world.words());
    }
    let calls = world.ec2.calls();
    for action in lost.into_iter().chain(["CopyImage"]) {
        let lost = calls.iter().filter(|call| call.action == action && call.performed && call.status.is_none());
        assert_eq!(lost.count(), 1, "{action}");
    }
    world.nothing_left(4);
    world.made_once(&[&one, &other], 1);
}

/// While it mounts and while it provisions. Every phase, with one host and no controller: `agent/daemon/tests`.
#[test]
fn root_pair_an_agent_killed_at_work_loses_its_job_and_the_build_begins_anew() {
    let test = "root_pair_an_agent_killed_at_work_loses_its_job_and_the_build_begins_anew";
    let Some(mut world) = World::start(test, Plan { allow_host_access: true, ..Plan::default() }) else { return };
    let host = world.start_host();
    let killed = |world: &mut World, id: &str, images: usize, is_there: &dyn Fn(&World) -> bool, rest: Duration| {
        world.until("the job runs", is_there);
        world.kill_agent(host);
        thread::sleep(rest);
        world.restart_agent(host);
        let build = world.ended(id, LONG);
        println!("{}", build["history"]);
        let ended = (&build["phase"], &build["attempt"]);
        assert_eq!(ended, (&json!("succeeded"), &json!(2)), "{}", world.words());
        world.nothing_left(images);
    };
    // With the root mounted; only the first time.
    let flags = world.dir.path().join("flags");
    fs::create_dir(&flags).unwrap();
    let flag = flags.join("mounted");
    let line = format!("test -e {0} || {{ touch {0}; sleep 600; }}", flag.display());
    let id = submit(&world, &world.template("mount.json", json!({ "post_mount_commands": [line] }), json!([])));
    // Its question for jobs goes on, as it may with SQS: the new job is given to it, and comes again a minute later.
    killed(&mut world, &id, 1, &|_| flag.exists(), Duration::ZERO);
    let id = submit(&world, &template(&world, 6));
    let begun = |world: &World| world.bakehouse(&["logs", &id]).stdout.contains("begun");
    // Here that question is over by then.
    killed(&mut world, &id, 2, &begun, Duration::from_secs(21));
}

#[test]
fn root_pair_a_host_that_is_gone_for_good_loses_its_builds_to_another() {
    let test = "root_pair_a_host_that_is_gone_for_good_loses_its_builds_to_another";
    let Some(mut world) = World::start(test, Plan::default()) else { return };
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
    let Some(world) = World::start(test, Plan { visibility: 1, patrol: false, ..Plan::default() }) else { return };
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
    // Others look on while it runs, and are told of its end.
    let (logs, watch) = (world.following(&["logs", "-f", &id]), world.following(&["watch", &id]));
    let run = world.bakehouse(&["cancel", "last"]);
    assert_eq!(run.code, Some(0), "{}\n{}", run.stderr, world.words());
    assert_eq!(world.ended(&id, LONG)["phase"], "cancelled");
    let (logs, watch) = (logs(), watch());
    assert!(logs.code == Some(0) && logs.stdout.contains("begun"), "{logs:?}");
    assert!(watch.code == Some(130) && watch.stderr.contains("begun"), "{watch:?}");
    world.nothing_left(0);
}
