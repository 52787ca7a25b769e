//! A build from each of the three triggers: a message, a schedule, a new release of the base image.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{fixture::Fixture, names::region, options::Options, stack::import};

/// How long one build may take at most; on a machine that does nothing else it is a few seconds.
pub(crate) const LONG: Duration = Duration::from_secs(180);

#[test]
fn root_pair_a_submitted_template_is_built() {
    let Some(mut fixture) = Fixture::start("root_pair_a_submitted_template_is_built", Options::default()) else {
        return;
    };
    fixture.start_host();
    fs::write(fixture.dir.path().join("motd"), "baked\n").unwrap();
    let template = fixture.template(
        "web.json",
        json!({ "ami_regions": ["eu-west-1"], "tags": { "role": "web" } }),
        json!([
            { "type": "file", "source": "motd", "destination": "/etc/motd" },
            { "type": "shell", "inline": ["echo it says $(cat /etc/motd)"] },
        ]),
    );
    let run = fixture.bakehouse(&["submit", &template, "--wait"]);
    assert_eq!(run.code, Some(0), "{}\n{}\n{}", run.stdout, run.stderr, fixture.logs());
    assert!(run.stderr.contains("it says baked"), "{}", run.stderr);
    assert!(run.stdout.contains("us-east-1: ami-") && run.stdout.contains("eu-west-1: ami-"), "{}", run.stdout);
    let (id, build) = fixture.only_build(LONG);
    assert_eq!(build["phase"], "succeeded");
    assert!(run.stderr.contains(&id), "{}", run.stderr);

    // The other commands see what the function has kept, from a machine that has nothing but the stack's name.
    let listed = fixture.bakehouse(&["ls", "--json"]).json();
    assert_eq!((&listed[0]["id"], &listed[0]["state"]), (&json!(id), &json!("succeeded")));
    let shown = fixture.bakehouse(&["show", "last"]);
    assert!(shown.stdout.contains(&id) && shown.stdout.contains("provisioning"), "{}", shown.stdout);
    let logs = fixture.bakehouse(&["logs", &id]);
    assert!(logs.stdout.contains("it says baked"), "{}\n{}", logs.stdout, logs.stderr);
    let watched = fixture.bakehouse(&["watch", "last"]);
    assert!(watched.code == Some(0) && watched.stderr.contains("it says baked"), "{}", watched.stderr);
    let hosts = fixture.bakehouse(&["hosts", "--json"]).json();
    assert_eq!((&hosts[0]["host"], &hosts[0]["state"]), (&json!(fixture.hosts[0].id), &json!("ready")));
    let drained = fixture.bakehouse(&["drain", &fixture.hosts[0].id.clone()]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    fixture.until("the host is drained", |fixture| {
        fixture.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "draining"
    });
    let missing = fixture.bakehouse(&["show", "b-nothing"]);
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    fixture.nothing_left(2);
}

#[test]
fn root_pair_a_debian_image_is_built() {
    let test = "root_pair_a_debian_image_is_built";
    let Some(base) = debian() else {
        println!("SKIP {test}: no Debian base in BAKEHOUSE_TEST_BASE (`cargo xtask base` makes one)");
        return;
    };
    let Some(mut fixture) = Fixture::start(test, Options { base: Some(base.clone()), ..Options::default() }) else {
        return;
    };
    fixture.start_host();
    let template = fixture.template("cron.json", json!({ "root_volume_size": 3 }), steps(Some(&base)));
    let run = fixture.bakehouse(&["submit", &template, "--wait"]);
    assert_eq!(run.code, Some(0), "{}\n{}\n{}", run.stdout, run.stderr, fixture.logs());
    assert!(run.stderr.contains(said(Some(&base))), "{}", run.stderr);
    fixture.nothing_left(1);
}

/// A real Debian's disk where there is one, else none, then the fixture makes a small one.
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
    let options = Options { base: base.clone(), ..Options::default() };
    let Some(mut fixture) = Fixture::start("root_pair_a_schedule_builds_its_recipe", options) else { return };
    fixture.start_host();
    let template = fixture.template("web.json", json!({ "root_volume_size": 3 }), steps(base.as_deref()));
    let put = fixture.bakehouse(&["recipe", "put", "web", &template]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    // What EventBridge Scheduler sends with the input that the command has printed, and twice, as it may.
    let input = |time: &str| json!({ "bakehouse": 1, "kind": "request", "recipe": "web", "scheduled": time });
    assert!(put.stderr.contains(&input("<aws.scheduler.scheduled-time>").to_string()), "{}", put.stderr);
    fixture.services.send(&fixture.inbox, &input("2026-11-22T03:00:00Z"));
    fixture.services.send(&fixture.inbox, &input("2026-11-22T03:00:00Z"));
    let (first, build) = fixture.only_build(LONG);
    assert_eq!((&build["phase"], &build["recipe"]), (&json!("succeeded"), &json!("web")), "{}", fixture.logs());
    let logs = fixture.bakehouse(&["logs", &first]);
    assert!(logs.stdout.contains(said(base.as_deref())), "{}", logs.stdout);

    // What it sends without an input, and twice, as it may: both say which event it was.
    let event = event("scheduler-default.json");
    fixture.services.send(&fixture.inbox, &event);
    fixture.services.send(&fixture.inbox, &event);
    fixture.until("a second build", |fixture| fixture.builds().len() > 1);
    fixture.until("both messages are handled", |fixture| fixture.services.depth(&fixture.inbox) == (0, 0));
    let second = fixture.builds().into_iter().find(|id| *id != first).unwrap();
    assert_eq!(fixture.ended(&second, LONG)["phase"], "succeeded", "{}", fixture.logs());
    assert_eq!(fixture.builds().len(), 2);
    fixture.nothing_left(2);
    fixture.made_once(&[&first, &second], 0);
}

#[test]
fn root_pair_a_new_release_of_the_base_is_built_once() {
    let base = debian();
    let options = Options { base: base.clone(), ..Options::default() };
    let Some(mut fixture) = Fixture::start("root_pair_a_new_release_of_the_base_is_built_once", options) else {
        return;
    };
    fixture.start_host();
    let template = fixture.template(
        "web.json",
        json!({
            "root_volume_size": 3,
            "source_ami_filter": { "filters": { "name": "base*" }, "owners": ["self"], "most_recent": true },
        }),
        steps(base.as_deref()),
    );
    let put = fixture.bakehouse(&["recipe", "put", "web", &template, "--on-release"]);
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    let notification = event("sns-amazon-linux-2023.json");
    fixture.services.send(&fixture.inbox, &notification);
    let (first, build) = fixture.only_build(LONG);
    assert_eq!(build["phase"], "succeeded", "{}", fixture.logs());

    // The same release again, and again: nothing.
    fixture.services.send(&fixture.inbox, &notification);
    fixture.services.send(&fixture.inbox, &json!({ "bakehouse": 1, "kind": "release" }));
    fixture.until("the notifications have been handled", |fixture| fixture.services.depth(&fixture.inbox) == (0, 0));
    assert_eq!(fixture.builds(), std::slice::from_ref(&first));

    // A new one: one build, from it.
    let newer = import(&fixture.cloud, fixture.dir.path(), &region(), "base-2", base.as_deref());
    fixture.services.send(&fixture.inbox, &notification);
    fixture.services.send(&fixture.inbox, &notification);
    fixture.until("a second build", |fixture| fixture.builds().len() == 2);
    let second = fixture.builds().into_iter().find(|id| *id != first).unwrap();
    let build = fixture.ended(&second, LONG);
    assert_eq!(build["phase"], "succeeded", "{}", fixture.logs());
    assert_eq!(build["plan"]["data"]["source_ami"], newer.as_str());
    let logs = fixture.bakehouse(&["logs", &second]);
    assert!(logs.stdout.contains(said(base.as_deref())), "{}", logs.stdout);
    fixture.until("the notifications have been handled", |fixture| fixture.services.depth(&fixture.inbox) == (0, 0));
    assert_eq!(fixture.builds().len(), 2);
    fixture.nothing_left(2);
}

/// One of the samples.
pub(crate) fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
