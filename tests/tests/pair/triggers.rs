//! A build from each of the three triggers: a message, a schedule, a new release of the base image.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    stack::import,
    world::{Plan, World, region},
};

/// How long one build may take at most; on a machine that does nothing else it is a few seconds.
pub(crate) const LONG: Duration = Duration::from_secs(180);

#[test]
fn root_pair_a_request_by_the_command_is_baked() {
    let Some(mut world) = World::start("root_pair_a_request_by_the_command_is_baked", Plan::default()) else { return };
    world.start_host();
    fs::write(world.dir.path().join("motd"), "baked\n").unwrap();
    let template = world.template(
        "web.json",
        json!({ "ami_regions": ["eu-west-1"], "tags": { "role": "web" } }),
        json!([
            { "type": "file", "source": "motd", "destination": "/etc/motd" },
            { "type": "shell", "inline": ["echo it says $(cat /etc/motd)"] },
        ]),
    );
    let run = world.bakehouse(&["submit", &template, "--wait"]);
    assert_eq!(run.code, Some(0), "{}\n{}\n{}", run.stdout, run.stderr, world.words());
    assert!(run.stderr.contains("it says baked"), "{}", run.stderr);
    assert!(run.stdout.contains("us-east-1: ami-") && run.stdout.contains("eu-west-1: ami-"), "{}", run.stdout);
    let (id, build) = world.only_build(LONG);
    assert_eq!(build["phase"], "succeeded");
    assert!(run.stderr.contains(&id), "{}", run.stderr);

    // The other commands see what the function has kept, from a machine that has nothing but the stack's name.
    let listed = world.bakehouse(&["ls", "--json"]).json();
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&json!(id), &json!("succeeded")));
    let shown = world.bakehouse(&["show", "last"]);
    assert!(shown.stdout.contains(&id) && shown.stdout.contains("provisioning"), "{}", shown.stdout);
    let logs = world.bakehouse(&["logs", &id]);
    assert!(logs.stdout.contains("it says baked"), "{}\n{}", logs.stdout, logs.stderr);
    let watched = world.bakehouse(&["watch", "last"]);
    assert!(watched.code == Some(0) && watched.stderr.contains("it says baked"), "{}", watched.stderr);
    let hosts = world.bakehouse(&["hosts", "--json"]).json();
    assert_eq!((&hosts[0]["host"], &hosts[0]["state"]), (&json!(world.hosts[0].id), &json!("ready")));
    let drained = world.bakehouse(&["drain", &world.hosts[0].id.clone()]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    world.until("the host is drained", |world| world.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "draining");
    let missing = world.bakehouse(&["show", "b-nothing"]);
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    world.nothing_left(2);
}

#[test]
fn root_pair_a_debian_is_baked() {
    let test = "root_pair_a_debian_is_baked";
    let Some(base) = debian() else {
        println!("SKIP {test}: no Debian base in BAKEHOUSE_TEST_BASE (`cargo xtask base` makes one)");
        return;
    };
    let Some(mut world) = World::start(test, Plan { base: Some(base.clone()), ..Plan::default() }) else { return };
    world.start_host();
    let template = world.template("cron.json", json!({ "root_volume_size": 3 }), steps(Some(&base)));
    let run = world.bakehouse(&["submit", &template, "--wait"]);
    assert_eq!(run.code, Some(0), "{}\n{}\n{}", run.stdout, run.stderr, world.words());
    assert!(run.stderr.contains(said(Some(&base))), "{}", run.stderr);
    world.nothing_left(1);
}

/// A real Debian's disk where there is one, else none, which makes a world make a small one.
fn debian() -> Option<PathBuf> {
    std::env::var_os("BAKEHOUSE_TEST_BASE").filter(|base| !base.is_empty()).map(PathBuf::from)
}

/// Steps that show what they are done in.
fn steps(base: Option<&Path>) -> Value {
    let lines = match base {
        Some(_) => ["apt-get update", "apt-get install -y --no-install-recommends cron"],
        None => ["test -e /etc/base", "echo a small disk"],
    };
    json!([{ "type": "shell", "environment_vars": ["DEBIAN_FRONTEND=noninteractive"], "inline": lines }])
}

/// What its build's log says then.
fn said(base: Option<&Path>) -> &'static str {
    if base.is_some() { "Setting up cron" } else { "a small disk" }
}

#[test]
fn root_pair_a_schedule_builds_its_recipe() {
    let base = debian();
    let plan = Plan { base: base.clone(), ..Plan::default() };
    let Some(mut world) = World::start("root_pair_a_schedule_builds_its_recipe", plan) else { return };
    world.start_host();
    let template = world.template("web.json", json!({ "root_volume_size": 3 }), steps(base.as_deref()));
    let put = world.bakehouse(&["recipe", "put", "web", &template]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    // What EventBridge Scheduler sends with the input that the command has printed, and twice, as it may.
    let input = |time: &str| json!({ "bakehouse": 1, "kind": "request", "recipe": "web", "scheduled": time });
    assert!(put.stderr.contains(&input("<aws.scheduler.scheduled-time>").to_string()), "{}", put.stderr);
    world.services.send(&world.inbox, &input("2026-11-22T03:00:00Z"));
    world.services.send(&world.inbox, &input("2026-11-22T03:00:00Z"));
    let (first, build) = world.only_build(LONG);
    assert_eq!((&build["phase"], &build["recipe"]), (&json!("succeeded"), &json!("web")), "{}", world.words());
    let logs = world.bakehouse(&["logs", &first]);
    assert!(logs.stdout.contains(said(base.as_deref())), "{}", logs.stdout);

    // What it sends without an input, and twice, as it may: both say which event it was.
    let event = event("scheduler-default.json");
    world.services.send(&world.inbox, &event);
    world.services.send(&world.inbox, &event);
    world.until("a second build", |world| world.builds().len() > 1);
    world.until("both have been heard", |world| world.services.depth(&world.inbox) == (0, 0));
    let second = world.builds().into_iter().find(|id| *id != first).unwrap();
    assert_eq!(world.ended(&second, LONG)["phase"], "succeeded", "{}", world.words());
    assert_eq!(world.builds().len(), 2);
    world.nothing_left(2);
    world.made_once(&[&first, &second], 0);
}

#[test]
fn root_pair_a_new_release_of_the_base_is_baked_once() {
    let base = debian();
    let plan = Plan { base: base.clone(), ..Plan::default() };
    let Some(mut world) = World::start("root_pair_a_new_release_of_the_base_is_baked_once", plan) else { return };
    world.start_host();
    let template = world.template(
        "web.json",
        json!({
            "root_volume_size": 3,
            "source_ami_filter": { "filters": { "name": "base*" }, "owners": ["self"], "most_recent": true },
        }),
        steps(base.as_deref()),
    );
    let put = world.bakehouse(&["recipe", "put", "web", &template, "--on-release"]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    let bell = event("sns-amazon-linux-2023.json");
    world.services.send(&world.inbox, &bell);
    let (first, build) = world.only_build(LONG);
    assert_eq!(build["phase"], "succeeded", "{}", world.words());

    // The same release again, and again: nothing.
    world.services.send(&world.inbox, &bell);
    world.services.send(&world.inbox, &json!({ "bakehouse": 1, "kind": "release" }));
    world.until("the bells have been heard", |world| world.services.depth(&world.inbox) == (0, 0));
    assert_eq!(world.builds(), std::slice::from_ref(&first));

    // A new one: one build, from it.
    let newer = import(&world.cloud, world.dir.path(), &region(), "base-2", base.as_deref());
    world.services.send(&world.inbox, &bell);
    world.services.send(&world.inbox, &bell);
    world.until("a second build", |world| world.builds().len() == 2);
    let second = world.builds().into_iter().find(|id| *id != first).unwrap();
    let build = world.ended(&second, LONG);
    assert_eq!(build["phase"], "succeeded", "{}", world.words());
    assert_eq!(build["plan"]["data"]["source_ami"], newer.as_str());
    let logs = world.bakehouse(&["logs", &second]);
    assert!(logs.stdout.contains(said(base.as_deref())), "{}", logs.stdout);
    world.until("the bells have been heard", |world| world.services.depth(&world.inbox) == (0, 0));
    assert_eq!(world.builds().len(), 2);
    world.nothing_left(2);
}

/// One of the samples.
pub(crate) fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
