//! Templates whose files are under another root directory, as in an unpacked bundle; and the environment variables that
//! a template uses.

#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

mod common;

use std::{collections::BTreeSet, fs, path::Path};

use bakehouse_protocol::spec::{Action, Script};
use bakehouse_template::{Context, LoadRequest, Loaded, Problems, TemplateSource, load};
use common::{Fixture, messages};

const TEMPLATE: &str = r#"{
  "variables": {"size": null, "where": "{{template_dir}} {{pwd}}"},
  "builders": [{"type": "amazon-chroot", "ami_name": "web {{user `size`}}", "source_ami": "ami-01234567",
    "ami_description": "{{user `where`}}"}],
  "provisioners": [{"type": "shell", "scripts": ["setup.sh", "../up.sh", "/opt/far.sh"]},
    {"type": "file", "source": "files/", "destination": "/srv"}]
}"#;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Loads `/home/mo/web/web.json` of the directory as if from `/home/mo/web`.
fn load_under(root: &Path) -> Result<Loaded, Problems> {
    let context = Context { working_directory: "/home/mo/web".into(), root: root.to_owned(), ..Context::default() };
    let template = TemplateSource::Path("/home/mo/web/web.json".into());
    load(&LoadRequest { var_files: vec!["sizes.json".into()], ..LoadRequest::new(template, context) })
}

fn root_with_files() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "home/mo/web/web.json", TEMPLATE);
    write(root.path(), "home/mo/web/sizes.json", r#"{"size": "8"}"#);
    write(root.path(), "home/mo/web/setup.sh", "");
    write(root.path(), "home/mo/up.sh", "");
    write(root.path(), "opt/far.sh", "");
    write(root.path(), "home/mo/web/files/motd", "hello\n");
    root
}

#[test]
fn files_are_found_under_the_root_and_keep_their_paths() {
    let root = root_with_files();
    let mut build = load_under(root.path()).unwrap().builds.remove(0);
    assert_eq!(build.image.name, "web 8");
    assert_eq!(build.image.description.0, "/home/mo/web /home/mo/web");
    let paths: Vec<String> = build.source_files_mut().map(|file| file.path.clone()).collect();
    assert_eq!(paths, ["/home/mo/web/setup.sh", "/home/mo/web/../up.sh", "/opt/far.sh", "/home/mo/web/files/"]);
    let Action::Shell(shell) = &build.provisioners[0].action else { panic!() };
    let Script::File(file) = &shell.scripts[1] else { panic!() };
    assert_eq!(file.written, "../up.sh");
}

#[test]
fn parent_directories_do_not_lead_out_of_the_root() {
    let root = root_with_files();
    let outside = tempfile::NamedTempFile::new_in(root.path().parent().unwrap()).unwrap();
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    let upwards = TEMPLATE.replace("../up.sh", &format!("../../../../../{name}"));
    write(root.path(), "home/mo/web/web.json", &upwards);
    let told = messages(&load_under(root.path()).unwrap_err());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].1.contains("cannot be used: No such file or directory"), "{told:?}");
    // A file that is missing under the root is not searched for at its own path.
    write(root.path(), "home/mo/web/web.json", &TEMPLATE.replace("/opt/far.sh", "/etc/passwd"));
    let told = messages(&load_under(root.path()).unwrap_err());
    assert!(told[0].1.contains("/etc/passwd cannot be used"), "{told:?}");
}

#[test]
fn a_missing_variable_file_is_reported_by_its_own_path() {
    let root = root_with_files();
    fs::remove_file(root.path().join("home/mo/web/sizes.json")).unwrap();
    let told = messages(&load_under(root.path()).unwrap_err());
    assert!(told.iter().any(|(_, m)| m.starts_with("the variable file /home/mo/web/sizes.json")), "{told:?}");
}

#[test]
fn used_environment_variables_are_reported() {
    let fixture = Fixture::new(
        r#"{"variables": {"who": "{{env `USER_NAME`}}", "none": "{{env `NOT_SET`}}", "given": "{{env `UNUSED`}}"},
        "builders": [{"type": "amazon-chroot", "ami_name": "web {{user `who`}}", "source_ami": "ami-01234567"}]}"#,
    )
    .var("given", "here");
    let loaded = fixture.load().unwrap();
    assert_eq!(loaded.environment, BTreeSet::from(["USER_NAME".to_owned(), "NOT_SET".to_owned()]));
}
