//! Several builds at the same time, on one host and in one invocation.

use std::{collections::BTreeSet, fs};

use bakehouse_localcloud::Delays;
use bakehouse_localcloud::http::{Effect, Fault, JournalEntry};
use bakehouse_protocol::{Millis, Report, ReportBody};
use serde_json::{Value, json};

use crate::{
    triggers::LONG,
    world::{Plan, World},
};

const BUILDS: usize = 4;

/// How many single things a call looked at, if it was a look at such: by their ids, or by a filter that names them.
fn looked_at(call: &JournalEntry) -> Option<usize> {
    let (ids, filter) = match call.action.as_str() {
        "DescribeVolumes" => ("VolumeId.", "volume-id"),
        "DescribeSnapshots" => ("SnapshotId.", "snapshot-id"),
        "DescribeImages" => ("ImageId.", "image-id"),
        _ => return None,
    };
    let count = |prefix: &str| call.parameters.keys().filter(|name| name.starts_with(prefix)).count();
    match (count(ids), call.parameters.get("Filter.1.Name")) {
        (0, Some(name)) if name == filter => Some(count("Filter.1.Value.")),
        (0, _) => None,
        (ids, _) => Some(ids),
    }
}

/// From when to when the agent worked on a build, by its own words in the build's log.
fn job(world: &World, build: &str) -> (u64, u64) {
    let asked = json!({
        "logGroupName": "/bakehouse/bakehouse/builds", "logStreamName": build, "startFromHead": true, "limit": 10000,
    });
    let found = world.services.logs("GetLogEvents", asked);
    let lines = found["events"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str());
    // The other lines are the controller's.
    let reports: Vec<Report> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    let ended = reports.iter().find(|report| matches!(report.body, ReportBody::Ended(_)));
    let began = reports.iter().map(|report| report.at.0).min();
    (began.unwrap(), ended.unwrap_or_else(|| panic!("{build} has no end: {reports:#?}")).at.0)
}

#[test]
fn root_pair_four_builds_at_once_share_a_host_and_their_looks() {
    let test = "root_pair_four_builds_at_once_share_a_host_and_their_looks";
    let delays = Delays {
        create_volume: Millis(2500),
        attach: Millis(2000),
        detach: Millis(1000),
        create_snapshot: Millis(5000),
        register_image: Millis(3000),
        ..Delays::default()
    };
    // One environment, so that what comes while it is at work is given to it together.
    let plan = Plan { slots: 4, environments: 1, delays, ..Plan::default() };
    let Some(mut world) = World::start(test, plan) else { return };
    // A call takes about as long as EC2's do: what is asked meanwhile goes into the next one.
    let late = Effect::DelayMs(200);
    world.ec2.faults().add(Fault { action: None, region: None, after: 0, every: 1, times: None, effect: late });
    world.start_host();
    world.until("the host is known", |world| world.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "ready");

    // One request for all: they are handled in one invocation.
    let path = world.template("four.json", json!({}), json!([{ "type": "shell", "inline": ["sleep 3"] }]));
    let mut template: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let builder = template["builders"][0].clone();
    template["builders"] = (1..=BUILDS)
        .map(|n| {
            let mut builder = builder.clone();
            builder["name"] = json!(format!("build-{n}"));
            builder["ami_name"] = json!(format!("image-{n}-{{{{uuid}}}}"));
            builder
        })
        .collect();
    fs::write(&path, template.to_string()).unwrap();
    let run = world.bakehouse(&["submit", &path]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let ids: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(ids.len(), BUILDS, "{}", run.stdout);
    for id in &ids {
        let build = world.ended(id, LONG);
        assert_eq!((&build["phase"], &build["attempt"]), (&json!("succeeded"), &json!(1)), "{}", world.words());
    }
    world.nothing_left(BUILDS);
    world.made_once(&ids, 0);

    // The agent had them beside each other.
    let jobs: Vec<(u64, u64)> = ids.iter().map(|id| job(&world, id)).collect();
    let at_once = |moment: u64| jobs.iter().filter(|(began, ended)| (*began..*ended).contains(&moment)).count();
    let most = jobs.iter().map(|(began, _)| at_once(*began)).max().unwrap();
    assert!(most >= 2, "never two jobs at once: {jobs:?}");

    // The function looked at the things of several builds in one call.
    let calls = world.ec2.calls();
    let looks: Vec<(&str, usize)> =
        calls.iter().filter_map(|call| Some((call.action.as_str(), looked_at(call)?))).collect();
    let invocations = world.tally().invocations.load(std::sync::atomic::Ordering::SeqCst);
    println!("{most} jobs at once; {} calls of EC2 in {invocations} invocations; looks: {looks:?}", calls.len());
    let merged: BTreeSet<&str> = looks.iter().filter(|(_, count)| *count >= 2).map(|(action, _)| *action).collect();
    assert!(!merged.is_empty(), "each look was a call of its own: {looks:?}");
}
