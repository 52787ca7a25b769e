//! Every sample in `events/` is understood as its README says, and the README names every sample.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use bakehouse_lambda::incoming::{Incoming, parse};
use bakehouse_protocol::{BuildTarget, InboxMessage, InstanceId, ReportBody, Timestamp};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

fn sample(name: &str) -> Incoming {
    parse(&fs::read_to_string(folder().join(name)).expect(name))
}

fn host() -> InstanceId {
    InstanceId::new("i-0f1e2d3c4b5a69788").expect("an id")
}

/// The samples and what is expected of each, in one word.
fn word(incoming: &Incoming) -> String {
    match incoming {
        Incoming::Message(message) => match message.as_ref() {
            InboxMessage::Request(request) => match &request.target {
                BuildTarget::Bundle(bundle) => {
                    format!("request {} of {} bytes", request.build.as_ref().expect("an id"), bundle.size)
                }
                BuildTarget::Recipe(name) => format!("request recipe {name}"),
            },
            InboxMessage::Report { report } => {
                assert!(matches!(report.body, ReportBody::Ended(_)));
                format!("report on {}", report.build)
            }
            InboxMessage::Host { host } => format!("host {} with {} slots", host.host, host.slots),
            InboxMessage::Tick { build } => format!("tick {build}"),
            InboxMessage::Cancel { build } => format!("cancel {build}"),
            InboxMessage::Patrol => "patrol".into(),
            InboxMessage::Release => "release".into(),
            InboxMessage::Drain { host, draining } => format!("drain {host} {draining}"),
        },
        Incoming::ResourcesChanged { resources } => format!("hint {}", resources.join(" ")),
        Incoming::HostLost { instance, state, at } => {
            assert_eq!(instance, &host());
            assert!(at.is_some());
            format!("lost, {state}")
        }
        Incoming::HostDraining { instance, why } => {
            assert_eq!(instance, &host());
            format!("warned, {why}")
        }
        Incoming::Release { from } => format!("release {from}"),
        Incoming::ParameterChanged { name } => format!("parameter {name}"),
        Incoming::Scheduled { name, event, at } => {
            assert_eq!(event, "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa");
            assert_eq!(*at, Some(Timestamp(1_795_340_528_000)));
            format!("scheduled {name}")
        }
        Incoming::Ignored { what } => format!("aside, {what}"),
        Incoming::RejectedRequest { build, why } => format!("refused on {build}: {why}"),
        Incoming::Invalid(why) => format!("not understood: {why}"),
    }
}

const EXPECTED: &[(&str, &str)] = &[
    ("autoscaling-terminated.json", "lost, terminated"),
    ("autoscaling-terminating.json", "warned, EC2 Instance-terminate Lifecycle Action"),
    ("cancel.json", "cancel b-6a0f1c2d-5e77a9b1"),
    ("drain.json", "drain i-0f1e2d3c4b5a69788 true"),
    ("host.json", "host i-0f1e2d3c4b5a69788 with 4 slots"),
    ("image-available.json", "hint ami-0123456789abcdef0"),
    ("image-failed.json", "hint ami-0123456789abcdef0"),
    ("instance-running.json", "aside, EC2 Instance State-change Notification"),
    ("instance-stopping.json", "lost, stopping"),
    ("instance-terminated.json", "lost, terminated"),
    ("parameter-changed.json", "parameter /golden-ami"),
    ("patrol.json", "patrol"),
    ("release.json", "release"),
    ("report.json", "report on b-6a0f1c2d-5e77a9b1"),
    ("request-bundle.json", "request b-6a0f1c2d-5e77a9b1 of 4096 bytes"),
    ("request-scheduled.json", "request recipe web"),
    ("request-recipe.json", "request recipe web"),
    ("scheduled-rule.json", "scheduled nightly"),
    ("scheduler-default.json", "scheduled web"),
    ("snapshot-completed.json", "hint snap-0aa1b2c3d4e5f6071 vol-049df61146c4d7901"),
    ("snapshot-copied.json", "hint snap-0aa1b2c3d4e5f6071 snap-0bb1b2c3d4e5f6072"),
    ("snapshots-completed.json", "hint snap-0aa1b2c3d4e5f6071 vol-049df61146c4d7901"),
    ("sns-amazon-linux-2.json", "release arn:aws:sns:us-east-1:137112412989:amazon-linux-2-ami-updates"),
    ("sns-amazon-linux-2023.json", "release arn:aws:sns:us-east-1:137112412989:amazon-linux-2023-ami-updates"),
    ("sns-ecs-optimized.json", "release arn:aws:sns:us-east-1:177427601217:ecs-optimized-amazon-ami-update"),
    ("sns-request.json", "request recipe web"),
    (
        "sns-subscription.json",
        "not understood: it is the SubscriptionConfirmation of arn:aws:sns:us-east-1:111122223333:bake-please, which \
         only a person should confirm: open its SubscribeURL",
    ),
    ("sns-windows.json", "release arn:aws:sns:us-east-1:801119661308:ec2-windows-ami-update"),
    ("spot-interruption.json", "warned, EC2 Spot Instance Interruption Warning"),
    ("tick.json", "tick b-6a0f1c2d-5e77a9b1"),
    ("unknown-version.json", "not understood: it is of version 2; this controller knows version 1"),
    ("volume-available.json", "hint vol-049df61146c4d7901"),
    ("volume-failed.json", "hint vol-049df61146c4d7901"),
];

#[test]
fn every_sample_is_understood_as_it_says() {
    for (name, expected) in EXPECTED {
        assert_eq!(word(&sample(name)), *expected, "{name}");
    }
}

#[test]
fn the_readme_names_every_sample_and_every_sample_is_tested() {
    let there: BTreeSet<String> = fs::read_dir(folder())
        .expect("events/")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".json"))
        .collect();
    // A batch is what the function gets, not a message: not one that is read here.
    let mut tested: BTreeSet<String> = EXPECTED.iter().map(|(name, _)| (*name).to_owned()).collect();
    tested.insert("sqs-batch.json".into());
    assert_eq!(there, tested);
    let readme = fs::read_to_string(folder().join("README.md")).expect("a README");
    for name in there {
        assert!(readme.contains(&format!("| [{name}]({name}) |")), "{name}");
    }
}

#[test]
fn raw_delivery_leaves_the_notice_alone_and_it_rings_too() {
    for name in ["sns-amazon-linux-2.json", "sns-ecs-optimized.json"] {
        let sample: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder().join(name)).expect(name)).expect("JSON");
        let bare = sample["Message"].as_str().expect("a message");
        assert_eq!(parse(bare), Incoming::Release { from: "a release notice".into() });
    }
}
