//! The ways in which a `shell` step can upload and start its scripts.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use bakehouse_protocol::{
    DeferredTemplate, Millis,
    spec::{Action, Provisioner, Script, Shell, ShellOptions, SourceFile},
};
use support::{Disk, Layout, inline, skip, step};

fn deferred(text: &str) -> DeferredTemplate {
    DeferredTemplate(text.to_owned())
}

fn shell(lines: &[&str], environment: &[(&str, &str)], options: ShellOptions) -> Provisioner {
    let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), deferred(value))).collect();
    let scripts = vec![Script::Inline(lines.iter().map(|line| deferred(line)).collect())];
    step(Action::Shell(Shell { scripts, environment, valid_exit_codes: vec![0], options }))
}

/// Values that shells and format functions change if they see them unquoted.
const VALUES: [(&str, &str); 7] = [
    ("A", "it's"),
    ("B", "two\nlines\tand a tab\r"),
    ("C", "$HOME `id` $(id) \\back\\\\slash\\n"),
    ("D", "say \"hi\" a=b=c"),
    ("E", ""),
    ("F", "  ünï ✓ 100% %s %d *?[a-z] !bang ~ #hash;semi&amp|pipe<lt>gt  "),
    ("G", "end\\"),
];

#[test]
fn root_values_of_variables_arrive_byte_for_byte() {
    if skip(&[]) {
        return;
    }
    let options = |execute: Option<&str>, file: bool, format: Option<&str>| ShellOptions {
        execute_command: execute.map(deferred),
        env_var_format: format.map(str::to_owned),
        use_env_var_file: file,
        ..ShellOptions::default()
    };
    for (wrapper, options) in [
        ("{{.Command}}", options(None, false, None)),
        ("{{.Command}}", options(Some("chmod +x {{.Path}}; {{ .Vars }} {{ .Path }}"), false, None)),
        ("{{.Command}}", options(Some("{{.Vars}} env sh -e {{.Path}}"), false, None)),
        ("{{.Command}}", options(None, false, Some("export %s='%s'; "))),
        ("{{.Command}}", options(None, true, None)),
        ("nice {{.Command}}", options(None, false, None)),
        ("nice {{.Command}}", options(Some("{{.Vars}} {{.Path}}"), false, None)),
        ("nice {{.Command}}", options(None, true, None)),
    ] {
        let disk = Disk::new("ext4", Layout::Bare, 1, "");
        let dump: Vec<String> =
            VALUES.iter().map(|(name, _)| format!("printf %s \"${name}\" > /root/{name}")).collect();
        let mut lines: Vec<&str> = dump.iter().map(String::as_str).collect();
        lines.push("test $PACKER_BUILD_NAME.$PACKER_BUILDER_TYPE = web.amazon-chroot; ls /tmp | wc -l");
        let mut job = disk.job(vec![shell(&lines, &VALUES, options.clone())]);
        job.chroot.command_wrapper = deferred(wrapper);
        let run = disk.run(&job);
        run.done();
        let files = if options.use_env_var_file { "2" } else { "1" };
        assert_eq!(run.output(), [files], "{wrapper} {options:?}");
        for (name, value) in VALUES {
            // Between two characters, because blanks and line breaks at both ends are cut off.
            let found = disk.inspect(&format!("echo -n .; cat root/{name}; echo ."));
            assert_eq!(found, format!(".{value}."), "{name}: {wrapper} {options:?}");
        }
        assert_eq!(disk.inspect("ls -A tmp"), "");
    }
}

/// Case 15 of the known bugs of Packer.
#[test]
fn root_scripts_run_from_another_folder() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let at = |folder: Option<&str>, path: Option<&str>, skip_clean| ShellOptions {
        remote_folder: folder.map(str::to_owned),
        remote_path: path.map(str::to_owned),
        skip_clean,
        ..ShellOptions::default()
    };
    let run = disk.run(&disk.job(vec![
        inline(&["mount -t tmpfs -o noexec case /tmp"]),
        shell(&["echo ${0%bakehouse*}; stat -c %a $0; ls /tmp | wc -l"], &[], at(Some("/root"), None, false)),
        shell(&["echo $0"], &[], at(None, Some("/root/named.sh"), false)),
        shell(&["echo $0"], &[], at(None, Some("/root/kept.sh"), true)),
    ]));
    run.done();
    assert_eq!(run.output(), ["/root/", "755", "0", "/root/named.sh", "/root/kept.sh"]);
    assert_eq!(disk.inspect("ls -A tmp root; cat root/kept.sh"), "root:\nkept.sh\n\ntmp:\n#!/bin/sh -e\necho $0");

    let missing = shell(&["true"], &[], at(Some("/srv/none"), None, false));
    let run = disk.run(&disk.job(vec![missing]));
    let message = &run.failed().message;
    assert_eq!(message, "writing the script inline into the image's /srv/none: No such file or directory (os error 2)");

    // Told to try again, it waits for what makes the folder.
    let mut later = at(Some("/srv/later"), None, false);
    later.start_retry_timeout = Some(Millis::seconds(20));
    let begin = inline(&["(setsid sh -c 'sleep 0.5; mkdir -p /srv/later' &)"]);
    let run = disk.run(&disk.job(vec![begin, shell(&["echo ${0%bakehouse*}"], &[], later)]));
    run.done();
    assert_eq!(run.output(), ["/srv/later/"]);
}

/// Case 13 of the known bugs of Packer.
#[test]
fn root_line_ends_of_scripts_are_those_of_unix_unless_binary() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    // With the carriage return, the interpreter and the directory would have it in their names.
    fs::write(disk.dir.path().join("crlf.sh"), "#!/bin/sh -e\r\ncat \"$0\" > /root/seen\r\nexit 0").unwrap();
    fs::write(disk.dir.path().join("binary.sh"), b"#!/bin/sh\ncat \"$0\" > /root/seen; exit 0 #\r\n\xff").unwrap();
    let file = |name: &str, binary| {
        let scripts = vec![Script::File(SourceFile { written: name.into(), path: name.into() })];
        let options = ShellOptions { binary, ..ShellOptions::default() };
        step(Action::Shell(Shell { scripts, options, ..Shell::default() }))
    };
    disk.run(&disk.job(vec![file("crlf.sh", false)])).done();
    assert_eq!(
        disk.inspect("tail -n +2 root/seen | od -An -c | tr -d ' \\n'; rm root/seen"),
        "cat\"$0\">/root/seen\\nexit0\\n"
    );
    disk.run(&disk.job(vec![file("binary.sh", true)])).done();
    assert_eq!(disk.inspect("tail -c 3 root/seen | od -An -tx1"), "0d 0a ff");
}

#[test]
fn root_an_inline_script_may_have_its_own_interpreter() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let shebang = ShellOptions { inline_shebang: Some("/bin/sh".into()), ..ShellOptions::default() };
    let run = disk.run(&disk.job(vec![
        shell(&["#!/bin/cat", "as it is"], &[], ShellOptions::default()),
        shell(&["false; echo without -e"], &[], shebang),
    ]));
    run.done();
    assert_eq!(run.output(), ["#!/bin/cat", "as it is", "without -e"]);
}

#[test]
fn root_a_pause_after_a_step_does_not_count_as_its_time() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let options = ShellOptions { pause_after: Some(Millis(600)), ..ShellOptions::default() };
    let mut first = shell(&["cat /proc/uptime"], &[], options);
    first.timeout = Some(Millis(500));
    let run = disk.run(&disk.job(vec![first, inline(&["cat /proc/uptime"])]));
    run.done();
    let times: Vec<f64> = run.output().iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect();
    assert!(times[1] - times[0] >= 0.6, "{times:?}");
}

/// Case 29 of the known bugs of Packer: package managers close every descriptor up to the limit.
#[test]
fn root_the_soft_limit_of_open_files_is_the_usual_one() {
    if skip(&[]) {
        return;
    }
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let run = disk.run(&disk.job(vec![inline(&["ulimit -Sn; ulimit -Hn"])]));
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    run.done();
    assert_eq!(run.output(), ["1024".to_owned(), hard.to_string()]);
}
