//! The stack, made in a moto server. What moto's CloudFormation does not know is made through moto's own APIs, with the
//! properties that the template gives; it does not resolve `{{resolve:ssm:..}}`, keeps a security group's first rule,
//! forgets a function's architecture, and looks at no rights and no conditions.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use bakehouse_protocol::{OnDemand, StackConfig};
use bakehouse_tests::moto::Moto;
use bakehouse_tests::{
    template::{NEEDED, Template, path},
    tools,
};
use serde_json::{Value, json};

/// The types that moto 5.2.5's CloudFormation passes over.
const PASSED_OVER: [&str; 6] = [
    "AWS::AutoScaling::LifecycleHook",
    "AWS::CloudWatch::Alarm",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::ScheduleGroup",
    "AWS::Scheduler::Schedule",
];

/// The Python that has moto.
fn python(test: &str) -> Option<Command> {
    let Some(server) = tools::find("moto_server") else {
        println!("SKIP {test}: no moto_server (cargo xtask setup installs it)");
        return None;
    };
    Some(Command::new(server.with_file_name("python")))
}

/// Makes the stack with these parameters; returns what exists then.
fn make(test: &str, parameters: &[(&str, &str)], events: &Value) -> Option<(Template, Value)> {
    let moto = Moto::start(test)?;
    let mut python = python(test)?;
    let template =
        parameters.iter().fold(Template::read().unwrap(), |template, (name, value)| template.with(name, value));
    let mut resources = Vec::new();
    for kind in PASSED_OVER {
        let names = template.of_type(kind);
        resources.extend(names.iter().map(|name| template.resource(name)).filter(|resource| !resource.is_null()));
    }
    let of_ours = NEEDED.iter().filter(|(name, _)| !matches!(*name, "VpcId" | "Subnets"));
    let input = json!({
        "template": std::fs::read_to_string(path()).unwrap(),
        "parameters": of_ours.chain(parameters).copied().collect::<BTreeMap<_, _>>(),
        "resources": resources,
        "events": events,
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/infra/stack.py");
    python.envs(moto.environment());
    python.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let answer = serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap();
    Some((template, answer))
}

/// The samples of `events/` that come from EventBridge's bus, by name, and others that the rules must not let through.
fn samples() -> BTreeMap<String, Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events");
    let mut samples = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        let sample: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        // Schedules send to the inbox directly, not over the bus.
        let on_bus = sample["source"].as_str().is_some_and(|source| !matches!(source, "aws.events" | "aws.scheduler"));
        if on_bus && sample["detail-type"].is_string() {
            samples.insert(name, sample);
        }
    }
    assert!(samples.len() > 10, "{:?}", samples.keys());
    for (name, source, kind, detail) in [
        (
            "another-group",
            "aws.autoscaling",
            "EC2 Instance Terminate Successful",
            json!({ "AutoScalingGroupName": "web" }),
        ),
        ("image-deregistered", "aws.ec2", "EC2 AMI State Change", json!({ "State": "deregistered" })),
        ("not-amazons", "my.own", "EBS Volume Notification", json!({ "event": "createVolume" })),
        ("volume-deleted", "aws.ec2", "EBS Volume Notification", json!({ "event": "deleteVolume" })),
    ] {
        samples.insert(name.to_owned(), json!({ "source": source, "detail-type": kind, "detail": detail }));
    }
    samples
}

#[test]
fn moto_makes_the_stack_and_removes_it_again() {
    let samples = samples();
    let events: Value = samples.values().cloned().collect();
    let Some((template, answer)) = make("moto_makes_the_stack_and_removes_it_again", &[], &events) else { return };
    assert_eq!(answer["status"], "CREATE_COMPLETE");

    // Everything whose condition holds has been made, but for what moto passes over.
    let made: BTreeSet<&str> = answer["made"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let all = template.json["Resources"].as_object().unwrap();
    let expected = all.iter().filter(|(name, resource)| {
        let kind = resource["Type"].as_str().unwrap();
        !PASSED_OVER.contains(&kind) && !template.resource(name).is_null()
    });
    assert_eq!(made, expected.map(|(name, _)| name.as_str()).collect());

    let config: StackConfig = serde_json::from_str(answer["parameter"].as_str().unwrap()).unwrap();
    assert_eq!(answer["environment"], answer["parameter"]);
    assert_eq!(answer["on_demand"], Value::Null);
    assert_eq!(config.inbox_url, answer["outputs"]["InboxUrl"].as_str().unwrap());
    assert_eq!(config.bucket, answer["outputs"]["BundleBucket"].as_str().unwrap());
    assert_eq!(answer["runtime"], json!(["provided.al2023", "bootstrap", "x86_64"]));
    assert_eq!(answer["responses"], json!(["ReportBatchItemFailures"]));
    assert!(answer["redrive"].as_str().unwrap().ends_with(":bakehouse-inbox-dead"));
    assert_eq!(answer["keys"], json!(["pk", "sk"]));
    assert_eq!(answer["index"], json!(["by_state"]));
    assert_eq!(answer["metadata"]["HttpTokens"], "required");
    assert_eq!(answer["metadata"]["HttpPutResponseHopLimit"], 1);
    assert!(answer["user_data"].as_str().unwrap().starts_with("#!/bin/bash\n"));
    assert_eq!(answer["hosts"], json!([0, 1, 2, 1]), "and the instance carries the stack's tag");
    assert_eq!(answer["comes_in"], json!([]));
    assert_eq!(answer["alarms"].as_array().unwrap().len(), template.of_type("AWS::CloudWatch::Alarm").len());
    assert_eq!(answer["schedules"], json!([]));

    // What can't matter does not invoke the controller: snapshots of several volumes at once, and a host that starts
    // (the agent says so itself), are among the samples, but no build makes such.
    let arrived = answer["arrived"].as_array().unwrap().iter();
    let stayed = samples.keys().zip(arrived).filter(|(_, some)| *some == &json!([])).map(|(name, _)| name.as_str());
    let expected = [
        "another-group",
        "image-deregistered",
        "instance-running.json",
        "not-amazons",
        "snapshots-completed.json",
        "volume-deleted",
    ];
    assert_eq!(Vec::from_iter(stayed), expected);

    assert_eq!(answer["deleted"], json!(["DELETE_COMPLETE"]));
    assert_eq!(answer["left"], json!(["some-code"]));
}

#[test]
fn moto_makes_the_stack_with_every_parameter_set() {
    let parameters = [
        ("AgentKey", "v2/agent.tar.gz"),
        ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:ops"),
        ("AllowHostAccess", "true"),
        ("AllowOtherSnapshots", "true"),
        ("Architecture", "arm64"),
        ("BaseParameters", "/golden/*"),
        ("BundleDays", "180"),
        ("CopyRegions", "eu-west-1,us-west-2"),
        ("CopyRoleArns", "arn:aws:iam::444455556666:role/images,arn:aws:iam::777788889999:role/images"),
        ("HostEgress", "all"),
        ("HostFarewellSeconds", "600"),
        ("HostIdleSeconds", "600"),
        ("HostOnDemand", "true"),
        ("HostImage", "ami-0123456789abcdef0"),
        ("HostSilenceSeconds", "300"),
        ("HostSlots", "8"),
        ("HostType", "m7g.large"),
        ("HostVolumeSize", "50"),
        ("HostsDesired", "2"),
        ("HostsMax", "3"),
        ("HostsMin", "1"),
        ("ImageParameters", "/golden/*"),
        ("KmsKeyArns", "arn:aws:kms:us-east-1:123456789012:key/1,arn:aws:kms:us-east-1:123456789012:key/2"),
        ("LogDays", "90"),
        ("MaximumConcurrency", "8"),
        ("ReleasePoll", "rate(6 hours)"),
        ("ReservedConcurrency", "10"),
        ("ScheduleExpression", "rate(7 days)"),
        ("ScheduleRecipe", "web"),
        ("SessionManager", "false"),
    ];
    let test = "moto_makes_the_stack_with_every_parameter_set";
    let Some((template, answer)) = make(test, &parameters, &json!([])) else { return };
    assert_eq!(answer["status"], "CREATE_COMPLETE");
    // moto forgets the architecture.
    assert_eq!(template.resource("Controller")["Properties"]["Architectures"], json!(["arm64"]));
    assert_eq!(answer["hosts"], json!([1, 2, 3, 3]), "two of the group and the one on demand");
    let on_demand: OnDemand = serde_json::from_str(answer["on_demand"].as_str().unwrap()).unwrap();
    let [instance] = &on_demand.instances[..] else { panic!("{on_demand:?}") };
    assert_eq!((&answer["instances"][instance.as_str()], on_demand.idle_seconds), (&json!("m7g.large"), 600));
    assert_eq!(answer["outputs"]["OnDemandHost"], instance.as_str());
    assert_eq!(answer["schedules"], json!(["web"]));
    assert_eq!(answer["hooks"], json!(["finish-builds"]));
    assert_eq!(answer["deleted"], json!(["DELETE_COMPLETE"]));
    let script = answer["user_data"].as_str().unwrap();
    assert!(script.contains("'s3://some-code/v2/agent.tar.gz'") && script.contains("\"slots\":8}"), "{script}");
}
