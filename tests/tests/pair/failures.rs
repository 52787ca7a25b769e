//! Failures of the function, the agent, EC2 and messages: nothing is left, and nothing is created twice.

use std::{fs, sync::atomic::Ordering, thread, time::Duration};

use bakehouse_localcloud::http::{Effect, Fault};
use serde_json::json;

use crate::{fixture::Fixture, options::Options, rights::event_of_instance, runtime::ENDED, triggers::LONG};

/// A template whose build takes this many seconds.
fn template(fixture: &Fixture, seconds: u32) -> String {
    fixture.template(
        "web.json",
        json!({}),
        json!([{ "type": "shell", "inline": ["echo begun", format!("sleep {seconds}"), "echo done > /etc/done"] }]),
    )
}

#[track_caller]
fn submit(fixture: &Fixture, template: &str) -> String {
    let run = fixture.bakehouse(&["submit", template]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    run.stdout.trim().to_owned()
}

#[test]
fn root_pair_a_build_survives_repeated_kills_of_the_function() {
    let test = "root_pair_a_build_survives_repeated_kills_of_the_function";
    // One poller: a message that becomes visible while it is handled is not delivered to another.
    let options = Options { environments: 1, visibility: 6, ..Options::default() };
    let Some(mut fixture) = Fixture::start(test, options) else { return };
    fixture.start_host();
    fixture.until("the host is known", |fixture| fixture.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "ready");
    // Each a little later in the invocation: one that is killed during a command costs one to three minutes, as that is
    // not repeated before; one that is killed while it waits costs the time until its message is delivered again.
    *fixture.faults.kill.lock().unwrap() = [20, 110, 700, 1300, 1900].map(Duration::from_millis).into();
    let id = submit(&fixture, &template(&fixture, 1));
    let build = fixture.ended(&id, 2 * LONG);
    assert_eq!(build["phase"], "succeeded", "{}", fixture.logs());
    println!("{}", build["history"]);
    let killed = fixture.invocations().failures.lock().unwrap().iter().filter(|why| *why == ENDED).count();
    println!("killed {killed} times");
    assert!(killed >= 4, "killed {killed} times only\n{}", fixture.logs());
    fixture.nothing_left(1);
    fixture.made_once(&[&id], 0);
}

/// Several builds, as it depends on the machine for how long two functions meet in one: a third of a second at least,
/// and seconds if one of them waits for EC2.
#[test]
fn root_pair_duplicate_messages_create_each_resource_once() {
    const BUILDS: u32 = 4;
    let test = "root_pair_duplicate_messages_create_each_resource_once";
    let Some(mut fixture) = Fixture::start(test, Options { slots: BUILDS, ..Options::default() }) else { return };
    fixture.faults.twice.store(true, Ordering::SeqCst);
    fixture.start_host();
    let template = template(&fixture, 0);
    let ids: Vec<String> = (0..BUILDS).map(|_| submit(&fixture, &template)).collect();
    for id in &ids {
        assert_eq!(fixture.ended(id, LONG)["phase"], "succeeded", "{}", fixture.logs());
    }
    fixture.nothing_left(ids.len());
    fixture.made_once(&ids.iter().map(String::as_str).collect::<Vec<_>>(), 0);
    // Two functions were at work on one build at the same time, and their writes were in conflict.
    let delivered_twice = fixture.invocations().delivered_twice.lock().unwrap();
    let is_of_builds = |bodies: &str| ids.iter().any(|id| bodies.contains(id));
    let both: Duration =
        delivered_twice.iter().filter(|delivery| is_of_builds(&delivery.bodies)).map(|delivery| delivery.both).sum();
    let (count, conflicts) = (delivered_twice.len(), fixture.recorder.conflicts());
    println!("{count} batches twice, {both:?} of both at work on a build, {conflicts} writes refused");
    assert!(
        both > Duration::from_secs(1) && conflicts > 0,
        "{both:?}, {conflicts} writes refused\n{delivered_twice:#?}"
    );
}

#[test]
fn root_pair_throttling_only_delays_a_build() {
    let test = "root_pair_throttling_only_delays_a_build";
    let Some(mut fixture) = Fixture::start(test, Options::default()) else { return };
    fixture.start_host();
    let storm = Effect::Error("RequestLimitExceeded".to_owned());
    fixture.ec2.faults().add(Fault { action: None, region: None, after: 0, every: 2, times: Some(60), effect: storm });
    let id = submit(&fixture, &template(&fixture, 0));
    assert_eq!(fixture.ended(&id, LONG)["phase"], "succeeded", "{}", fixture.logs());
    fixture.nothing_left(1);
    fixture.made_once(&[&id], 0);
}

/// Two builds, as a call without a token is repeated only when EC2 must show what the first call may have created,
/// three minutes later: one waits for its snapshot while the other waits for its image.
#[test]
fn root_pair_lost_responses_create_nothing_twice() {
    let test = "root_pair_lost_responses_create_nothing_twice";
    let Some(mut fixture) = Fixture::start(test, Options::default()) else { return };
    fixture.start_host();
    // The SDK itself repeats a call that has a token, with the same token.
    let lost = ["CreateVolume", "AttachVolume", "DetachVolume", "DeleteVolume", "CreateSnapshot", "RegisterImage"];
    for action in lost.into_iter().chain(["CopyImage"]) {
        fixture.ec2.faults().add(Fault::once(action, Effect::DropAfter));
    }
    let template = fixture.template("web.json", json!({ "ami_regions": ["eu-west-1"] }), json!([]));
    let (one, other) = (submit(&fixture, &template), submit(&fixture, &template));
    for id in [&one, &other] {
        assert_eq!(fixture.ended(id, 2 * LONG)["phase"], "succeeded", "{}", fixture.logs());
    }
    let calls = fixture.ec2.calls();
    for action in lost.into_iter().chain(["CopyImage"]) {
        let lost = calls.iter().filter(|call| call.action == action && call.performed && call.status.is_none());
        assert_eq!(lost.count(), 1, "{action}");
    }
    fixture.nothing_left(4);
    fixture.made_once(&[&one, &other], 1);
}

/// While it mounts and while it provisions. Every phase, with one host and no controller: `agent/daemon/tests`.
#[test]
fn root_pair_a_build_restarts_after_its_agent_was_killed() {
    let test = "root_pair_a_build_restarts_after_its_agent_was_killed";
    let Some(mut fixture) = Fixture::start(test, Options { allow_host_access: true, ..Options::default() }) else {
        return;
    };
    let host = fixture.start_host();
    let killed =
        |fixture: &mut Fixture, id: &str, images: usize, is_there: &dyn Fn(&Fixture) -> bool, rest: Duration| {
            fixture.until("the job runs", is_there);
            fixture.kill_agent(host);
            thread::sleep(rest);
            fixture.restart_agent(host);
            let build = fixture.ended(id, LONG);
            println!("{}", build["history"]);
            let ended = (&build["phase"], &build["attempt"]);
            assert_eq!(ended, (&json!("succeeded"), &json!(2)), "{}", fixture.logs());
            fixture.nothing_left(images);
        };
    // With the root mounted; only the first time.
    let flags = fixture.dir.path().join("flags");
    fs::create_dir(&flags).unwrap();
    let flag = flags.join("mounted");
    let line = format!("test -e {0} || {{ touch {0}; sleep 600; }}", flag.display());
    let id = submit(&fixture, &fixture.template("mount.json", json!({ "post_mount_commands": [line] }), json!([])));
    // The long poll of the killed agent goes on, as it may with SQS: it receives the new job, which is delivered again
    // a minute later.
    killed(&mut fixture, &id, 1, &|_| flag.exists(), Duration::ZERO);
    let id = submit(&fixture, &template(&fixture, 6));
    let begun = |fixture: &Fixture| fixture.bakehouse(&["logs", &id]).stdout.contains("begun");
    // Here that long poll is over by then.
    killed(&mut fixture, &id, 2, &begun, Duration::from_secs(21));
}

#[test]
fn root_pair_builds_of_a_terminated_host_restart_on_another() {
    let test = "root_pair_builds_of_a_terminated_host_restart_on_another";
    let Some(mut fixture) = Fixture::start(test, Options::default()) else { return };
    let host = fixture.start_host();
    let id = submit(&fixture, &template(&fixture, 6));
    fixture.until("the job runs", |fixture| fixture.bakehouse(&["logs", &id]).stdout.contains("begun"));
    fixture.kill_agent(host);
    let gone = event_of_instance(&fixture.hosts[host].id, "terminated");
    fixture.services.send(&fixture.inbox, &gone);
    let other = fixture.start_host();
    let build = fixture.ended(&id, LONG);
    assert_eq!((&build["phase"], &build["attempt"]), (&json!("succeeded"), &json!(2)), "{}", fixture.logs());
    let log = fs::read_to_string(fixture.dir.path().join(format!("host-{other}/agent.log"))).unwrap();
    assert!(log.contains(&id), "the other host has not done it:\n{log}");
    fixture.nothing_left(1);
}

#[test]
fn root_pair_a_deleted_host_queue_is_created_again() {
    let test = "root_pair_a_deleted_host_queue_is_created_again";
    let Some(mut fixture) = Fixture::start(test, Options::default()) else { return };
    let host = fixture.start_host();
    fixture.until("the host is known", |fixture| fixture.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "ready");
    let name = format!("bakehouse-host-{}", fixture.hosts[host].id);
    let url = fixture.services.sqs("GetQueueUrl", json!({ "QueueName": name }))["QueueUrl"].clone();
    fixture.services.sqs("DeleteQueue", json!({ "QueueUrl": url }));
    let id = submit(&fixture, &template(&fixture, 0));
    assert_eq!(fixture.ended(&id, LONG)["phase"], "succeeded", "{}", fixture.logs());
    fixture.nothing_left(1);
}

#[test]
fn root_pair_invalid_messages_go_to_the_dead_letter_queue() {
    let test = "root_pair_invalid_messages_go_to_the_dead_letter_queue";
    let Some(fixture) = Fixture::start(test, Options { visibility: 1, patrol: false, ..Options::default() }) else {
        return;
    };
    let bodies =
        ["not even json", "{\"bakehouse\": 9, \"kind\": \"tick\"}", "[1, 2", "{\"bakehouse\":1,\"kind\":\"dance\"}"];
    for body in bodies {
        fixture.services.sqs("SendMessage", json!({ "QueueUrl": fixture.inbox, "MessageBody": body }));
    }
    fixture.until("all are dead letters", |fixture| fixture.services.depth(&fixture.dead).0 == 4);
    assert_eq!(fixture.services.depth(&fixture.inbox), (0, 0));
    let log = fixture.logs();
    assert!(log.contains("not even json"), "the reason is not logged:\n{log}");
    assert!(fixture.builds().is_empty());
}

#[test]
fn root_pair_a_refused_build_is_recorded_with_its_reason() {
    let test = "root_pair_a_refused_build_is_recorded_with_its_reason";
    let Some(mut fixture) = Fixture::start(test, Options::default()) else { return };
    fixture.start_host();
    let refused = |fixture: &Fixture, id: &str, why: &str| {
        let build = fixture.ended(id, LONG);
        let reason = build["phase"]["failed"]["message"].as_str().unwrap_or_default();
        assert!(reason.contains(why), "{reason:?} does not say {why:?}\n{}", fixture.logs());
        let shown = fixture.bakehouse(&["show", id]);
        assert!(shown.stdout.contains(why), "{}", shown.stdout);
    };

    // Host-side commands, which the operator has not allowed.
    let options = json!({ "pre_mount_commands": ["touch /tmp/bakehouse-was-here"] });
    let id = submit(&fixture, &fixture.template("host.json", options, json!([])));
    refused(&fixture, &id, "pre_mount_commands");
    assert!(!std::path::Path::new("/tmp/bakehouse-was-here").exists());

    // A bundle whose digest is another.
    let good = fixture.template("web.json", json!({}), json!([{ "type": "shell", "inline": ["true"] }]));
    let put = fixture.bakehouse(&["recipe", "put", "web", &good]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    let recipe = fixture.bakehouse(&["recipe", "ls", "--json"]).json()[0].clone();
    let request = |id: &str, bundle: serde_json::Value| json!({ "bakehouse": 1, "kind": "request", "build": id, "bundle": bundle });
    let mut bundle = recipe["bundle"].clone();
    bundle["sha256"] = json!("0".repeat(64));
    fixture.services.send(&fixture.inbox, &request("b-00000001-00000001", bundle));
    refused(&fixture, "b-00000001-00000001", "SHA-256");

    // One whose entries climb out of it.
    let climbing = fixture.climbing_bundle();
    fixture.services.send(&fixture.inbox, &request("b-00000001-00000002", climbing));
    refused(&fixture, "b-00000001-00000002", "..");
    fixture.nothing_left(0);
}

#[test]
fn root_pair_a_build_is_cancelled_by_the_command() {
    let Some(mut fixture) = Fixture::start("root_pair_a_build_is_cancelled_by_the_command", Options::default()) else {
        return;
    };
    fixture.start_host();
    let id = submit(&fixture, &template(&fixture, 600));
    fixture.until("the job runs", |fixture| fixture.bakehouse(&["logs", &id]).stdout.contains("begun"));
    // Two more commands follow it while it runs, and end with it.
    let (logs, watch) = (fixture.start_command(&["logs", "-f", &id]), fixture.start_command(&["watch", &id]));
    let run = fixture.bakehouse(&["cancel", "last"]);
    assert_eq!(run.code, Some(0), "{}\n{}", run.stderr, fixture.logs());
    assert_eq!(fixture.ended(&id, LONG)["phase"], "cancelled");
    let (logs, watch) = (logs(), watch());
    assert!(logs.code == Some(0) && logs.stdout.contains("begun"), "{logs:?}");
    assert!(watch.code == Some(130) && watch.stderr.contains("begun"), "{watch:?}");
    fixture.nothing_left(0);
}
