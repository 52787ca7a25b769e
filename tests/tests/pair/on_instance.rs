//! `bakehouse build` without `--local`: on an instance, against EC2, in one process.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{fixture::Fixture, names::region, options::Options, programs, run::Run};

/// The command on the instance that this machine is, with the instance's role alone.
fn command(fixture: &Fixture, imds: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(programs::bakehouse());
    command
        .args(arguments)
        .current_dir(fixture.dir.path())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", fixture.dir.path())
        .env("BAKEHOUSE_STATE", fixture.dir.path().join("state"))
        .env("BAKEHOUSE_BY_ID", fixture.cloud.by_id())
        .env("AWS_ENDPOINT_URL_EC2", fixture.ec2.url())
        .env("AWS_ENDPOINT_URL", &fixture.services.endpoint)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds)
        .stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Run {
    command.output().unwrap().into()
}

fn template(fixture: &Fixture, options: Value, line: &str) -> String {
    fixture.template("on-instance.json", options, json!([{ "type": "shell", "inline": [line] }]))
}

#[test]
fn root_on_instance_a_template_is_built() {
    let test = "root_on_instance_a_template_is_built";
    let Some(fixture) = Fixture::start(test, Options { environments: 0, ..Options::default() }) else { return };
    let imds = fixture.imds(0);
    let template = template(&fixture, json!({ "ami_regions": ["eu-west-1"] }), "echo it runs here");
    let done = run(command(&fixture, &imds.url(), &["build", &template]));
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("it runs here"), "{}", done.stderr);
    assert!(done.stdout.contains("us-east-1: ami-") && done.stdout.contains("eu-west-1: ami-"), "{}", done.stdout);
    fixture.nothing_left(2);
    let listed = run(command(&fixture, &imds.url(), &["ls", "--json"])).json();
    assert_eq!(listed[0]["state"], "succeeded");

    // In another region than its own the instance can attach nothing.
    let elsewhere = fixture.template("else.json", json!({ "region": "eu-west-1" }), json!([]));
    let refused = run(command(&fixture, &imds.url(), &["build", &elsewhere]));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("this instance is in us-east-1"), "{}", refused.stderr);
}

#[test]
fn root_on_instance_a_missing_permission_is_named() {
    use bakehouse_localcloud::http::{Effect, Fault};
    let test = "root_on_instance_a_missing_permission_is_named";
    let Some(fixture) = Fixture::start(test, Options { environments: 0, ..Options::default() }) else { return };
    let imds = fixture.imds(0);
    fixture.ec2.faults().add(Fault::each("CreateSnapshot", Effect::Error("UnauthorizedOperation".to_owned())));
    let done = run(command(&fixture, &imds.url(), &["build", &template(&fixture, json!({}), "true")]));
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let line = done.stderr.lines().find(|line| line.contains("error:")).unwrap_or_default();
    assert!(line.contains("CreateSnapshot") && line.contains("ec2:CreateSnapshot"), "{}", done.stderr);
    fixture.nothing_left(0);
}

#[test]
fn root_on_instance_sweep_undoes_a_killed_build() {
    let test = "root_on_instance_sweep_undoes_a_killed_build";
    let Some(fixture) = Fixture::start(test, Options { environments: 0, ..Options::default() }) else { return };
    let imds = fixture.imds(0);
    let mut child: Child = command(&fixture, &imds.url(), &["build", &template(&fixture, json!({}), "sleep 600")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let attached = |fixture: &Fixture| {
        let everything = fixture.cloud.everything().unwrap();
        everything.iter().flat_map(|place| &place.volumes).any(|volume| !volume.attachments.is_empty())
    };
    while !attached(&fixture) {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not come so far");
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_secs(1));
    child.kill().unwrap();
    child.wait().unwrap();
    let left = run(command(&fixture, &imds.url(), &["sweep"]));
    assert!(left.stdout.contains(&format!("in {}", region())), "{}\n{}", left.stdout, left.stderr);
    let swept = run(command(&fixture, &imds.url(), &["sweep", "--yes"]));
    assert_eq!(swept.code, Some(0), "{}", swept.stderr);
    fixture.nothing_left(0);
}
