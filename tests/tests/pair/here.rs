//! `bakehouse build` without `--local`: on an instance, against EC2, in one process.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    programs,
    world::{Plan, Run, World, region},
};

/// The command on the instance that this machine is, with the instance's role alone.
fn command(world: &World, imds: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(programs::bakehouse());
    command
        .args(arguments)
        .current_dir(world.dir.path())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", world.dir.path())
        .env("BAKEHOUSE_STATE", world.dir.path().join("state"))
        .env("BAKEHOUSE_BY_ID", world.cloud.by_id())
        .env("AWS_ENDPOINT_URL_EC2", world.ec2.url())
        .env("AWS_ENDPOINT_URL", &world.services.endpoint)
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds)
        .stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn template(world: &World, options: Value, line: &str) -> String {
    world.template("here.json", options, json!([{ "type": "shell", "inline": [line] }]))
}

#[test]
fn root_here_a_template_is_baked_on_this_instance() {
    let test = "root_here_a_template_is_baked_on_this_instance";
    let Some(world) = World::start(test, Plan { environments: 0, ..Plan::default() }) else { return };
    let imds = world.imds(0);
    let template = template(&world, json!({ "ami_regions": ["eu-west-1"] }), "echo it runs here");
    let done = run(command(&world, &imds.url(), &["build", &template]));
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("it runs here"), "{}", done.stderr);
    assert!(done.stdout.contains("us-east-1: ami-") && done.stdout.contains("eu-west-1: ami-"), "{}", done.stdout);
    world.nothing_left(2);
    let listed = run(command(&world, &imds.url(), &["ls", "--json"])).json();
    assert_eq!(listed[0]["state"], "succeeded");

    // Somewhere else than where the instance is there is nothing that it could attach.
    let elsewhere = world.template("else.json", json!({ "region": "eu-west-1" }), json!([]));
    let refused = run(command(&world, &imds.url(), &["build", &elsewhere]));
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("this instance is in us-east-1"), "{}", refused.stderr);
}

#[test]
fn root_here_a_missing_permission_is_named_in_one_line() {
    use bakehouse_localcloud::http::{Effect, Fault};
    let test = "root_here_a_missing_permission_is_named_in_one_line";
    let Some(world) = World::start(test, Plan { environments: 0, ..Plan::default() }) else { return };
    let imds = world.imds(0);
    world.ec2.faults().add(Fault::each("CreateSnapshot", Effect::Error("UnauthorizedOperation".to_owned())));
    let done = run(command(&world, &imds.url(), &["build", &template(&world, json!({}), "true")]));
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let line = done.stderr.lines().find(|line| line.contains("error:")).unwrap_or_default();
    assert!(line.contains("CreateSnapshot") && line.contains("ec2:CreateSnapshot"), "{}", done.stderr);
    world.nothing_left(0);
}

#[test]
fn root_here_a_killed_run_is_undone_by_the_sweep() {
    let test = "root_here_a_killed_run_is_undone_by_the_sweep";
    let Some(world) = World::start(test, Plan { environments: 0, ..Plan::default() }) else { return };
    let imds = world.imds(0);
    let mut child: Child = command(&world, &imds.url(), &["build", &template(&world, json!({}), "sleep 600")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let attached = |world: &World| {
        let everything = world.cloud.everything().unwrap();
        everything.iter().flat_map(|place| &place.volumes).any(|volume| !volume.attachments.is_empty())
    };
    while !attached(&world) {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not come so far");
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(Duration::from_secs(1));
    child.kill().unwrap();
    child.wait().unwrap();
    let left = run(command(&world, &imds.url(), &["sweep"]));
    assert!(left.stdout.contains(&format!("in {}", region())), "{}\n{}", left.stdout, left.stderr);
    let swept = run(command(&world, &imds.url(), &["sweep", "--yes"]));
    assert_eq!(swept.code, Some(0), "{}", swept.stderr);
    world.nothing_left(0);
}
