//! Several builds at the same time, on one host and in one invocation.

use std::{collections::BTreeSet, fs};

use bakehouse_localcloud::Delays;
use bakehouse_localcloud::http::{Effect, Fault, JournalEntry};
use bakehouse_protocol::{Millis, Report, ReportBody};
use serde_json::{Value, json};

use crate::{fixture::Fixture, options::Options, triggers::LONG};

const BUILDS: usize = 4;

/// How many resources a call described, if it named them: by their ids, or by a filter.
fn described(call: &JournalEntry) -> Option<usize> {
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

/// When the agent began and ended a build, by its reports in the build's log.
fn job(fixture: &Fixture, build: &str) -> (u64, u64) {
    let request = json!({
        "logGroupName": "/bakehouse/bakehouse/builds", "logStreamName": build, "startFromHead": true, "limit": 10000,
    });
    let found = fixture.services.logs("GetLogEvents", request);
    let lines = found["events"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str());
    // The other lines are the controller's.
    let reports: Vec<Report> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    let ended = reports.iter().find(|report| matches!(report.body, ReportBody::Ended(_)));
    let began = reports.iter().map(|report| report.at.0).min();
    (began.unwrap(), ended.unwrap_or_else(|| panic!("{build} has no end: {reports:#?}")).at.0)
}

#[test]
fn root_pair_four_builds_share_a_host_and_describe_calls() {
    let test = "root_pair_four_builds_share_a_host_and_describe_calls";
    let delays = Delays {
        create_volume: Millis(2500),
        attach: Millis(2000),
        detach: Millis(1000),
        create_snapshot: Millis(5000),
        register_image: Millis(3000),
        ..Delays::default()
    };
    // One environment, so that what arrives during an invocation is in one batch.
    let options = Options { slots: 4, environments: 1, delays, ..Options::default() };
    let Some(mut fixture) = Fixture::start(test, options) else { return };
    // A call takes about as long as EC2's do: requests during one are merged into the next.
    let late = Effect::DelayMs(200);
    fixture.ec2.faults().add(Fault { action: None, region: None, after: 0, every: 1, times: None, effect: late });
    fixture.start_host();
    fixture.until("the host is known", |fixture| fixture.bakehouse(&["hosts", "--json"]).json()[0]["state"] == "ready");

    // One request for all: they are handled in one invocation.
    let path = fixture.template("four.json", json!({}), json!([{ "type": "shell", "inline": ["sleep 3"] }]));
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
    let run = fixture.bakehouse(&["submit", &path]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let ids: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(ids.len(), BUILDS, "{}", run.stdout);
    for id in &ids {
        let build = fixture.ended(id, LONG);
        assert_eq!((&build["phase"], &build["attempt"]), (&json!("succeeded"), &json!(1)), "{}", fixture.logs());
    }
    fixture.nothing_left(BUILDS);
    fixture.made_once(&ids, 0);

    // The agent had them beside each other.
    let jobs: Vec<(u64, u64)> = ids.iter().map(|id| job(&fixture, id)).collect();
    let at_once = |moment: u64| jobs.iter().filter(|(began, ended)| (*began..*ended).contains(&moment)).count();
    let most = jobs.iter().map(|(began, _)| at_once(*began)).max().unwrap();
    assert!(most >= 2, "never two jobs at once: {jobs:?}");

    // The function looked at the things of several builds in one call.
    let calls = fixture.ec2.calls();
    let describes: Vec<(&str, usize)> =
        calls.iter().filter_map(|call| Some((call.action.as_str(), described(call)?))).collect();
    let invocations = fixture.invocations().count.load(std::sync::atomic::Ordering::SeqCst);
    println!(
        "{most} jobs at once; {} calls of EC2 in {invocations} invocations; described: {describes:?}",
        calls.len()
    );
    let merged: BTreeSet<&str> = describes.iter().filter(|(_, count)| *count >= 2).map(|(action, _)| *action).collect();
    assert!(!merged.is_empty(), "no call described several: {describes:?}");
}
