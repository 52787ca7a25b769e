//! Steps on a fake host: retries, time-outs, what follows a failure, and how scripts are started.

use std::{cell::Cell, fs, io};

use bakehouse_protocol::{
    Answer, DeferredTemplate, Millis, OnError, Outcome, ReportBody, Waiting,
    spec::{
        Action, AnsibleLocal, Breakpoint, Provisioner, Script, Shell, ShellLocal, ShellOptions, SourceFile, Upload,
    },
};

use crate::{
    host::{Command, ProcessEnd, fake::Fake},
    pipeline::tests::Fixture,
};

fn deferred(text: &str) -> DeferredTemplate {
    DeferredTemplate(text.to_owned())
}

fn shell(line: &str, options: ShellOptions) -> Provisioner {
    let environment = vec![("B".to_owned(), deferred("it's")), ("A".to_owned(), deferred("{{.SourceAMIName}}"))];
    let scripts = vec![Script::Inline(vec![deferred(line)])];
    Provisioner::new(Action::Shell(Shell { scripts, environment, options, ..Shell::default() }))
}

fn on_host() -> Provisioner {
    let scripts = vec![Script::Inline(vec![deferred("true")])];
    Provisioner::new(Action::ShellLocal(ShellLocal { scripts, ..ShellLocal::default() }))
}

fn fixture(steps: Vec<Provisioner>) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.job.provisioners = steps;
    fixture
}

/// A host on which each of the first programs ends with one of these codes, and all others succeed.
fn host_with_exits(fixture: &Fixture, codes: &'static [i32]) -> Fake {
    let ran = Cell::new(0);
    Fake::new(&fixture.disk(), |_| false).with_programs(move |_| {
        let code = codes.get(ran.replace(ran.get() + 1)).copied().unwrap_or(0);
        Some(Ok(ProcessEnd::Exited(code)))
    })
}

fn notes(reports: &[ReportBody]) -> Vec<&str> {
    reports
        .iter()
        .filter_map(|body| if let ReportBody::Note(text) = body { Some(text.as_str()) } else { None })
        .collect()
}

#[test]
fn a_script_is_started_as_the_template_says() {
    let started = |options| {
        let fixture = fixture(vec![shell("true", options)]);
        let host = Fake::new(&fixture.disk(), |_| false);
        let (outcome, _) = fixture.run(&host);
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        fixture.assert_clean(&host);
        let Command { argv, env, .. } = host.commands().remove(0);
        let build = fixture.job.build.as_str();
        let own = env.into_iter().filter(|(key, _)| key.len() == 1).map(|(key, value)| format!("{key}={value}"));
        (argv.iter().map(|word| word.replace(build, "BUILD")).collect::<Vec<_>>(), own.collect::<Vec<_>>())
    };
    let plain = started(ShellOptions::default());
    assert_eq!(plain, (vec!["/tmp/bakehouse-BUILD-0-0-0.sh".into()], vec!["A=base".into(), "B=it's".into()]));
    let variables = "A='base' B='it'\"'\"'s' PACKER_BUILDER_TYPE='amazon-chroot' PACKER_BUILD_NAME='' ";
    let by_shell = |text: String| (["/bin/sh", "-c", &text].map(str::to_owned).to_vec(), Vec::<String>::new());
    let custom = |text: &str| Some(deferred(text));
    assert_eq!(
        started(ShellOptions {
            execute_command: custom("sudo sh -c '{{.Vars}} {{.Path}}' {{.SourceAMIName}}"),
            remote_path: Some("/etc/s.sh".into()),
            ..Default::default()
        }),
        by_shell(format!("sudo sh -c '{variables} /etc/s.sh' base"))
    );
    assert_eq!(
        started(ShellOptions { env_var_format: Some("%s=\"%s\";".into()), ..Default::default() }).0[2],
        "chmod +x /tmp/bakehouse-BUILD-0-0-0.sh; A=\"base\";B=\"it'\"'\"'s\";PACKER_BUILDER_TYPE=\"amazon-chroot\";\
         PACKER_BUILD_NAME=\"\"; /tmp/bakehouse-BUILD-0-0-0.sh"
    );
    let file = "/etc/bakehouse-BUILD-0-0-variables.sh";
    assert_eq!(
        started(ShellOptions { use_env_var_file: true, remote_folder: Some("/etc".into()), ..Default::default() }),
        by_shell(format!("chmod +x /etc/bakehouse-BUILD-0-0-0.sh; . {file} && /etc/bakehouse-BUILD-0-0-0.sh"))
    );
}

#[test]
fn variables_in_a_file_are_only_for_root() {
    use std::os::unix::fs::PermissionsExt;
    let options = ShellOptions { use_env_var_file: true, ..Default::default() };
    let fixture = fixture(vec![shell("true", options)]);
    let tmp = fixture.dir.path().join("root/tmp");
    let host = Fake::new(&fixture.disk(), |_| false).with_programs(move |_| {
        let file = fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().path());
        let file = file.into_iter().find(|path| path.to_string_lossy().ends_with("variables.sh")).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(file).unwrap();
        assert!(text.starts_with("export A='base'\nexport B='it'\"'\"'s'\nexport PACKER_"), "{text}");
        None
    });
    assert!(matches!(fixture.run(&host).0, Outcome::Done(_)));
    fixture.assert_clean(&host);
}

#[test]
fn a_failed_try_leaves_neither_processes_nor_files() {
    let mut step = shell("true", ShellOptions { use_env_var_file: true, ..Default::default() });
    (step.max_retries, step.pause_before, step.timeout) = (1, Some(Millis(1)), Some(Millis::seconds(60)));
    let fixture = fixture(vec![step]);
    let tmp = fixture.dir.path().join("root/tmp");
    let ran = Cell::new(0);
    let host = Fake::new(&fixture.disk(), |_| false).with_programs(move |command| {
        assert!(command.timeout.is_some(), "it holds beside a pause");
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 2, "this try's script and variables, and nothing else");
        Some(Ok(if ran.replace(1) == 0 { ProcessEnd::TimedOut } else { ProcessEnd::Exited(0) }))
    });
    let (outcome, reports) = fixture.run(&host);
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!(
        notes(&reports),
        [
            "pausing 1 ms before the step",
            "the script inline was ended because its timeout of 60.0 s was over; trying again (1 of 1)",
            "pausing 1 ms before the step",
        ]
    );
    let calls = host.calls();
    let ran: Vec<_> = calls.iter().filter(|call| ["run", "kill_newer"].contains(&call.as_str())).collect();
    assert_eq!(ran, ["run", "kill_newer", "run"]);
}

#[test]
fn a_build_goes_on_after_a_step_that_may_fail() {
    let mut step = shell("true", ShellOptions::default());
    step.continue_on_error = true;
    let fixture = fixture(vec![step, shell("true", ShellOptions::default())]);
    let (outcome, reports) = fixture.run(&host_with_exits(&fixture, &[3]));
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert_eq!(notes(&reports), ["the script inline exited with status 3; the build goes on (continue_on_error)"]);
}

#[test]
fn the_error_cleanup_provisioner_runs_after_a_failure() {
    let run = |on_error, codes| {
        let mut fixture = fixture(vec![shell("true", ShellOptions::default())]);
        fixture.job.error_cleanup = Some(shell("true", ShellOptions::default()));
        fixture.settings.interaction.on_error = on_error;
        let host = host_with_exits(&fixture, codes);
        let (outcome, reports) = fixture.run(&host);
        fixture.assert_clean(&host);
        if codes != [0] {
            let Outcome::Failed { failure, proof: Some(_) } = &outcome else { panic!("{outcome:?}") };
            assert_eq!(
                (failure.message.as_str(), failure.provisioner),
                ("the script inline exited with status 1", Some(0))
            );
        }
        (host.commands().len(), notes(&reports).join("; "))
    };
    let begins = "running the error-cleanup-provisioner: shell (inline)";
    assert_eq!(run(OnError::Cleanup, &[1]), (2, begins.to_owned()));
    assert_eq!(run(OnError::RunCleanupProvisioner, &[1]), (2, begins.to_owned()));
    assert_eq!(run(OnError::Ask, &[1]), (2, begins.to_owned()), "nobody can answer");
    assert_eq!(run(OnError::Abort, &[1]), (1, String::new()));
    assert_eq!(run(OnError::Cleanup, &[0]), (1, String::new()));
    let (_, said) = run(OnError::Cleanup, &[1, 2]);
    assert_eq!(said, format!("{begins}; the error-cleanup-provisioner failed: the script inline exited with status 2"));

    let mut cancelled = fixture(vec![shell("true", ShellOptions::default())]);
    cancelled.job.error_cleanup = Some(shell("true", ShellOptions::default()));
    let host = Fake::new(&cancelled.disk(), |_| false).cancelling_at("run");
    assert!(matches!(cancelled.run(&host).0, Outcome::Cancelled { .. }));
    assert_eq!(host.commands().len(), 1);
}

#[test]
fn a_person_decides_after_a_failure() {
    let run = |answers: &[Answer]| {
        let mut fixture = fixture(vec![shell("true", ShellOptions::default())]);
        fixture.job.error_cleanup = Some(shell("true", ShellOptions::default()));
        (fixture.settings.interaction.on_error, fixture.settings.interaction.answers) = (OnError::Ask, true);
        let host = host_with_exits(&fixture, &[1]).with_answers(answers);
        let (outcome, reports) = fixture.run(&host);
        let message = "the script inline exited with status 1".to_owned();
        assert!(reports.contains(&ReportBody::Waiting(Waiting::Failed { message })), "{reports:?}");
        (host.commands().len(), matches!(outcome, Outcome::Done(_)))
    };
    assert_eq!(run(&[Answer::Retry]), (2, true));
    assert_eq!(run(&[Answer::Cleanup]), (2, false));
    assert_eq!(run(&[Answer::Abort]), (1, false));
}

#[test]
fn a_breakpoint_waits_for_an_answer() {
    let breakpoint = Provisioner::new(Action::Breakpoint(Breakpoint { note: "look".into() }));
    let steps = vec![breakpoint, shell("true", ShellOptions::default())];
    let nobody = fixture(steps.clone());
    let host = Fake::new(&nobody.disk(), |_| false);
    let Outcome::Failed { failure, .. } = nobody.run(&host).0 else { panic!() };
    assert_eq!(failure.message, "a breakpoint waits for Enter, and nobody can press it here");

    let run = |answers: &[Answer]| {
        let mut fixture = fixture(steps.clone());
        fixture.settings.interaction.answers = true;
        let host = Fake::new(&fixture.disk(), |_| false).with_answers(answers);
        let (outcome, reports) = fixture.run(&host);
        assert!(reports.contains(&ReportBody::Waiting(Waiting::Breakpoint { note: "look".into() })));
        outcome
    };
    assert!(matches!(run(&[Answer::Continue]), Outcome::Done(_)));
    assert!(matches!(run(&[Answer::Abort]), Outcome::Failed { .. }));
    assert!(matches!(run(&[]), Outcome::Cancelled { .. }), "nobody is left who could answer");

    let mut fixture = fixture(steps);
    fixture.settings.interaction.answers = true;
    fixture.job.provisioners[0].timeout = Some(Millis::seconds(1));
    let host = Fake::new(&fixture.disk(), |_| false);
    assert!(matches!(fixture.run(&host).0, Outcome::Cancelled { .. }));
    assert_eq!(host.calls().iter().filter(|call| *call == "await_answer").count(), 1, "that is known at once");
}

#[test]
fn with_debug_the_job_waits_before_each_step() {
    let run = |answers: &[Answer]| {
        let step = || shell("true", ShellOptions::default());
        let mut fixture = fixture(vec![step(), step()]);
        (fixture.settings.interaction.debug, fixture.settings.interaction.answers) = (true, true);
        let host = Fake::new(&fixture.disk(), |_| false).with_answers(answers);
        let (outcome, reports) = fixture.run(&host);
        let waited = reports.iter().filter(|body| matches!(body, ReportBody::Waiting(Waiting::Next { .. }))).count();
        (matches!(outcome, Outcome::Done(_)), waited, host.commands().len())
    };
    assert_eq!(run(&[Answer::Continue; 3]), (true, 3, 2));
    assert_eq!(run(&[Answer::Continue, Answer::Abort]), (false, 2, 1));
}

#[test]
fn starting_a_script_is_tried_again() {
    let run = |timeout: Option<Millis>, kind: io::ErrorKind| {
        let options = ShellOptions { start_retry_timeout: timeout, ..Default::default() };
        let fixture = fixture(vec![shell("true", options)]);
        let ran = Cell::new(0);
        let host = Fake::new(&fixture.disk(), |_| false).with_programs(move |_| match ran.replace(ran.get() + 1) {
            0 => Some(Err(kind.into())),
            _ => Some(Ok(ProcessEnd::Exited(0))),
        });
        let (outcome, _) = fixture.run(&host);
        fixture.assert_clean(&host);
        (host.commands().len(), matches!(outcome, Outcome::Done(_)))
    };
    assert_eq!(run(None, io::ErrorKind::ExecutableFileBusy), (2, true));
    assert_eq!(run(None, io::ErrorKind::NotFound), (1, false), "an interpreter that is missing stays missing");
    assert_eq!(run(Some(Millis(30)), io::ErrorKind::NotFound), (2, true));
    assert_eq!(run(Some(Millis(0)), io::ErrorKind::NotFound), (1, false));
}

#[test]
fn a_script_that_fails_is_not_started_again() {
    let options = ShellOptions { start_retry_timeout: Some(Millis::seconds(60)), ..Default::default() };
    let fixture = fixture(vec![shell("true", options)]);
    let host = host_with_exits(&fixture, &[1]);
    assert!(matches!(fixture.run(&host).0, Outcome::Failed { .. }));
    assert_eq!(host.commands().len(), 1);
}

#[test]
fn a_script_stays_only_if_the_template_says_so() {
    let options = ShellOptions { skip_clean: true, remote_path: Some("/etc/kept.sh".into()), ..Default::default() };
    let fixture = fixture(vec![shell("true", options)]);
    let host = Fake::new(&fixture.disk(), |_| false);
    assert!(matches!(fixture.run(&host).0, Outcome::Done(_)));
    assert_eq!(fs::read_to_string(fixture.dir.path().join("root/etc/kept.sh")).unwrap(), "#!/bin/sh -e\ntrue\n");
}

#[test]
fn a_failed_change_for_host_commands_is_made_good() {
    // Each fails, so that nothing of it runs on when the next one begins.
    let mut steps = vec![on_host(), shell("true", ShellOptions::default()), on_host(), on_host()];
    steps.push(steps[1].clone());
    steps.iter_mut().for_each(|step| step.continue_on_error = true);
    let mut fixture = fixture(steps);
    fixture.job.chroot.copy_files = Some(["/etc/group", "/etc/passwd"].map(str::to_owned).into());
    let etc = fixture.dir.path().join("root/etc");
    for name in ["group", "passwd"] {
        fs::write(etc.join(name), "own").unwrap();
    }
    // The second file can't be renamed to this.
    let obstacle = etc.join(".passwd.bakehouse-saved");
    fs::create_dir(&obstacle).unwrap();
    let own = move || ["group", "passwd"].map(|name| fs::read(etc.join(name)).unwrap() == b"own");
    let seen = own.clone();
    let host = Fake::new(&fixture.disk(), |_| false).with_programs(move |command| {
        assert_eq!(seen(), [command.in_image; 2], "{command:?}");
        let _ = fs::remove_dir(&obstacle);
        Some(Ok(ProcessEnd::Exited(1)))
    });
    let (outcome, reports) = fixture.run(&host);
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert!(notes(&reports)[0].starts_with("writing /etc/passwd for commands of the host: "), "{reports:?}");
    let in_image: Vec<bool> = host.commands().iter().map(|command| command.in_image).collect();
    assert_eq!(in_image, [true, false, false, true]);
    assert_eq!(host.calls().iter().filter(|call| *call == "mount /etc/passwd").count(), 3, "each time it was removed");
    assert_eq!(own(), [true, true]);
    assert_eq!(fs::read_dir(fixture.dir.path().join("root/etc")).unwrap().count(), 2);
    assert_eq!(host.mounted(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn an_image_that_can_not_be_taken_back_is_tried_again() {
    let mut steps = vec![on_host(), shell("true", ShellOptions::default())];
    steps.iter_mut().for_each(|step| step.continue_on_error = true);
    steps[1].max_retries = 1;
    for (fails, nth) in [("unshare_disk_lock", 0), ("mount /etc/passwd", 1)] {
        let fixture = fixture(steps.clone());
        let calls = Cell::new(0);
        let host = Fake::new(&fixture.disk(), move |call| call == fails && calls.replace(calls.get() + 1) == nth)
            .with_programs(|_| Some(Ok(ProcessEnd::Exited(1))));
        let (outcome, reports) = fixture.run(&host);
        assert!(matches!(outcome, Outcome::Done(_)), "{fails}: {outcome:?}");
        assert!(notes(&reports)[1].ends_with("; trying again (1 of 1)"), "{reports:?}");
        let calls = host.calls();
        let [lock, run] = ["unshare_disk_lock", "run"].map(|name| calls.iter().rposition(|call| call == name).unwrap());
        assert!(lock < run && calls[lock..run].contains(&"mount /etc/passwd".to_owned()), "{calls:?}");
        fixture.assert_clean(&host);
    }
}

#[test]
fn a_failed_build_is_undone_though_it_is_not_taken_back() {
    let fixture = fixture(vec![on_host()]);
    let host = Fake::new(&fixture.disk(), |call| call == "unshare_disk_lock")
        .with_programs(|_| Some(Ok(ProcessEnd::Exited(1))));
    let (outcome, _) = fixture.run(&host);
    let Outcome::Failed { failure, proof: Some(_) } = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.message, "the script inline, run on the host, exited with status 1");
    assert_eq!(host.mounted(), [] as [std::path::PathBuf; 0]);
}

#[test]
fn copies_of_host_files_do_not_pile_up() {
    let both = [on_host(), shell("true", ShellOptions::default())];
    let mut steps: Vec<_> = std::iter::repeat_n(both, 3).flatten().collect();
    steps.iter_mut().for_each(|step| step.continue_on_error = true);
    let fixture = fixture(steps);
    let private = fixture.dir.path().join("job/private");
    let host = Fake::new(&fixture.disk(), |_| false).with_programs(move |command| {
        let names = fs::read_dir(&private).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let copies = names.filter(|name| name.starts_with("file-")).count();
        assert_eq!(copies, usize::from(command.in_image));
        Some(Ok(ProcessEnd::Exited(1)))
    });
    assert!(matches!(fixture.run(&host).0, Outcome::Done(_)));
    assert_eq!(host.commands().len(), 6);
    fixture.assert_clean(&host);
}

#[test]
fn a_step_that_is_ended_while_it_copies_says_so() {
    let actions: [fn(SourceFile) -> Action; 2] = [
        |source| Action::AnsibleLocal(AnsibleLocal { playbooks: vec![source], ..AnsibleLocal::default() }),
        |source| Action::Upload(Upload { sources: vec![source], destination: deferred("/etc/"), ..Upload::default() }),
    ];
    let fixture_with = |action: fn(SourceFile) -> Action| {
        let mut fixture = fixture(vec![]);
        let path = fixture.dir.path().join("play.yml");
        fs::write(&path, "- hosts: all\n").unwrap();
        let source = SourceFile { written: "play.yml".into(), path: path.display().to_string() };
        fixture.job.provisioners.push(Provisioner::new(action(source)));
        fixture
    };
    for action in actions {
        let mut slow = fixture_with(action);
        slow.job.provisioners[0].timeout = Some(Millis(0));
        let Outcome::Failed { failure, .. } = slow.run(&Fake::new(&slow.disk(), |_| false)).0 else { panic!() };
        assert_eq!(failure.message, "the step was ended because its timeout of 0.0 s was over");

        let cancelled = fixture_with(action);
        // After the step has begun.
        let host = Fake::new(&cancelled.disk(), |_| false).cancelling_at("running");
        let (outcome, _) = cancelled.run(&host);
        assert!(matches!(outcome, Outcome::Cancelled { proof: Some(_) }), "{outcome:?}");
    }
}

#[test]
fn a_script_on_the_host_may_remove_itself() {
    let run = |code| {
        let fixture = fixture(vec![on_host()]);
        let host = Fake::new(&fixture.disk(), |_| false).with_programs(move |command| {
            fs::remove_file(&command.argv[0]).unwrap();
            Some(Ok(ProcessEnd::Exited(code)))
        });
        fixture.run(&host).0
    };
    assert!(matches!(run(0), Outcome::Done(_)));
    let Outcome::Failed { failure, .. } = run(3) else { panic!() };
    assert_eq!(failure.message, "the script inline, run on the host, exited with status 3");
}
