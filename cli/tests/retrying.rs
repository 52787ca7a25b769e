//! A build against AWS that waits on a call which goes on failing, as its user sees it.

#![cfg(feature = "aws")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use common::{
    User,
    served::{Served, ask},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const TEMPLATE: &str = r#"{"builders": [{"type": "amazon-chroot", "source_ami": "ami-12345678", "ami_name": "one"}]}"#;

#[test]
fn root_a_call_that_goes_on_failing_is_told_while_the_build_waits() {
    let test = "root_a_call_that_goes_on_failing_is_told_while_the_build_waits";
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP {test}: not root");
        return;
    }
    let mut served = Served::start(&["--listen", "127.0.0.1:0", "--imds", "127.0.0.1:0", "--test-api"]);
    let ec2 = served.export("AWS_ENDPOINT_URL_EC2");
    served.export("AWS_ENDPOINT_URL_STS");
    let imds = served.export("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let fault = r#"{"action": "DescribeImages", "effect": {"error": "InternalError"}}"#;
    assert!(ask(&ec2, "POST", "/_bakehouse/faults", fault).contains("DescribeImages"));
    let environment = [
        ("AWS_ENDPOINT_URL", ec2.as_str()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ];
    let user = User::new().with("t.json", TEMPLATE);
    let mut build = user.command(&["build", "-v", "t.json"], &environment);
    let mut build = build.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();

    // It goes on until somebody ends it. With `-v` each fault is in the log, from the first on, with its cause.
    let mut said = BufReader::new(build.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = said.find(|line| line.contains(" WARN ")).unwrap();
    for part in ["command=resolve", "kind=Ambiguous", "InternalError: An internal error has occurred", "build=b-"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let line = said.find(|line| line.contains("retrying: ")).unwrap();
    assert!(line.contains("retrying: DescribeImages "), "{line}");
    assert!(line.contains(": InternalError: An internal error has occurred (3 times in "), "{line}");
    let listed = user.sees(&["ls"]);
    assert!(listed.contains("resolving, retrying") && listed.contains("is retrying: DescribeImages"), "{listed}");
    let shown = user.sees(&["show", "last"]);
    assert!(shown.contains("\nretrying\n  DescribeImages "), "{shown}");
    let json = user.sees(&["show", "last", "--json"]);
    assert!(json.contains(r#""retrying": ["#) && json.contains(r#""message": "DescribeImages "#), "{json}");

    kill(Pid::from_raw(build.id().cast_signed()), Signal::SIGINT).unwrap();
    let rest: Vec<String> = said.collect();
    assert!(!rest.iter().any(|line| line.contains("retrying: ")), "it was told twice: {rest:?}");
    assert_eq!(build.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(!user.sees(&["show", "last"]).contains("retrying"));
}
