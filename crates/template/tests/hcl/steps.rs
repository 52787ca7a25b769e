//! Provisioners and post-processors.

use bakehouse_protocol::spec::{Action, PostAction, Script};

use crate::{blocks::with_build, common::Fixture};

/// Returns the first inline line of each step of a template's builds.
fn lines(fixture: &Fixture) -> Vec<Vec<String>> {
    let line = |action: &Action| match action {
        Action::Shell(shell) => match &shell.scripts[0] {
            Script::Inline(lines) => lines[0].0.clone(),
            Script::File(_) => String::new(),
        },
        _ => String::new(),
    };
    let loaded = fixture.load().unwrap();
    loaded.builds.iter().map(|spec| spec.provisioners.iter().map(|step| line(&step.action)).collect()).collect()
}

/// Returns a template with the builds `web` and `db`, whose first step has this in it.
fn with_two(step: &str) -> String {
    with_build(&format!(
        "  source \"amazon-chroot.web\" {{\n    name = \"db\"\n  }}\n  provisioner \"shell\" {{\n    \
         inline = [\"one\"]\n    {step}\n  }}\n  provisioner \"shell\" {{\n    inline = [\"two\"]\n  }}"
    ))
}

#[test]
fn steps_are_for_the_builds_that_they_name() {
    for (selector, web, db) in [
        ("", &["one", "two"][..], &["one", "two"][..]),
        ("only = [\"amazon-chroot.db\"]", &["two"], &["one", "two"]),
        ("except = [\"amazon-chroot.db\"]", &["one", "two"], &["two"]),
        ("only = []", &["one", "two"], &["one", "two"]),
        ("only = [\"db\"]", &["two"], &["two"]),
        ("override = { db = { inline = [\"three\"] } }", &["one", "two"], &["three", "two"]),
        ("override = { web = { inline = [\"three\"] } }", &["three", "two"], &["three", "two"]),
        ("override = { nobody = {} }", &["one", "two"], &["one", "two"]),
    ] {
        assert_eq!(lines(&Fixture::hcl(&with_two(selector))), [web, db], "{selector}");
    }
}

#[test]
fn mistakes_in_what_a_step_is_for() {
    for (selector, wanted) in [
        ("only = [\"a.b\"]\nexcept = [\"c.d\"]", "`except` cannot be combined with `only`"),
        ("only = \"amazon-chroot.web\"", "a list is required, but this is a string"),
        ("override = [1]", "`override` is a list"),
        ("override = { web = 1 }", "the options in `override` are a number"),
        ("override = { web = { inline = \"x\" } }", "`inline` in `override`: a list is required, but this is a string"),
        ("override = { web = { inlin = [\"x\"] } }", "`inlin` is not an option of shell"),
    ] {
        let mistakes = Fixture::hcl(&with_two(selector)).mistakes();
        assert_eq!(mistakes.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), [wanted], "{selector}");
    }
}

#[test]
fn what_every_step_has() {
    let step = "name = \"x\"\npause_before = \"10s\"\nmax_retries = \"3\"";
    let spec = Fixture::hcl(&with_build(&format!("provisioner \"shell\" {{\ninline = [\"a\"]\n{step}\n}}"))).build();
    assert_eq!(spec.provisioners[0].pause_before.unwrap().0, 10_000);
    assert_eq!(spec.provisioners[0].max_retries, 3);
    let step = "pause_before = \"\"\ntimeout = \"\"";
    let spec = Fixture::hcl(&with_build(&format!("provisioner \"shell\" {{\ninline = [\"a\"]\n{step}\n}}"))).build();
    assert_eq!((spec.provisioners[0].pause_before, spec.provisioners[0].timeout), (None, None));
    for (step, wanted) in [
        ("pause_before = 10", "10"),
        ("pause_after = \"\"", "\"\" is not a duration"),
        ("max_retries = \"x\"", "x"),
        ("name = [1]", "a string is required"),
    ] {
        let template = with_build(&format!("provisioner \"shell\" {{\ninline = [\"a\"]\n{step}\n}}"));
        let mistakes = Fixture::hcl(&template).mistakes();
        assert_eq!(mistakes.len(), 1, "{step}");
        assert!(mistakes[0].1.contains(wanted), "{step}: {mistakes:?}");
    }
}

#[test]
fn values_of_the_running_build() {
    let line = |text: &str| {
        let template = with_build(&format!("provisioner \"shell\" {{\n  inline = [{text}]\n}}"));
        Fixture::hcl(&template)
    };
    for (text, wanted) in [
        ("\"echo ${build.SourceAMIName}\"", "echo {{.SourceAMIName}}"),
        ("build.Device", "{{.Device}}"),
        ("join(\" \", [\"mount\", build.MountPath])", "mount {{.MountPath}}"),
        ("true ? build.Device : \"x\"", "{{.Device}}"),
        ("\"${upper(build.Device)}\"", "{{upper .Device}}"),
        ("length(build.PackerRunUUID) == 36 ? \"an id\" : build.PackerRunUUID", "an id"),
    ] {
        assert_eq!(lines(&line(text)), [[wanted]], "{text}");
    }
    for (text, wanted) in [
        ("build.Nothing", "there is no attribute Nothing"),
        ("build.Device == \"x\" ? \"a\" : \"b\"", "known only while the build runs"),
        ("\"{{build `Device`}}\"", "`build` is a function of JSON templates"),
    ] {
        let mistakes = line(text).mistakes();
        assert!(mistakes[0].1.contains(wanted), "{text}: {mistakes:?}");
    }
}

#[test]
fn there_is_one_cleanup_provisioner() {
    let block = "error-cleanup-provisioner \"shell\" {\n  inline = [\"a\"]\n}\n";
    let mistakes = Fixture::hcl(&with_build(&block.repeat(2))).mistakes();
    assert_eq!(mistakes[0].1, "`error-cleanup-provisioner` is set twice");
}

#[test]
fn parts_of_a_build_are_checked() {
    for (part, wanted, help) in [
        ("provisoner \"shell\" {\n}", "`provisoner` is not a block of `build`", "Did you mean `provisioner`?"),
        ("provisioner {\n}", "a `provisioner` block has one label, its type", "Write provisioner \"TYPE\" { … }"),
        (
            "inline = []",
            "`inline` is not an attribute of `build`",
            "The attributes of `build` are name, description, sources.",
        ),
        (
            "variable \"x\" {\n}",
            "`variable` is not a block of `build`",
            "It belongs at the root of the template, outside of all other blocks.",
        ),
        (
            "post-processors {\n  provisioner \"shell\" {\n  }\n}",
            "`provisioner` is not a block of `post-processors`",
            "It belongs in a `build` block.",
        ),
    ] {
        let problems = Fixture::hcl(&with_build(part)).load().unwrap_err();
        assert_eq!((problems.errors[0].to_string().as_str(), problems.errors[0].help_text().unwrap()), (wanted, help));
    }
}

const CHAINS: &str = r#"
post-processor "manifest" {
  name   = "alone"
  output = "alone.json"
}
post-processors {
  post-processor "manifest" {
    output      = "first.json"
    custom_data = { image = build.SourceAMIName, source = source.name }
  }
  post-processor "shell-local" {
    name   = "after"
    inline = ["echo ${build.BuildRegion}"]
  }
  post-processor "manifest" {
    only   = ["amazon-chroot.other"]
    output = "never.json"
  }
}
"#;

/// Returns the names of the post-processors of the only build, chain by chain.
fn chains(except: &[&str]) -> Vec<Vec<String>> {
    let mut fixture = Fixture::hcl(&with_build(CHAINS));
    fixture.request.except = except.iter().map(|it| (*it).to_owned()).collect();
    let chains = fixture.build().post_processors;
    chains.into_iter().map(|chain| chain.into_iter().map(|it| it.name).collect()).collect()
}

#[test]
fn post_processors_are_chains() {
    assert_eq!(chains(&[]), [vec!["alone"], vec!["manifest", "after"]]);
    assert_eq!(chains(&["after"]), [vec!["alone"], vec!["manifest"]]);
    assert_eq!(chains(&["manifest"]), [vec!["alone"]]);
    assert_eq!(chains(&["al*"]), [vec!["manifest", "after"]]);
    let spec = Fixture::hcl(&with_build(CHAINS)).build();
    let PostAction::Manifest { custom_data, .. } = &spec.post_processors[1][0].action else { panic!() };
    let values: Vec<(&str, &str)> = custom_data.iter().map(|(key, value)| (key.as_str(), value.0.as_str())).collect();
    assert_eq!(values, [("image", "{{.SourceAMIName}}"), ("source", "web")]);
}

#[test]
fn names_of_the_step_in_its_command() {
    let step = r#"provisioner "shell" {
  execute_command = "sudo -n /bin/sh -c '{{ .Vars }} {{ .Path }}' ${build.Device}"
  inline          = ["a"]
}"#;
    let spec = Fixture::hcl(&with_build(step)).build();
    let Action::Shell(shell) = &spec.provisioners[0].action else { panic!() };
    assert!(format!("{shell:?}").contains("sudo -n /bin/sh -c '{{ .Vars }} {{ .Path }}' {{.Device}}"), "{shell:?}");
}

#[test]
fn a_step_may_fail_and_the_build_go_on() {
    let step = "provisioner \"shell\" {\n  inline = [\"a\"]\n  continue_on_error = true\n}";
    assert!(Fixture::hcl(&with_build(step)).build().provisioners[0].continue_on_error);
}

#[test]
fn the_cleanup_provisioner_is_read() {
    let step = "error-cleanup-provisioner \"shell\" {\n  inline = [\"a\"]\n}";
    assert!(Fixture::hcl(&with_build(step)).build().error_cleanup.is_some());
}
