//! Which builds of a template are read: `-only`, `-except`, builders of other types, and the steps of each.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

mod common;

use bakehouse_protocol::spec::{Action, Script};
use bakehouse_template::{Loaded, Problems};
use common::{Fixture, messages};

const BUILDERS: &str = r#"{"type": "amazon-chroot", "name": "a", "ami_name": "web a", "source_ami": "ami-01234567"},
    {"type": "amazon-chroot", "name": "b", "ami_name": "web b", "source_ami": "ami-01234567"},
    {"type": "virtualbox-iso", "iso_url": "{{nope", "boot_command": ["{{.HTTPIP}}"]}"#;

fn template(builders: &str, steps: &str) -> String {
    format!(r#"{{"builders": [{builders}], "provisioners": [{steps}]}}"#)
}

fn select(template: &str, only: &[&str], except: &[&str]) -> Result<Loaded, Problems> {
    let mut fixture = Fixture::new(template);
    fixture.request.only = only.iter().map(|&it| it.to_owned()).collect();
    fixture.request.except = except.iter().map(|&it| it.to_owned()).collect();
    fixture.load()
}

fn selected(only: &[&str], except: &[&str]) -> Vec<String> {
    let loaded = select(&template(BUILDERS, ""), only, except).unwrap();
    loaded.builds.into_iter().map(|build| build.display_name).collect()
}

#[test]
fn builds_are_selected_by_name_and_by_pattern() {
    assert_eq!(selected(&[], &[]), ["amazon-chroot.a", "amazon-chroot.b"]);
    assert_eq!(selected(&["a"], &[]), ["amazon-chroot.a"]);
    assert_eq!(selected(&["amazon-chroot.b"], &[]), ["amazon-chroot.b"]);
    assert_eq!(selected(&["amazon-chroot.*"], &[]), ["amazon-chroot.a", "amazon-chroot.b"]);
    assert_eq!(selected(&["amazon-chroot.*"], &["a", "virtualbox-iso"]), ["amazon-chroot.b"]);
    // A builder without a name has that of its type.
    let plain = template(&BUILDERS.replace(r#""name": "a", "#, ""), "");
    for pattern in ["amazon-chroot", "amazon-chroot.*"] {
        let loaded = select(&plain, &[pattern], &["b"]).unwrap();
        assert_eq!((loaded.builds.len(), loaded.builds[0].display_name.as_str()), (1, "amazon-chroot"));
    }
}

#[test]
fn other_builders_are_skipped_and_told() {
    let told = |only: &[&str], except: &[&str]| {
        let loaded = select(&template(BUILDERS, ""), only, except).unwrap();
        (loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), loaded.skipped)
    };
    let foreign = "virtualbox-iso".to_owned();
    assert_eq!(told(&[], &[]), (vec!["the build \"virtualbox-iso\" is skipped".to_owned()], vec![foreign.clone()]));
    assert_eq!(told(&[], &["virtualbox-*"]), (vec![], vec![foreign.clone()]));
    assert_eq!(told(&["a"], &[]), (vec![], vec!["amazon-chroot.b".to_owned(), foreign]));
    assert_eq!(told(&["a", "c"], &[]).0, ["-only=c matches nothing"]);
}

#[test]
fn no_build_left_is_an_error() {
    let left = |only: &[&str], except: &[&str]| messages(&select(&template(BUILDERS, ""), only, except).unwrap_err());
    let nothing = (String::new(), "no build is left after -only and -except".to_owned());
    assert_eq!(left(&["c"], &[]), vec![nothing.clone()]);
    assert_eq!(left(&[], &["*"]), vec![nothing.clone()]);
    let unsupported = ("\"virtualbox-iso\"".to_owned(), "the builder \"virtualbox-iso\" is not supported".to_owned());
    assert_eq!(left(&["virtualbox-iso", "a"], &[]), vec![unsupported.clone()]);
    assert_eq!(left(&["virtualbox-*"], &[]), vec![unsupported]);
}

#[test]
fn a_build_that_is_not_selected_is_not_read() {
    let broken = BUILDERS.replace("\"web b\"", "\"!\"");
    assert!(select(&template(&broken, ""), &["b"], &[]).is_err());
    select(&template(&broken, ""), &["a"], &[]).unwrap();
}

fn lines(loaded: &Loaded, build: usize) -> Vec<String> {
    let steps = loaded.builds[build].provisioners.iter().map(|step| &step.action);
    steps
        .flat_map(|action| match action {
            Action::Shell(shell) => shell.scripts.clone(),
            other => panic!("{other:?}"),
        })
        .flat_map(|script| match script {
            Script::Inline(lines) => lines,
            Script::File(file) => panic!("{file:?}"),
        })
        .map(|line| line.0)
        .collect()
}

#[test]
fn steps_are_for_the_builders_that_they_name() {
    let steps = r#"{"type": "shell", "inline": ["common"], "override": {"b": {"Inline": ["special"]}}},
        {"type": "shell", "only": "a", "inline": ["only a"]},
        {"type": "shell", "except": ["a"], "inline": ["not a"]},
        {"type": "windows-restart", "only": ["virtualbox-iso"]},
        {"type": "shell", "only": ["virtualbox-iso"], "script": "does-not-exist.sh"}"#;
    let loaded = select(&template(BUILDERS, steps), &[], &[]).unwrap();
    assert_eq!(lines(&loaded, 0), ["common", "only a"]);
    assert_eq!(lines(&loaded, 1), ["special", "not a"]);
}

#[test]
fn builder_names_in_steps_are_checked() {
    let found = |step: &str| {
        let step = format!(r#"{{"type": "shell", "inline": ["true"], {step}}}"#);
        let problems = select(&template(BUILDERS, &step), &["a"], &[]).unwrap_err();
        assert_eq!(problems.errors.len(), 1, "{problems:?}");
        (messages(&problems).remove(0), problems.errors[0].help_text().unwrap_or_default().to_owned())
    };
    let (message, help) = found(r#""only": ["virtualbox"]"#);
    assert_eq!(message, ("\"virtualbox\"".into(), "there is no builder \"virtualbox\"".into()));
    assert_eq!(help, "Did you mean \"virtualbox-iso\"?");
    let (message, help) = found(r#""override": {"zz": {}}"#);
    assert_eq!(message.1, "there is no builder \"zz\"");
    assert_eq!(help, "The builders are a, b, virtualbox-iso.");
    assert_eq!(found(r#""only": ["a"], "except": ["b"]"#).0.1, "`except` cannot be combined with `only`");
    assert_eq!(found(r#""except": 1"#).0.1, "`except` is a number");
    assert_eq!(found(r#""override": {"a": []}"#).0.1, "`a` is a list");
}

#[test]
fn force_replaces_images_of_the_same_name() {
    let mut fixture = Fixture::new(&template(BUILDERS, ""));
    assert!(!fixture.load().unwrap().builds[0].image.replacement.force_deregister);
    fixture.request.force = true;
    assert!(fixture.load().unwrap().builds.iter().all(|build| build.image.replacement.force_deregister));
}
