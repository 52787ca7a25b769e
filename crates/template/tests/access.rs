//! The access options, which are kept apart from the specs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use bakehouse_protocol::access::{Access, Keys, Secret};
use common::{load_text, mistake, warnings, with_options};

fn access(options: &str) -> Access {
    let mut loaded = load_text(&with_options(options)).expect(options);
    assert_eq!((loaded.access.len(), loaded.builds.len()), (1, 1));
    loaded.access.remove(0)
}

#[test]
fn a_template_without_access_options_has_the_default() {
    assert_eq!(access(""), Access::default());
    // An empty string counts as not set, as with Packer: {{env `KEY`}} may be empty.
    assert_eq!(access(r#""access_key": "", "secret_key": "", "token": "", "profile": """#), Access::default());
}

#[test]
fn keys_are_not_in_the_spec_and_not_shown() {
    let options = r#""access_key": "AKIDEXAMPLE", "secret_key": "wJalr", "token": "FwoGZ""#;
    let loaded = load_text(&with_options(options)).unwrap();
    let keys =
        Keys { access_key: "AKIDEXAMPLE".into(), secret_key: Secret::new("wJalr"), token: Some(Secret::new("FwoGZ")) };
    assert_eq!(loaded.access[0].keys, Some(keys));
    assert_eq!(loaded.sensitive, ["wJalr", "FwoGZ"]);
    for text in [format!("{:?}", loaded.access), format!("{:?}", loaded.builds)] {
        assert!(!text.contains("wJalr") && !text.contains("FwoGZ"), "{text}");
    }
    assert_eq!(warnings(&with_options(options)), ["the template contains access keys"]);
}

#[test]
fn a_spec_has_an_access_key_only_if_a_step_uses_it() {
    let template = |step: &str| {
        format!(
            r#"{{"variables": {{"key": "wJalr", "password": "hunter2"}}, "sensitive-variables": ["key", "password"],
            "builders": [{{"type": "amazon-chroot", "source_ami": "ami-01234567", "ami_name": "web",
                          "access_key": "AKIDEXAMPLE", "secret_key": "{{{{user `key`}}}}"}}],
            "provisioners": [{{"type": "shell", "inline": ["{step}"]}}]}}"#
        )
    };
    let hidden = |step: &str| load_text(&template(step)).unwrap().builds.remove(0).sensitive;
    assert_eq!(hidden("login {{user `password`}}"), ["hunter2"]);
    assert_eq!(hidden("aws {{user `key`}}"), ["wJalr", "hunter2"]);
    let written = r#"{"builders": [{"type": "amazon-chroot", "source_ami": "ami-01234567", "ami_name": "web",
        "access_key": "AKIDEXAMPLE", "secret_key": "wJalr"}], "provisioners": [{"type": "shell", "inline": ["aws wJalr"]}]}"#;
    assert_eq!(load_text(written).unwrap().builds[0].sensitive, ["wJalr"]);
}

#[test]
fn each_builder_has_its_own_access() {
    let template = r#"{"builders": [
        {"type": "amazon-chroot", "name": "a", "ami_name": "web 1", "source_ami": "ami-01234567", "profile": "one"},
        {"type": "amazon-chroot", "name": "b", "ami_name": "web 2", "source_ami": "ami-01234567"}]}"#;
    let loaded = load_text(template).unwrap();
    let profiles: Vec<_> = loaded.access.iter().map(|access| access.profile.as_deref()).collect();
    assert_eq!(profiles, [Some("one"), None]);
}

#[test]
fn profile_file_endpoint_and_role_are_read() {
    let access = access(
        r#""profile": "baker", "shared_credentials_file": "/etc/aws", "custom_endpoint_ec2": "http://127.0.0.1:4566",
           "assume_role": {"role_arn": "arn:aws:iam::111122223333:role/bake", "session_name": "monday",
           "external_id": "outside", "duration_seconds": 1800, "policy_arns": ["arn:aws:iam::aws:policy/x"],
           "tags": {"team": "web"}}"#,
    );
    assert_eq!(access.profile.as_deref(), Some("baker"));
    assert_eq!(access.shared_credentials_file.as_deref(), Some("/etc/aws"));
    assert_eq!(access.custom_endpoint_ec2.as_deref(), Some("http://127.0.0.1:4566"));
    let role = access.assume_role.unwrap();
    assert_eq!((role.role_arn.as_str(), role.duration_seconds), ("arn:aws:iam::111122223333:role/bake", Some(1800)));
    assert_eq!((role.session_name.as_deref(), role.external_id), (Some("monday"), Some(Secret::new("outside"))));
    assert_eq!((role.policy_arns.len(), role.tags["team"].as_str()), (1, "web"));
}

#[test]
fn invalid_combinations_are_errors() {
    for (options, excerpt, message) in [
        (r#""token": "T""#, "\"T\"", "`token` is set without `access_key` and `secret_key`"),
        (
            r#""access_key": "A", "secret_key": "B", "profile": "p""#,
            "\"A\"",
            "`access_key` is set together with `profile`",
        ),
        (r#""custom_endpoint_ec2": "localhost""#, "\"localhost\"", "\"localhost\" is not a URL"),
        (r#""assume_role": {"role_arn": "bake"}"#, "\"bake\"", "\"bake\" is not the ARN of a role"),
        (
            r#""assume_role": {"role_arn": "arn:aws:iam::111122223333:role/bake", "duration_seconds": 60}"#,
            "60",
            "`duration_seconds` is 60",
        ),
    ] {
        assert_eq!(mistake(&with_options(options)), (excerpt.to_owned(), message.to_owned()));
    }
    let (_, message) = mistake(&with_options(r#""assume_role": {"session_name": "x"}"#));
    assert_eq!(message, "`assume_role` has no `role_arn`");
}
