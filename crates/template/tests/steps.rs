//! The rules of the provisioners, the variables and the top level.

mod common;

use bakehouse_protocol::{
    DeferredTemplate, Millis,
    spec::{Action, Script},
};
use common::{Fixture, build, load_text, messages, mistake, warnings, with_options, with_step};

fn error_of(step: &str) -> String {
    mistake(&with_step(step)).1
}

fn action(step: &str) -> Action {
    build(&with_step(step)).provisioners.remove(0).action
}

#[test]
fn shell() {
    let Action::Shell(shell) = action(
        r#"{"type": "shell", "inline": ["echo {{build `SourceAMI`}}", "echo {{build_name}} {{user `x`}}"],
        "environment_vars": ["A=1", "B={{build `BuildRegion`}}=", "C="], "valid_exit_codes": [0, "2"]}"#,
    ) else {
        panic!()
    };
    let late = |text: &str| DeferredTemplate(text.to_owned());
    assert_eq!(shell.scripts, [Script::Inline(vec![late("echo {{.SourceAMI}}"), late("echo amazon-chroot ")])]);
    assert_eq!(
        shell.environment,
        [("A".into(), late("1")), ("B".into(), late("{{.BuildRegion}}=")), ("C".into(), late(""))]
    );
    assert_eq!(shell.valid_exit_codes, [0, 2]);
}

#[test]
fn scripts_must_exist_and_become_absolute() {
    let fixture = Fixture::new(&with_step(r#"{"type": "shell", "scripts": ["setup.sh", "./setup.sh"]}"#));
    let step = fixture.load().unwrap().builds.remove(0).provisioners.remove(0);
    let Action::Shell(shell) = step.action else { panic!() };
    let Script::File(file) = &shell.scripts[0] else { panic!() };
    assert_eq!(file.written, "setup.sh");
    assert_eq!(file.path, fixture.directory.path().join("setup.sh").display().to_string());
    assert_eq!(shell.scripts.len(), 2);
    assert_eq!(shell.valid_exit_codes, [0]);
}

#[test]
fn options_of_every_provisioner() {
    let step = r#"{"type": "shell", "inline": ["true"], "timeout": "5m", "max_retries": "2"}"#;
    let step = build(&with_step(step)).provisioners.remove(0);
    assert_eq!((step.timeout, step.pause_before, step.max_retries), (Some(Millis::minutes(5)), None, 2));
    let both = with_step(r#"{"type": "shell", "inline": ["true"], "timeout": "5m", "pause_before": "1h30m"}"#);
    assert_eq!(build(&both).provisioners[0].pause_before, Some(Millis::minutes(90)));
    assert_eq!(build(&both).provisioners[0].timeout, Some(Millis::minutes(5)));
    assert!(warnings(&both).is_empty());
}

#[test]
fn invalid_steps() {
    for (step, message) in [
        ("{}", "this provisioner has no type"),
        (r#"{"type": "shel"}"#, "there is no provisioner \"shel\""),
        (
            r#"{"type": "powershell"}"#,
            "the provisioner \"powershell\" cannot be used: it works in Windows, and an image is provisioned in a chroot of Linux",
        ),
        (r#"{"type": "shell"}"#, "this shell step has nothing to run"),
        (r#"{"type": "shell", "inline": []}"#, "this shell step has nothing to run"),
        (r#"{"type": "shell", "inline": ["a"], "scripts": ["b"]}"#, "`scripts` cannot be combined with `inline`"),
        (r#"{"type": "shell", "script": "setup.sh", "scripts": ["b"]}"#, "`scripts` cannot be combined with `script`"),
        (r#"{"type": "shell", "script": "files"}"#, "the script files is a directory"),
        (r#"{"type": "shell", "inline": ["a"], "environment_vars": ["A"]}"#, "\"A\" is not of the form KEY=value"),
        (r#"{"type": "shell", "inline": ["a"], "environment_vars": ["=b"]}"#, "\"=b\" is not of the form KEY=value"),
        (r#"{"type": "shell", "inline": ["a"], "valid_exit_codes": [256]}"#, "256 is not an exit code"),
        (r#"{"type": "shell", "inline": ["a"], "timeout": "5"}"#, "\"5\" has no unit"),
        (
            r#"{"type": "shell", "inline": ["a"], "timeout": "5 minutes"}"#,
            "\"5 minutes\" has the unknown unit \" minutes\"",
        ),
        (r#"{"type": "shell", "inline": ["a"], "max_retries": -1}"#, "`max_retries` is -1"),
        (r#"{"type": "shell", "inlin": ["a"]}"#, "`inlin` is not an option of shell"),
        (r#"{"type": "shell", "inline": ["{{.SourceAMI}}"]}"#, "a provisioner cannot use the field .SourceAMI"),
        (r#"{"type": "shell", "inline": ["{{build `Foo`}}"]}"#, "`build` has no key \"Foo\""),
        (
            r#"{"type": "shell", "inline": ["{{build `Host`}}"]}"#,
            "`build` has no value for \"Host\" with amazon-chroot",
        ),
        (
            r#"{"type": "shell", "inline": ["{{clean_resource_name `a`}}"]}"#,
            "`clean_resource_name` cannot be called in a provisioner",
        ),
        (r#"{"type": "file", "source": "files"}"#, "this file step has no destination"),
        (r#"{"type": "file", "destination": "/etc"}"#, "this file step has no source"),
        (
            r#"{"type": "file", "source": "nope", "destination": "/etc"}"#,
            "the file nope cannot be used: No such file or directory (os error 2)",
        ),
        (
            r#"{"type": "file", "source": "files", "destination": "etc"}"#,
            "the path \"etc\" in the image is not absolute",
        ),
        (
            r#"{"type": "file", "source": "files", "destination": "/etc", "direction": "up"}"#,
            "`direction` cannot be \"up\"",
        ),
        (
            r#"{"type": "file", "source": "{{build `Device`}}", "destination": "/etc"}"#,
            "a path of the build host cannot use `build`",
        ),
        (
            r#"{"type": "file", "source": "/var/log/", "destination": "out", "direction": "download"}"#,
            "\"/var/log/\" is not a single file",
        ),
    ] {
        let problems = load_text(&with_step(step)).expect_err(step);
        assert_eq!(messages(&problems)[0].1, message, "{step}");
    }
    assert_eq!(
        error_of(r#"{"type": "shell", "inline": ["docker ps --format '{{json .}}'"]}"#),
        "there is no function `json`"
    );
}

#[test]
fn uploads_and_downloads() {
    let upload = r#"{"type": "file", "source": "files/", "sources": ["setup.sh"], "destination": "/opt/{{build `SourceAMI`}}/"}"#;
    let fixture = Fixture::new(&with_step(upload));
    let Action::Upload(upload) = fixture.load().unwrap().builds.remove(0).provisioners.remove(0).action else {
        panic!()
    };
    let written: Vec<&str> = upload.sources.iter().map(|source| source.written.as_str()).collect();
    assert_eq!(written, ["setup.sh", "files/"]);
    assert_eq!(upload.sources[1].path, format!("{}/files/", fixture.directory.path().display()));
    assert_eq!(upload.destination.0, "/opt/{{.SourceAMI}}/");
    let download = r#"{"type": "file", "source": "/etc/os-release", "destination": "out/", "direction": "download"}"#;
    let fixture = Fixture::new(&with_step(download));
    let Action::Download(download) = fixture.load().unwrap().builds.remove(0).provisioners.remove(0).action else {
        panic!()
    };
    assert_eq!(download.sources, [DeferredTemplate("/etc/os-release".into())]);
    assert_eq!(download.destination, format!("{}/out/", fixture.directory.path().display()));
}

const VARIABLES: &str = r#"{"variables": {"a": "1{{user `b`}}", "b": "{{env `USER_NAME`}}", "c": null},
    "sensitive-variables": ["c"], "builders": [{"type": "amazon-chroot", "source_ami": "ami-01234567",
    "ami_name": "{{user `a`}}-{{user `b`}}-{{user `c`}}"}]}"#;

#[test]
fn variables_override_each_other_in_order() {
    let loaded = Fixture::new(VARIABLES).var("c", "{{upper \"x\"}}").load().unwrap();
    assert_eq!(loaded.builds[0].image.name, "1mo-mo-X");
    assert_eq!(loaded.sensitive, ["X"]);
    let fixture = Fixture::new(VARIABLES)
        .var_file("one.json", r#"{"b": "file", "c": "file"}"#)
        .var_file("two.json", r#"{"b": "{{user `extra`}}", "extra": "two"}"#)
        .var("c", "given");
    assert_eq!(fixture.load().unwrap().builds[0].image.name, "1two-two-given");
}

#[test]
fn a_variables_name_without_quotes_is_explained() {
    let problems = load_text(&VARIABLES.replace("{{user `a`}}-", "{{user a}}-").replace("null", "\"c\"")).unwrap_err();
    assert_eq!(messages(&problems), [("a".to_owned(), "there is no function `a`".to_owned())]);
    assert_eq!(problems.errors[0].help_text(), Some("Write a variable's name as a string: {{user `a`}}"));
}

#[test]
fn an_unknown_sensitive_variable_is_an_error() {
    let template = |names: &str| {
        let variables =
            format!(r#""variables": {{"db_password": "hunter22"}}, "sensitive-variables": {names}, "builders""#);
        with_step(r#"{"type": "shell", "inline": ["login {{user `db_password`}}"]}"#)
            .replace("\"builders\"", &variables)
    };
    let problems = load_text(&template(r#"["db_pasword", "zzz", "db_password"]"#)).unwrap_err();
    assert_eq!(
        messages(&problems),
        [("\"db_pasword\"", "db_pasword"), ("\"zzz\"", "zzz")].map(|(place, name)| {
            (place.to_owned(), format!("there is no variable `{name}`, so no value is hidden"))
        })
    );
    assert!(problems.errors[0].help_text().unwrap().starts_with("Did you mean `db_password`?"));
    // A variable may be set on the command line only.
    let given = Fixture::new(&template(r#"["pin"]"#));
    assert_eq!(given.load().unwrap_err().errors.len(), 1);
    assert_eq!(given.var("pin", "98765").load().unwrap().sensitive, ["98765"]);
}

#[test]
fn a_sensitive_value_that_is_too_short_causes_a_warning() {
    let variables = r#""variables": {"pin": "q7", "none": "", "key": "-----BEGIN\nq7\n", "bits": "q7\nq8\nq9"},
        "sensitive-variables": ["pin", "none", "key", "bits"], "builders""#;
    let fixture =
        Fixture::new(&with_step(r#"{"type": "shell", "inline": ["true"]}"#).replace("\"builders\"", variables));
    let loaded = fixture.load().unwrap();
    let told: Vec<String> =
        loaded.warnings.iter().map(|warning| format!("{warning} {:?}", warning.excerpt())).collect();
    assert_eq!(
        told,
        ["pin", "bits"].map(|name| {
            format!(
                "the value of the sensitive variable `{name}` is shorter than 4 bytes and is not hidden in output None"
            )
        })
    );
    assert_eq!(loaded.sensitive, ["q7", "-----BEGIN\nq7\n", "q7\nq8\nq9"]);
}

#[test]
fn invalid_variables() {
    assert_eq!(mistake(VARIABLES).1, "the variable `c` must be set");
    let problems = |fixture: Fixture| {
        let problems = fixture.load().expect_err("a mistake");
        let at = problems.errors[0]
            .position()
            .map(|(name, line, column)| (name.rsplit('/').next().unwrap_or_default().to_owned(), line, column));
        (at, problems.errors[0].to_string(), problems.errors.len())
    };
    let cycle = Fixture::new(VARIABLES).var("c", "x{{user `d`}}").var("d", "{{user `c`}}");
    let (at, message, count) = problems(cycle);
    assert_eq!((at, count), (Some(("-var d".to_owned(), 1, 8)), 1));
    assert_eq!(message, "the variable `c` refers to itself: c -> d -> c");
    let (_, message, _) = problems(Fixture::new(VARIABLES).var("c", "{{user `nope`}}"));
    assert_eq!(message, "the variable `nope` is not declared");
    let (at, message, _) = problems(Fixture::new(VARIABLES).var_file("v.json", "{\n  \"b\": 5\n}"));
    assert_eq!(at, Some(("v.json".to_owned(), 2, 8)));
    assert_eq!(message, "the variable `b` is a number");
    let (at, message, _) = problems(Fixture::new(VARIABLES).var_file("v.json", "{\"b\" 5}").var("c", ""));
    assert_eq!((at, message.as_str()), (Some(("v.json".to_owned(), 1, 6)), "this is not JSON: expected `:`"));
    assert_eq!(
        warnings(&with_options(r#""tags": {"a": "{{user `nope`}}"}"#)),
        ["the variable `nope` is not declared, so this is empty"]
    );
}

#[test]
fn the_top_level() {
    let good = r#"{"type": "amazon-chroot", "ami_name": "web", "source_ami": "ami-01234567"}"#;
    for (template, message) in [
        ("[]".to_owned(), "a template is an object, not a list"),
        ("{}".to_owned(), "the template has no builders"),
        (r#"{"builders": []}"#.to_owned(), "the template has no builders"),
        (r#"{"builders": null}"#.to_owned(), "the template has no builders"),
        (r#"{"builders": {}}"#.to_owned(), "`builders` is an object"),
        (r#"{"builders": [5]}"#.to_owned(), "`builders` is a number"),
        (r#"{"builders": [{"type": "amazon-ebs"}]}"#.to_owned(), "the builder \"amazon-ebs\" is not supported"),
        (format!(r#"{{"builders": [{good}, {good}]}}"#), "two builders have the name \"amazon-chroot\""),
        (format!(r#"{{"builder": [], "builders": [{good}]}}"#), "`builder` is not a key of a template"),
        (format!(r#"{{"builders": [{good}], "Builders": []}}"#), "`builders` is set twice"),
        (format!(r#"{{"builders": [{good}], "post-processors": [[["a"]]]}}"#), "`post-processors` is a list"),
        (format!(r#"{{"builders": [{good}], "_comment": []}}"#), "the comment `_comment` is a list"),
        (
            format!(r#"{{"builders": [{good}], "min_packer_version": "1.99.0"}}"#),
            "the template needs Packer 1.99.0 or newer",
        ),
        (format!(r#"{{"builders": [{good}], "min_packer_version": "new"}}"#), "\"new\" is not a version"),
        (format!(r#"{{"builders": [{good}], "min_packer_version": "-dev"}}"#), "\"-dev\" is not a version"),
        (format!(r#"{{"builders": [{good}], "variables": {{"a": true}}}}"#), "the variable `a` is a bool"),
        (String::new(), "this is not JSON: EOF while parsing a value"),
        (format!("{}1{}", "[".repeat(4000), "]".repeat(4000)), "this is not JSON: recursion limit exceeded"),
    ] {
        assert_eq!(mistake(&template).1, message, "{template}");
    }
    let fine = format!(
        r#"{{"_comment": "x", "description": "d", "min_packer_version": "1.6.6", "push": {{}}, "builders": [{good}], "provisioners": []}}"#
    );
    assert_eq!(load_text(&fine).unwrap().builds.len(), 1);
}

#[test]
fn a_prerelease_is_older_than_its_release() {
    let template = r#"{"builders": [{"type": "amazon-chroot", "ami_name": "web", "source_ami": "ami-01234567"}],
        "min_packer_version": "1.16.0-dev+abc"}"#;
    assert_eq!(load_text(template).unwrap().builds.len(), 1);
}

#[test]
fn null_is_unset_at_the_root_and_in_an_override() {
    let template = r#"{"builders": [{"type": "amazon-chroot", "ami_name": "web", "source_ami": "ami-01234567"}],
        "provisioners": [{"type": "shell", "inline": ["true"], "override": {"amazon-chroot": null}}],
        "error-cleanup-provisioner": null, "post-processors": null, "variables": null, "sensitive-variables": null,
        "description": null, "push": null, "min_packer_version": null}"#;
    assert_eq!(load_text(template).unwrap().builds[0].provisioners.len(), 1);
}

#[test]
fn several_builders_share_the_steps() {
    let template = r#"{"builders": [
        {"type": "amazon-chroot", "name": "a", "ami_name": "web", "source_ami": "ami-01234567"},
        {"type": "amazon-chroot", "name": "b-{{isotime \"2006\"}}", "ami_name": "web", "source_ami": "ami-01234567"}],
        "provisioners": [{"type": "shell", "inline": ["echo {{build_name}}"]}]}"#;
    let builds = load_text(template).unwrap().builds;
    let lines: Vec<DeferredTemplate> = builds
        .iter()
        .filter_map(|build| match &build.provisioners[0].action {
            Action::Shell(shell) => match &shell.scripts[0] {
                Script::Inline(lines) => Some(lines[0].clone()),
                Script::File(_) => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(lines, [DeferredTemplate("echo a".into()), DeferredTemplate("echo b-2026".into())]);
    // An error in a step is reported once, not once for each builder.
    mistake(&template.replace("build_name", "nope"));
}

#[test]
fn images_of_one_name_in_one_region_are_told() {
    let two = |second: &str| {
        warnings(&format!(
            r#"{{"builders": [{{"type": "amazon-chroot", "name": "a", "ami_name": "web", "source_ami": "ami-01234567"}},
            {{"type": "amazon-chroot", "name": "b", "source_ami": "ami-01234567", {second}}}]}}"#
        ))
    };
    assert_eq!(
        two(r#""ami_name": "web""#),
        ["the builders `amazon-chroot.a` and `amazon-chroot.b` make images of one name, \"web\""]
    );
    for second in [
        r#""ami_name": "web {{build_name}}""#,
        r#""ami_name": "web", "region": "eu-west-1""#,
        r#""ami_name": "web", "profile": "other""#,
    ] {
        assert_eq!(two(second), [""; 0], "{second}");
    }
}

#[test]
fn template_dir_is_the_directory_of_the_template() {
    let mut fixture = Fixture::new("");
    let text = with_options(r#""mount_path": "{{template_dir}}/x", "tags": {"pwd": "{{pwd}}"}"#);
    std::fs::write(fixture.directory.path().join("files/web.json"), text).unwrap();
    fixture.request.template = bakehouse_template::TemplateSource::Path("files/web.json".into());
    let build = fixture.load().unwrap().builds.remove(0);
    let here = fixture.directory.path().display();
    assert_eq!(build.chroot.mount_path.0, format!("{here}/files/x"));
    assert_eq!(build.image.tags[0].1.0, here.to_string());
}
