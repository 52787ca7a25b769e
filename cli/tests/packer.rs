//! The options and commands that Packer's users know, as they see them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::User;
use insta::assert_snapshot;

const TWO: &str = r#"{
  "builders": [
    {"type": "amazon-chroot", "name": "one", "source_ami": "ami-12345678", "ami_name": "one"},
    {"type": "amazon-chroot", "name": "two", "source_ami": "ami-12345678", "ami_name": "{{user `name`}}"}
  ],
  "variables": {"name": "two"},
  "provisioners": [{"type": "shell", "inline": ["true"]}]
}
"#;

#[test]
fn builds_are_selected_by_name() {
    let user = User::new().with("t.json", TWO);
    for given in [&["-only=one"][..], &["--only", "one"], &["-except=two"], &["-only", "one,two", "-except", "two"]] {
        let seen = user.sees(&[&["validate"], given, &["t.json"]].concat());
        assert!(seen.contains("t.json is valid: 1 builder\n"), "{given:?}: {seen}");
    }
    let seen = user.sees(&["validate", "-only=one", "-only=two", "t.json"]);
    assert!(seen.contains("t.json is valid: 2 builders\n"), "{seen}");
}

#[test]
fn packers_flags_take_a_value_or_none() {
    let user = User::new().with("t.json", TWO);
    let flags = ["-syntax-only", "-no-warn-undeclared-var", "-evaluate-datasources", "-use-sequential-evaluation"];
    for flag in flags.into_iter().chain(["-ignore-prerelease-plugins", "-skip-enforcement", "-color"]) {
        for flag in [flag.to_owned(), format!("{flag}=false"), format!("-{flag}=1")] {
            let seen = user.sees(&["validate", &flag, "t.json"]);
            assert!(seen.starts_with("exit 0\n"), "{flag}: {seen}");
        }
    }
    let seen = user.sees(&["validate", "-syntax-only=perhaps", "t.json"]);
    assert!(seen.starts_with("exit 2\n") && seen.contains("write true or false"), "{seen}");
}

#[test]
fn the_syntax_alone_can_be_checked() {
    let user = User::new().with("t.json", r#"{"builders": [{"type": "amazon-chroot"}]}"#).with("broken.json", "{");
    let seen = ["t.json", "broken.json"].map(|template| user.sees(&["validate", "-syntax-only", template]));
    assert_snapshot!(seen[0], @r"
    exit 0
    --- stdout
    The syntax of t.json is valid
    --- stderr
    ");
    assert!(seen[1].starts_with("exit 2\n"), "{}", seen[1]);
    assert!(user.sees(&["validate", "t.json"]).starts_with("exit 2\n"));
}

#[test]
fn a_variable_that_is_given_but_not_declared_is_warned_of() {
    let user = User::new().with("t.json", TWO);
    assert_snapshot!(user.sees(&["validate", "-var", "nmae=web", "t.json"]), @r"
    exit 0
    --- stdout
    t.json is valid: 2 builders, 1 warning
    --- stderr
      ! the variable `nmae` is given, but the template does not declare it
      help: Did you mean `name`?
    ");
    let seen = user.sees(&["validate", "-no-warn-undeclared-var", "-var", "nmae=web", "t.json"]);
    assert!(seen.ends_with("t.json is valid: 2 builders\n--- stderr\n"), "{seen}");
}

#[test]
fn an_option_that_is_none_is_named_as_it_was_written() {
    let seen = User::new().with("t.json", TWO).sees(&["validate", "-onyl=one", "t.json"]);
    assert!(seen.starts_with("exit 2\n") && seen.contains("unexpected argument '--onyl' found"), "{seen}");
    assert!(seen.contains("a similar argument exists: '--only'"), "{seen}");
}

/// The lines of `-machine-readable` without their times.
fn machine_lines(seen: &str) -> String {
    let (_, rest) = seen.split_once("--- stdout\n").unwrap();
    let (stdout, _) = rest.split_once("\n--- stderr").unwrap();
    let line = |line: &str| {
        let (time, rest) = line.split_once(',').unwrap_or_else(|| panic!("{line}"));
        assert!(time.parse::<u64>().is_ok_and(|time| time > 1_700_000_000), "{line}");
        rest.to_owned()
    };
    stdout.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn validate_speaks_to_programs_too() {
    let user = User::new().with("t.json", TWO).with("broken.json", "{");
    let seen = user.sees(&["-machine-readable", "validate", "t.json"]);
    assert_eq!(machine_lines(&seen), ",ui,say,The configuration is valid.");
    let seen = user.sees(&["validate", "-machine-readable", "broken.json"]);
    assert!(seen.starts_with("exit 2\n"), "{seen}");
    assert_eq!(machine_lines(&seen), ",ui,error,broken.json has 1 mistake");
    // Only where there is something to say in it.
    assert!(user.sees(&["-machine-readable", "ls"]).starts_with("exit 2\n"));
}

#[test]
fn root_failed_builds_have_packers_lines() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP root_failed_builds_have_packers_lines: not root");
        return;
    }
    let user = User::new().with("t.json", TWO);
    let seen = user.sees(&["build", "--local", "-machine-readable", "-only=one", "t.json"]);
    assert!(seen.starts_with("exit 1\n"), "{seen}");
    let lines = machine_lines(&seen);
    let message = "no image in us-east-1 matches id ami-12345678";
    let error = lines.lines().find(|line| line.starts_with("one,error,")).unwrap_or_else(|| panic!("{lines}"));
    assert!(error.contains(message), "{lines}");
    for line in [
        ",ui,say,==> one: Prevalidating AMI Name: one",
        ",error-count,1",
        r",ui,error,\n==> Some builds didn't complete successfully and had errors:",
        r",ui,say,\n==> Builds finished but no artifacts were created.",
    ] {
        assert!(lines.lines().any(|it| it == line), "{line} is not in\n{lines}");
    }
    let both = user.sees(&["build", "--local", "-timestamp-ui", "t.json"]);
    let told = both.lines().filter(|line| line.contains("Z: one: ") || line.contains("Z: two: "));
    assert!(told.count() > 4 && both.contains("failed: one, two"), "{both}");
}
