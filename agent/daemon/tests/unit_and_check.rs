//! For the operator: the systemd unit, and `bakehouse-agent check`.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, path::Path, process::Command};

use support::Stack;

#[test]
fn systemd_accepts_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("SKIP systemd_accepts_the_unit: systemd-analyze is not installed");
        return;
    }
    let unit = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/bakehouse-agent.service")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // The program is where it was built.
    let built = unit.replace("/usr/local/bin/bakehouse-agent", env!("CARGO_BIN_EXE_bakehouse-agent"));
    assert_ne!(built, unit);
    let verify = |text: &str| {
        let path = dir.path().join("bakehouse-agent.service");
        fs::write(&path, text).unwrap();
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(verify(&built), (true, String::new()));
    let (valid, output) = verify(&built.replace("KillMode=", "KilMode="));
    assert!(!valid || output.contains("KilMode"), "the check overlooks mistakes");
}

#[test]
fn the_unit_waits_for_the_daemon_to_drain() {
    let unit = include_str!("../dist/bakehouse-agent.service");
    let number = |name: &str| -> u64 {
        let line = unit.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.parse().unwrap()
    };
    let sample: serde_json::Value = serde_json::from_str(include_str!("../dist/agent.json")).unwrap();
    let (drain, cancelled, last_words) = (sample["drain_seconds"].as_u64().unwrap(), 200, 15);
    assert!(number("TimeoutStopSec=") > drain + cancelled + last_words);
}

#[test]
fn check_reports_what_is_missing() {
    let Some(stack) = Stack::start("check_reports_what_is_missing") else { return };
    let config = stack.settings(Path::new("/dev/disk/by-id"), "");
    let run = || {
        let output = stack.command("check", &config).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        println!("{text}");
        (output.status.code(), text)
    };
    let line = |text: &str, name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
    let (_, text) = run();
    assert!(line(&text, " instance ").starts_with("ok "), "{text}");
    assert!(line(&text, " queue ").starts_with("poor "), "{text}");
    stack.make_queue();
    let (code, text) = run();
    assert!(line(&text, " queue ").starts_with("ok "), "{text}");
    // As root on a machine that does builds, nothing is missing.
    assert_eq!(code, Some(i32::from(text.contains("MISSING"))));
    // Nobody answers at the metadata address.
    let output =
        stack.command("check", &config).env("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1").output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(line(&String::from_utf8(output.stdout).unwrap(), " instance ").starts_with("MISSING"));
    // No settings at all.
    let output = stack.command("check", Path::new("/none")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
