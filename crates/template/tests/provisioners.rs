//! The provisioners and their options, beyond those of `steps.rs`.

mod common;

use bakehouse_protocol::{
    DeferredTemplate, Millis,
    spec::{Action, Ansible, AnsibleLocal, Galaxy, Script, ShellLocal, ShellOptions, SourceFile},
};
use common::{Fixture, build, load_text, messages, mistake, warnings, with_options, with_step};

fn late(text: &str) -> DeferredTemplate {
    DeferredTemplate(text.to_owned())
}

fn lines(lines: &[&str]) -> Script {
    Script::Inline(lines.iter().map(|line| late(line)).collect())
}

/// Returns the action of a step, and the directory that its files are in.
fn action(step: &str) -> (Action, String) {
    let fixture = Fixture::new(&with_step(step));
    let mut loaded = fixture.load().unwrap_or_else(|problems| panic!("{step}: {:?}", messages(&problems)));
    let action = loaded.builds.remove(0).provisioners.remove(0).action;
    (action, fixture.directory.path().display().to_string())
}

#[test]
fn every_option_of_shell_is_in_the_spec() {
    let (Action::Shell(shell), _) = action(
        r##"{"type": "shell", "inline": ["true"], "inline_shebang": "#!/bin/bash -ex",
        "environment_vars": ["A=1", "B=2"], "env": {"A": "{{build `Device`}}", "C": true},
        "execute_command": "chmod +x {{ .Path }}; sudo {{.Vars}} sh '{{ .Path }}' {{build `SourceAMI`}} {{upper `x`}}",
        "env_var_format": "export %s=\"%s\"\n", "use_env_var_file": "true", "remote_folder": "/root/",
        "remote_file": "run.sh", "binary": true, "skip_clean": 1, "start_retry_timeout": "90s", "pause_after": "2s"}"##,
    ) else {
        panic!()
    };
    let pairs = [("A", "1"), ("B", "2"), ("A", "{{.Device}}"), ("C", "1")];
    assert_eq!(shell.environment, pairs.map(|(name, value)| (name.to_owned(), late(value))));
    assert_eq!(
        shell.options,
        ShellOptions {
            inline_shebang: Some("/bin/bash -ex".into()),
            execute_command: Some(late("chmod +x {{ .Path }}; sudo {{.Vars}} sh '{{ .Path }}' {{.SourceAMI}} X")),
            env_var_format: Some("export %s=\"%s\"\n".into()),
            use_env_var_file: true,
            remote_path: Some("/root/run.sh".into()),
            remote_folder: Some("/root/".into()),
            binary: true,
            skip_clean: true,
            start_retry_timeout: Some(Millis::seconds(90)),
            pause_after: Some(Millis::seconds(2)),
        }
    );
}

#[test]
fn a_first_line_that_is_a_shebang_is_used() {
    let (Action::Shell(shell), _) = action(r##"{"type": "shell", "inline": ["#!/bin/bash", "echo $BASH"]}"##) else {
        panic!()
    };
    assert_eq!(shell.options.inline_shebang.as_deref(), Some("/bin/bash"));
    assert_eq!(shell.scripts, [lines(&["echo $BASH"])]);
    let (Action::Shell(shell), _) = action(r#"{"type": "shell", "inline": ["true"], "remote_path": "/x.sh"}"#) else {
        panic!()
    };
    assert_eq!(shell.options, ShellOptions { remote_path: Some("/x.sh".into()), ..ShellOptions::default() });
}

#[test]
fn the_id_of_the_run_is_known() {
    let step = r#"{"type": "shell", "inline": ["echo {{build `PackerRunUUID`}} {{build \"PackerRunUUID\" | upper}}"]}"#;
    let fixture = Fixture::new(&with_step(step));
    let id = fixture.request.context.run_uuid();
    let (Action::Shell(shell), _) = action(step) else { panic!() };
    assert_eq!(shell.scripts, [lines(&[&format!("echo {id} {}", id.to_uppercase())])]);
    assert!(id.starts_with("6b035d01-") && id.len() == 36, "{id}");
}

#[test]
fn what_every_provisioner_has() {
    let step = r#"{"type": "sleep", "duration": "3s", "max_retries": "{{user `n`}}", "continue_on_error": true}"#;
    let template = with_step(step).replacen('{', r#"{"variables": {"n": "4"}, "#, 1);
    let step = build(&template).provisioners.remove(0);
    assert_eq!((step.action, step.max_retries, step.continue_on_error), (Action::Sleep(Millis::seconds(3)), 4, true));
}

#[test]
fn options_without_effect_are_told() {
    let told = |step: &str| warnings(&with_step(step));
    assert_eq!(
        told(r#"{"type": "shell", "inline": ["true"], "expect_disconnect": true}"#),
        ["`expect_disconnect` has no effect: a chroot has no connection that could break"]
    );
    assert_eq!(
        told(r#"{"type": "shell", "script": "setup.sh", "inline_shebang": "/bin/bash"}"#),
        ["`inline_shebang` has no effect with `script`"]
    );
    assert_eq!(
        told(r#"{"type": "shell", "inline": ["true"], "execute_command": "true"}"#),
        ["`execute_command` does not contain {{.Path}}, so no script is run"]
    );
}

#[test]
fn shell_local() {
    let (action, here) = action(
        r#"{"type": "shell-local", "scripts": ["setup.sh"], "environment_vars": ["A=1"], "env": {"B": "2"},
        "valid_exit_codes": 3, "execute_command": ["/bin/bash", "-c", "{{.Vars}} {{.Script}} {{.Command}}"],
        "env_var_format": "%s=%s ", "tempfile_extension": ".sh", "only_on": ["linux"]}"#,
    );
    let file = SourceFile { written: "setup.sh".into(), path: format!("{here}/setup.sh") };
    let expected = ShellLocal {
        scripts: vec![Script::File(file)],
        environment: vec![("A".into(), late("1")), ("B".into(), late("2"))],
        valid_exit_codes: vec![3],
        inline_shebang: None,
        execute_command: ["/bin/bash", "-c", "{{.Vars}} {{.Script}} {{.Command}}"].map(late).into(),
        env_var_format: Some("%s=%s ".into()),
        tempfile_extension: ".sh".into(),
    };
    assert_eq!(action, Action::ShellLocal(expected));
}

#[test]
fn a_command_of_the_host_is_a_script_of_one_line() {
    let (Action::ShellLocal(shell), _) = action(
        r#"{"type": "shell-local", "command": "ls {{build `MountPath`}}", "execute_command": ["{{.Command}}"]}"#,
    ) else {
        panic!()
    };
    assert_eq!(shell.scripts, [lines(&["ls {{.MountPath}}"])]);
    assert_eq!(shell.execute_command, ["sh", "-c", "{{.Command}}"].map(late));
}

#[test]
fn steps_for_others_and_disabled_ones_are_left_out() {
    for step in [
        r#"{"type": "shell-local", "command": "x", "only_on": ["windows", "darwin"]}"#,
        r#"{"type": "breakpoint", "disable": true}"#,
    ] {
        assert!(build(&with_step(step)).provisioners.is_empty(), "{step}");
    }
    let (Action::Breakpoint(breakpoint), _) = action(r#"{"type": "breakpoint", "note": "look"}"#) else { panic!() };
    assert_eq!(breakpoint.note, "look");
}

#[test]
fn files_with_content_and_generated_ones() {
    let (Action::Upload(upload), _) =
        action(r#"{"type": "file", "content": "a {{user `x`}}b\n", "destination": "/etc/x"}"#)
    else {
        panic!()
    };
    assert_eq!((upload.content.as_deref(), upload.sources.len()), (Some("a b\n"), 0));
    let (Action::Upload(upload), here) =
        action(r#"{"type": "file", "source": "later.conf", "generated": true, "destination": "/etc/"}"#)
    else {
        panic!()
    };
    assert_eq!(upload.sources[0].path, format!("{here}/later.conf"));
    assert!(upload.generated);
}

#[test]
fn every_option_of_ansible_is_in_the_spec() {
    let (action, here) = action(
        r#"{"type": "ansible", "playbook_file": "setup.sh", "command": "./play.sh",
        "extra_arguments": ["-e", "ami={{build `SourceAMI`}}"], "ansible_env_vars": ["A=1"], "inventory_file": "files",
        "inventory_directory": "files", "inventory_file_template": "{{.HostAlias}} ansible_host={{.Host}} base={{.SourceAMI}}",
        "groups": ["web"], "empty_groups": "db", "host_alias": "image", "galaxy_file": "files/motd",
        "galaxycommand": "galaxy", "galaxy_force_install": true, "galaxy_force_with_deps": true, "roles_path": "roles",
        "collections_path": "collections", "use_proxy": false, "user": "root"}"#,
    );
    let file = |name: &str| SourceFile { written: name.into(), path: format!("{here}/{name}") };
    let expected = Ansible {
        playbook: file("setup.sh"),
        command: "./play.sh".into(),
        extra_arguments: ["-e", "ami={{.SourceAMI}}"].map(late).into(),
        environment: vec![("A".into(), late("1"))],
        inventory: Some(file("files")),
        inventory_directory: Some(file("files")),
        inventory_template: Some(late("{{.HostAlias}} ansible_host={{.Host}} base={{.SourceAMI}}")),
        groups: vec!["web".into()],
        empty_groups: vec!["db".into()],
        host_alias: "image".into(),
        galaxy: Some(Galaxy {
            file: file("files/motd"),
            command: "galaxy".into(),
            force: true,
            force_with_deps: true,
            roles_path: Some("roles".into()),
            collections_path: Some("collections".into()),
        }),
    };
    assert_eq!(action, Action::Ansible(expected));
}

#[test]
fn an_inventory_may_be_hosts() {
    let (Action::Ansible(ansible), _) =
        action(r#"{"type": "ansible", "playbook_file": "setup.sh", "inventory_file": "/mnt/image,"}"#)
    else {
        panic!()
    };
    assert_eq!((ansible.inventory, ansible.extra_arguments), (None, vec![late("--inventory=/mnt/image,")]));
    assert_eq!((ansible.command.as_str(), ansible.host_alias.as_str()), ("ansible-playbook", "default"));
}

#[test]
fn every_option_of_ansible_local_is_in_the_spec() {
    let (action, here) = action(
        r#"{"type": "ansible-local", "playbook_files": ["setup.sh", "files/motd"], "playbook_dir": "files",
        "playbook_paths": ["files"], "role_paths": ["files"], "collection_paths": ["files"], "group_vars": "files",
        "host_vars": "files", "inventory_file": "files/motd", "inventory_groups": "web,db", "command": "play",
        "extra_arguments": ["-v"], "staging_directory": "/opt/play", "clean_staging_directory": true,
        "galaxy_file": "files/motd", "galaxy_command": "g", "galaxy_roles_path": "/r", "galaxy_collections_path": "/c"}"#,
    );
    let file = |name: &str| SourceFile { written: name.into(), path: format!("{here}/{name}") };
    let expected = AnsibleLocal {
        playbooks: vec![file("setup.sh"), file("files/motd")],
        playbook_dir: Some(file("files")),
        playbook_paths: vec![file("files")],
        role_paths: vec![file("files")],
        collection_paths: vec![file("files")],
        group_vars: Some(file("files")),
        host_vars: Some(file("files")),
        inventory: Some(file("files/motd")),
        inventory_groups: vec!["web".into(), "db".into()],
        command: "play".into(),
        extra_arguments: vec![late("-v")],
        staging_directory: Some("/opt/play".into()),
        clean_staging_directory: true,
        galaxy: Some(Galaxy {
            file: file("files/motd"),
            command: "g".into(),
            force: false,
            force_with_deps: false,
            roles_path: Some("/r".into()),
            collections_path: Some("/c".into()),
        }),
    };
    assert_eq!(action, Action::AnsibleLocal(expected));
}

#[test]
fn the_error_cleanup_provisioner_is_in_the_spec() {
    let step = r#"{"type": "shell", "inline": ["cat /var/log/app"]}"#;
    let template = with_options("").replacen('{', &format!(r#"{{"error-cleanup-provisioner": {step}, "#), 1);
    let Some(Action::Shell(shell)) = build(&template).error_cleanup.map(|step| step.action) else { panic!() };
    assert_eq!(shell.scripts, [lines(&["cat /var/log/app"])]);
    assert_eq!(mistake(&template.replace("shell", "shel")).1, "there is no provisioner \"shel\"");
}

#[test]
fn invalid_options() {
    for (step, message) in [
        (
            r#""type": "shell", "inline": ["a"], "remote_folder": "tmp""#,
            "`remote_folder` \"tmp\" is not an absolute path",
        ),
        (r#""type": "shell", "inline": ["a"], "remote_file": "a/b""#, "`remote_file` \"a/b\" is not a file name"),
        (r#""type": "shell", "inline": ["a"], "env_var_format": "%s=%d""#, "`env_var_format` does not have %s twice"),
        (r#""type": "shell", "inline": ["a"], "env": {"A=": "b"}"#, "\"A=\" cannot be the name of a variable"),
        (
            r#""type": "shell", "inline": ["a"], "inline_shebang": "bash""#,
            "`inline_shebang` \"bash\" is not a program's absolute path",
        ),
        (r#""type": "shell", "inline": ["a"], "execute_command": "{{.Script}}""#, ".Script is not known here"),
        (r#""type": "shell", "script": "{{build `Device`}}""#, "`build` cannot be called in this option"),
        (r#""type": "shell-local""#, "this shell-local step has nothing to run"),
        (r#""type": "shell-local", "command": "a", "inline": ["b"]"#, "`inline` cannot be combined with `command`"),
        (r#""type": "shell-local", "command": "a", "only_on": ["linus"]"#, "there is no operating system \"linus\""),
        (
            r#""type": "file", "content": "a", "source": "files", "destination": "/a""#,
            "`content` cannot be combined with `source`",
        ),
        (
            r#""type": "file", "content": "a", "destination": "/a/""#,
            "the destination \"/a/\" of `content` is a directory",
        ),
        (
            r#""type": "file", "source": "/a", "destination": "a", "direction": "download", "generated": true"#,
            "`generated` cannot be combined with the direction \"download\"",
        ),
        (r#""type": "sleep""#, "this sleep step has no duration"),
        (r#""type": "ansible""#, "this ansible step has no playbook"),
        (
            r#""type": "ansible", "playbook_file": "setup.sh", "playbook": "x""#,
            "`playbook` is not an option of ansible",
        ),
        (
            r#""type": "ansible", "playbook_file": "setup.sh", "inventory_file_template": "{{.Hots}}""#,
            ".Hots is not known here",
        ),
        (r#""type": "ansible-local""#, "this ansible-local step has no playbook"),
        (
            r#""type": "ansible-local", "playbook_file": "setup.sh", "role_paths": ["setup.sh"]"#,
            "`role_paths` setup.sh is not a directory",
        ),
    ] {
        let step = format!("{{{step}}}");
        let problems = load_text(&with_step(&step)).expect_err(&step);
        assert_eq!(messages(&problems)[0].1, message, "{step}");
    }
}
