//! Templates as people have them: each is accepted as it is, with the warnings that it deserves, or refused for the
//! right reason.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A mistake in a test may panic.

mod common;

use std::{collections::BTreeMap, fs};

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Action, MountPartition},
};
use bakehouse_template::{Loaded, Problems, TemplateSource};
use common::{Fixture, messages};

/// A template of `tests/templates`, and what it is run with.
struct Wild(Fixture);

impl Wild {
    /// `files` are those that it names, relative to the working directory; one that ends with `/` is a directory.
    fn new(name: &str, files: &[&str]) -> Self {
        let path = format!("{}/tests/templates/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).unwrap();
        let mut fixture = Fixture::new(&text);
        for file in files {
            let path = fixture.directory.path().join(file);
            let directory = if file.ends_with('/') { Some(path.as_path()) } else { path.parent() };
            fs::create_dir_all(directory.unwrap()).unwrap();
            if !file.ends_with('/') {
                fs::write(path, "").unwrap();
            }
        }
        fixture.request.template = TemplateSource::Text { name: name.to_owned(), text };
        Self(fixture)
    }

    fn env(mut self, pairs: &[(&str, &str)]) -> Self {
        self.0.request.context.environment = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self
    }

    fn var(self, name: &str, value: &str) -> Self {
        Self(self.0.var(name, value))
    }

    fn only(mut self, pattern: &str) -> Self {
        self.0.request.only = vec![pattern.to_owned()];
        self
    }

    fn load(&self) -> Result<Loaded, Problems> {
        self.0.load()
    }

    /// Returns it if it is accepted with exactly these warnings.
    fn accepted(&self, warnings: &[&str]) -> Loaded {
        let loaded = self.load().unwrap_or_else(|problems| panic!("{:?}", messages(&problems)));
        let told: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told, warnings);
        loaded
    }

    fn refused(&self) -> Vec<String> {
        messages(&self.load().expect_err("it is wrong")).into_iter().map(|(_, message)| message).collect()
    }
}

const REPLACED: &str = "these mappings replace all of the source's";
const OLD_NAME: &str = "`clean_ami_name` is the old name of `clean_resource_name`";

#[test]
fn accepted_without_a_word() {
    for (name, files) in [
        ("smallest.json", &["setup.sh"] as &[&str]),
        ("sorted-keys.json", &["start.sh"]),
        ("host-shell.json", &["expected"]),
        ("host-directory-in-image.json", &["handover/inside.sh"]),
        ("three-partitions.json", &[]),
        ("command-wrapper.json", &["monitor.yml"]),
    ] {
        Wild::new(name, files).accepted(&[]);
    }
}

#[test]
fn keys_that_are_set_twice_are_refused() {
    let problems = Wild::new("doubled-keys.json", &[]).load().unwrap_err();
    assert_eq!(messages(&problems), [("\"tags\"".into(), "the key \"tags\" is set twice".into())]);
    let warnings: Vec<String> = problems.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["the key \"_comment\" is set twice"]);
}

#[test]
fn lists_of_variables_with_empty_ones() {
    let wild = Wild::new("lists-of-variables.json", &["recipes/mark.sh"])
        .env(&[("PORTER_ACCOUNT", "555566667777")])
        .var("zone", "eu-north-1")
        .var("base_image", "ami-0b0a5e0b0a5e0b0a5")
        .var("image_name", "porter-many-41")
        .var("recipe_dir", "recipes");
    let empty = "an element of `ami_regions` is empty and is left out";
    let loaded = wild.accepted(&[
        "an element of `ami_users` is empty and is left out",
        empty,
        empty,
        empty,
        "the variable `ticket` is not declared, so this is empty",
    ]);
    let image = &loaded.builds[0].image;
    assert_eq!((image.users.as_slice(), image.regions.len()), (&["555566667777".to_owned()][..], 0));
    assert_eq!(loaded.access[0].keys, None);
    let without = Wild::new("lists-of-variables.json", &[]).refused();
    assert!(without.contains(&"the variable `zone` must be set".to_owned()), "{without:?}");
}

#[test]
fn from_scratch_with_an_old_function() {
    let files = [
        "parts/all/grow.conf",
        "parts/relayos3/relay.conf",
        "steps/relayos3/1-place.sh",
        "steps/relayos3/2-name.sh",
        "steps/relayos3/3-tidy.sh",
    ];
    let env =
        [("RELAY_KEY_ID", "demo-id"), ("RELAY_KEY", "demo-key"), ("RELAY_SESSION", "demo"), ("RELAY_STAGE", "soak")];
    let loaded =
        Wild::new("from-scratch.json", &files).env(&env).accepted(&["the template contains access keys", OLD_NAME]);
    assert_eq!(loaded.builds[0].image.name, "relayos-3-soak-20261122-212209");
}

#[test]
fn ansible_local_with_a_role() {
    let files = [
        "parts/ansible-playbook",
        "parts/ansible-galaxy",
        "steps/1-tools.sh",
        "steps/2-fs.sh",
        "steps/9-check.sh",
        "plays/relay.yml",
        "plays/needs.yml",
        "plays/roles/postbox/",
    ];
    let loaded = Wild::new("ansible-local.json", &files).accepted(&[
        "the variable `relay_key_id` is not declared, so this is empty",
        "the variable `relay_key` is not declared, so this is empty",
    ]);
    assert!(matches!(loaded.builds[0].provisioners[3].action, Action::AnsibleLocal(_)));
}

#[test]
fn another_builder_is_left_alone() {
    let files = ["steps/cloud/name.sh", "parts/relay.conf"];
    let wild = || Wild::new("two-builders.json", &files).var("readers", "555566667777,888899990000");
    let loaded = wild().only("amazon-chroot").accepted(&[OLD_NAME]);
    assert_eq!(loaded.builds[0].image.users, ["555566667777", "888899990000"]);
    assert_eq!(loaded.builds[0].image.name, "office/relayos-2026-11-22 21-22");
    assert_eq!(loaded.builds[0].chroot.mount_partition, Some(MountPartition::WholeDisk));
    assert_eq!(loaded.builds[0].provisioners.len(), 3);
    assert_eq!(loaded.skipped, ["virtualbox-iso"]);
    wild().accepted(&[OLD_NAME, "the build \"virtualbox-iso\" is skipped"]);
}

#[test]
fn paths_are_from_the_working_directory() {
    let wild = Wild::new("upload-beside.json", &["pages/start.html", "pack/"]);
    let Wild(mut fixture) = wild;
    fixture.request.context.working_directory = fixture.directory.path().join("pack");
    Wild(fixture).accepted(&[OLD_NAME]);
}

#[test]
fn required_variables_from_a_file_and_the_command_line() {
    let wild = || Wild::new("required-variables.json", &["images/app.sh", "jobs/"]);
    let Wild(fixture) = wild().var("BROKER", "amqp://b.invalid:5672/q?x=1&y=2").var("BASE", "ami-0d0e0a0d0b0e0e0f0");
    let loaded = Wild(fixture.var_file("site.vars", r#"{"BASE": "not an id", "RUN_AS": "mo"}"#)).accepted(&[]);
    let Action::Shell(shell) = &loaded.builds[0].provisioners[1].action else { panic!() };
    let pairs: BTreeMap<_, _> = shell.environment.iter().cloned().collect();
    assert_eq!(pairs["BROKER"], DeferredTemplate("amqp://b.invalid:5672/q?x=1&y=2".into()));
    assert_eq!(pairs["RUN_AS"], DeferredTemplate("mo".into()));
    assert_eq!(wild().refused()[..2], ["the variable `BASE` must be set", "the variable `BROKER` must be set"]);
}

#[test]
fn a_name_of_one_character_is_refused() {
    let refused = Wild::new("short-name.json", &[]).var("base", "ami-0d0e0a0d0b0e0e0f0").refused();
    assert_eq!(refused, ["`ami_name` \"-\" has 1 bytes"]);
}

#[test]
fn a_partition_that_is_in_the_path_of_the_device() {
    let loaded = Wild::new("nvme-partition.json", &[]).accepted(&[]);
    assert_eq!(loaded.builds[0].chroot.mount_partition, Some(MountPartition::Number(1)));
    assert_eq!(loaded.builds[0].chroot.nvme_device_path.as_deref(), Some("/dev/nvme3n1p1"));
}

#[test]
fn commands_of_the_host_between_the_steps() {
    let loaded = Wild::new("disk-made-anew.json", &[]).accepted(&["the template contains access keys"]);
    let is_local = |step: &&bakehouse_protocol::spec::Provisioner| matches!(step.action, Action::ShellLocal(_));
    assert_eq!(loaded.builds[0].provisioners.iter().filter(is_local).count(), 12);
}

#[test]
fn anybodys_image_with_mappings_of_its_own() {
    let loaded = Wild::new("any-owner.json", &[]).accepted(&[
        "the variable `ci_run` is not declared, so this is empty",
        "`source_ami_filter` sets no owners: anybody's public image can match",
        REPLACED,
    ]);
    assert_eq!(loaded.builds[0].image.name, "probe--20261122T2122--hvm");
    assert_eq!(loaded.builds[0].image.tags[0].1, DeferredTemplate("${RACK}".into()));
}

#[test]
fn the_example_of_packers_documentation() {
    let loaded = Wild::new("packer-docs.json", &["site.yml"]).accepted(&[]);
    assert_eq!((loaded.builds[0].provisioners.len(), loaded.builds[0].post_processors.len()), (3, 1));
}
