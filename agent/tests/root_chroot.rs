//! What a step finds in the chroot, and what it can change.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Action, ChrootMount, Download, Script, Shell, SourceFile, Upload},
};
use support::{Disk, Layout, inline, shell, skip, step};

#[test]
fn root_the_environment_is_exactly_as_documented() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let environment = [("GREETING", "it's $HOME `id` \"x\"\nand {{.SourceAMIName}}"), ("LANG", "de")];
    let environment: Vec<_> = environment.map(|(k, v)| (k.to_owned(), DeferredTemplate(v.to_owned()))).into();
    let run = |wrapper: &str| {
        let inspect = Script::Inline(vec![DeferredTemplate(
            "pwd; cat /proc/self/cgroup | grep -c bakehouse; hostname; echo $$".into(),
        )]);
        let print = Script::Inline(vec![DeferredTemplate("exec /bin/busybox env".into())]);
        let action = Shell {
            scripts: vec![print, inspect],
            environment: environment.clone(),
            valid_exit_codes: vec![0],
            ..Shell::default()
        };
        let mut job = disk.job(vec![step(Action::Shell(action))]);
        job.chroot.command_wrapper = DeferredTemplate(wrapper.to_owned());
        let run = disk.run(&job);
        run.done();
        let lines: Vec<String> = run.output().into_iter().map(str::to_owned).collect();
        lines
    };
    let direct = run("{{.Command}}");
    let expected = [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "LANG=de",
        "TERM=dumb",
        "PACKER_BUILDER_TYPE=amazon-chroot",
        "PACKER_BUILD_NAME=web",
        "GREETING=it's $HOME `id` \"x\"",
        "and base",
    ];
    let mut wanted: Vec<&str> = expected.to_vec();
    wanted.sort_unstable();
    // The shell adds PWD, SHLVL and the like. Everything else is documented, and everything documented is there.
    let own = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let (env, rest) = direct.split_at(direct.iter().position(|line| line == "/").unwrap());
    let mut env: Vec<&str> =
        env.iter().map(String::as_str).filter(|line| !own.iter().any(|own| line.starts_with(own))).collect();
    env.sort_unstable();
    assert_eq!(env, wanted);
    assert_eq!(rest[1..3], ["1", "localhost"], "in the build's cgroup, with the host name localhost");
    assert!(rest[3].parse::<u32>().unwrap() < 100, "in a PID namespace of its own: {rest:?}");

    let wrapped = run("nice -n 5 {{.Command}}");
    let mut wrapped: Vec<&str> = wrapped.iter().map(String::as_str).take_while(|line| *line != "/").collect();
    wrapped.retain(|line| !own.iter().any(|own| line.starts_with(own)));
    wrapped.sort_unstable();
    assert_eq!(wrapped, wanted);
}

#[test]
fn root_mounts_devices_and_capabilities_of_a_step() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let device = disk.device.replace("/dev/", "");
    // A file that the caller has open without close-on-exec.
    let _leak = nix::unistd::dup(fs::File::open("/dev/null").unwrap()).unwrap();
    let run = disk.run(&disk.job(vec![inline(&[
        // Each ends in `|| exit`, because `set -e` ignores failures before an `&&` and after a `!`.
        "(test -c /dev/null && test -c /dev/urandom && test -L /dev/ptmx && test -d /dev/shm && test -e /dev/fd/0) || exit 11",
        &format!("(test -b /dev/{device} && test -b /dev/{device}p1 && ! test -e /dev/loop-control) || exit 12"),
        "(grep -q '^devpts /dev/pts' /proc/mounts && grep '^sysfs /sys' /proc/mounts | grep -q 'ro,') || exit 13",
        "if touch /sys/kernel/x 2>/dev/null; then exit 14; fi",
        // The current value is written, so that a failure of this test changes nothing on the host.
        "pattern=$(cat /proc/sys/kernel/core_pattern)",
        "if sh -c 'echo \"$0\" > /proc/sys/kernel/core_pattern' \"$pattern\" 2>/dev/null; then exit 15; fi",
        // The fourth is the directory that ls reads.
        "test \"$(ls /proc/self/fd | tr '\\n' ' ')\" = '0 1 2 3 '",
        "grep CapBnd /proc/self/status",
        "test \"$(stat -L -c %d:%i /proc/1/root/.)\" != \"$(stat -c %d:%i /)\" && echo chroot",
        "echo x > /dev/null; echo err >&2; cat",
    ])]));
    run.done();
    let output = run.output();
    let bounding = output.iter().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    let bounding = u64::from_str_radix(bounding, 16).unwrap();
    for dropped in [12, 16, 17, 22, 25, 34] {
        assert_eq!(bounding >> dropped & 1, 0, "capability {dropped}");
    }
    for kept in [0, 6, 18, 21, 27, 31] {
        assert_eq!(bounding >> kept & 1, 1, "capability {kept}");
    }
    assert!(output.contains(&"chroot") && output.contains(&"err"));
}

#[test]
fn root_resolv_conf_is_the_hosts_and_the_image_keeps_its_own() {
    if skip(&[]) {
        return;
    }
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if host.is_empty() {
        println!("SKIP root_resolv_conf_is_the_hosts_and_the_image_keeps_its_own: the host has no resolv.conf");
        return;
    }
    let cases = [
        "true",
        "printf 'nameserver 192.0.2.1\\n' > etc/resolv.conf; chmod 600 etc/resolv.conf; chown 7:8 etc/resolv.conf",
        "ln -s ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf",
        "mkdir -p run/resolvconf; echo old > run/resolvconf/resolv.conf; ln -s /run/resolvconf/resolv.conf etc/resolv.conf",
        "ln -s /etc/../../../../etc/else etc/resolv.conf",
        "mkdir -p usr/sbin; echo mine > usr/sbin/policy-rc.d; chmod 640 usr/sbin/policy-rc.d; echo 12 > etc/debian_version",
        "mkdir -p usr/sbin; echo 12 > etc/debian_version",
    ];
    for case in cases {
        let disk = Disk::new("ext4", Layout::Bare, 1, case);
        let before = disk.listing();
        let run = disk.run(&disk.job(vec![inline(&[
            "cat /etc/resolv.conf",
            "echo changed >> /etc/resolv.conf",
            "if test -e /etc/debian_version; then set +e; /usr/sbin/policy-rc.d; test $? = 101; fi",
        ])]));
        run.done();
        assert_eq!(run.output().join("\n").trim(), host.trim(), "{case}");
        assert_eq!(disk.listing(), before, "{case}");
    }
    assert_eq!(fs::read_to_string("/etc/resolv.conf").unwrap(), host, "the host's file is unchanged");
}

/// What a step writes to such a file is on no disk of the host.
#[test]
fn root_bind_mounted_files_are_on_a_limited_tmpfs() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let before = disk.listing();
    let mut job = disk.job(vec![inline(&[
        "grep -o ' /etc/passwd tmpfs rw,nosuid,nodev' /proc/mounts",
        "chmod 4755 /etc/passwd",
        "dd if=/dev/zero of=/etc/passwd bs=1M count=512 2>/dev/null || echo full",
    ])]);
    job.chroot.copy_files = Some(vec!["/etc/passwd".into()]);
    let run = disk.run(&job);
    run.done();
    assert_eq!(run.output(), [" /etc/passwd tmpfs rw,nosuid,nodev", "full"]);
    assert_eq!(disk.listing(), before);
}

#[test]
fn root_copy_files_and_chroot_mounts_replace_the_defaults() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "mkdir -p etc/x; echo old > etc/passwd");
    let before = disk.listing();
    let shared = disk.dir.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("file"), "from the host").unwrap();
    let mut job = disk.job(vec![inline(&[
        "grep -q root: /etc/passwd; test ! -e /etc/resolv.conf; test ! -e /proc/self; test ! -e /dev",
        "cat /mnt/here/file; echo back > /mnt/here/out",
    ])]);
    job.chroot.copy_files = Some(vec!["/etc/passwd".into()]);
    let mount = ChrootMount { kind: "bind".into(), source: shared.display().to_string(), target: "/mnt/here".into() };
    job.chroot.chroot_mounts = Some(vec![mount]);
    let run = disk.run(&job);
    run.done();
    assert_eq!(run.output(), ["from the host"]);
    assert_eq!(fs::read_to_string(shared.join("out")).unwrap(), "back\n");
    assert_eq!(disk.listing(), before);
    assert_eq!(disk.inspect("cat etc/passwd"), "old");
}

fn upload(sources: &[&str], destination: &str) -> bakehouse_protocol::spec::Provisioner {
    let file = |source: &&str| SourceFile { written: (*source).into(), path: source.trim_end_matches('/').into() };
    step(Action::Upload(Upload {
        sources: sources.iter().map(file).collect(),
        destination: DeferredTemplate(destination.into()),
        ..Upload::default()
    }))
}

#[test]
fn root_files_are_copied_by_packers_rules_and_stay_in_the_root() {
    if skip(&[]) {
        return;
    }
    let disk =
        Disk::new("ext4", Layout::Bare, 1, "mkdir -p opt srv; ln -s / up; ln -s /../../../../tmp/escape etc/out");
    let dir = disk.dir.path();
    fs::create_dir_all(dir.join("tree/sub")).unwrap();
    fs::write(dir.join("tool"), "#!/bin/sh\necho tool\n").unwrap();
    fs::set_permissions(dir.join("tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(dir.join("tree/.hidden"), "h").unwrap();
    fs::write(dir.join("tree/sub/f"), "f").unwrap();
    std::os::unix::fs::symlink("sub/f", dir.join("tree/link")).unwrap();
    let _ = fs::remove_file("/tmp/escape");
    let download = |source: &str, destination: String| {
        step(Action::Download(Download { sources: vec![DeferredTemplate(source.into())], destination }))
    };
    let run = disk.run(&disk.job(vec![
        upload(&["tool"], "/opt/"),
        upload(&["tool"], "/opt/named"),
        upload(&["tree"], "/srv/new"),
        upload(&["tree"], "/srv/new"),
        upload(&["tree/"], "/srv"),
        upload(&["tool"], "/etc/out"),
        inline(&["/opt/tool", "stat -c '%a %u' /opt/named", "echo '#no' > /noshebang; echo result > /up/opt/result"]),
        download("/opt/result", format!("{}/got/", dir.display())),
        download("/up/opt/result", format!("{}/deep/er/file", dir.display())),
    ]));
    run.done();
    assert_eq!(run.output(), ["tool", "4755 0"]);
    let found = disk.inspect("cd srv; find . | sort | tr '\\n' ' '; cat new/tree/link; ls ../tmp");
    assert_eq!(
        found,
        ". ./.hidden ./link ./new ./new/.hidden ./new/link ./new/sub ./new/sub/f ./new/tree ./new/tree/.hidden \
         ./new/tree/link ./new/tree/sub ./new/tree/sub/f ./sub ./sub/f fescape"
    );
    assert!(!Path::new("/tmp/escape").exists(), "a symbolic link of the image led to the host");
    assert_eq!(fs::read_to_string(dir.join("got/result")).unwrap(), "result\n");
    assert_eq!(fs::read_to_string(dir.join("deep/er/file")).unwrap(), "result\n");

    let run = disk.run(&disk.job(vec![upload(&["tool"], "/no/such/place")]));
    assert!(run.failed().message.contains("there is no directory /no/such in it"), "{}", run.failed().message);
    let run = disk.run(&disk.job(vec![upload(&["absent"], "/opt/")]));
    assert!(run.failed().message.starts_with("reading absent: No such file"), "{}", run.failed().message);
}

/// Case 21 of the known bugs of Packer, and `content` and `generated`.
#[test]
fn root_new_files_have_the_mode_of_their_source() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new(
        "ext4",
        Layout::Bare,
        1,
        "mkdir -p opt srv; echo old > etc/old; chmod 640 etc/old; chown 7:8 etc/old",
    );
    let dir = disk.dir.path();
    fs::create_dir(dir.join("work")).unwrap();
    for (name, mode) in [("tool.sh", 0o755), ("plain.conf", 0o644), ("private.key", 0o600), ("work/late", 0o640)] {
        fs::write(dir.join(name), name).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let content = |destination: &str| {
        let destination = DeferredTemplate(destination.into());
        step(Action::Upload(Upload { content: Some("text\n".into()), destination, ..Upload::default() }))
    };
    let generated = step(Action::Upload(Upload {
        sources: vec![SourceFile { written: "la{{.X}}".into(), path: "l{{lower `ATE`}}".into() }],
        generated: true,
        destination: DeferredTemplate("/srv/".into()),
        ..Upload::default()
    }));
    let mut job = disk.job(vec![
        upload(&["tool.sh"], "/opt"),
        upload(&["plain.conf", "private.key"], "/opt/"),
        upload(&["tool.sh"], "/etc/old"),
        content("/etc/content"),
        content("/srv/"),
        generated,
    ]);
    job.working_directory = "work".into();
    disk.run(&job).done();
    let found = disk.inspect("stat -c '%a %u %n' opt/* etc/content etc/old srv/*; cat etc/old etc/content");
    let build = &disk.build;
    assert_eq!(
        found,
        format!(
            "644 0 opt/plain.conf\n600 0 opt/private.key\n755 0 opt/tool.sh\n644 0 etc/content\n640 7 etc/old\n\
             640 0 srv/late\n644 0 srv/packer-file-provisioner-content-{build}-4-0\ntool.shtext"
        )
    );
}

#[test]
fn root_a_script_without_an_interpreter_line_runs_with_sh() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    fs::write(disk.dir.path().join("plain.sh"), "echo plain\nls /tmp | wc -l\n").unwrap();
    let plain = || Script::File(SourceFile { written: "plain.sh".into(), path: "plain.sh".into() });
    let run = disk.run(&disk.job(vec![shell(vec![plain(), plain()])]));
    run.done();
    assert_eq!(run.output(), ["plain", "1", "plain", "1"], "each script is removed after it has run");
    assert_eq!(disk.inspect("ls -A tmp"), "");
}

#[test]
fn root_concurrent_jobs_do_not_see_each_other() {
    if skip(&[]) {
        return;
    }
    let disks: Vec<Disk> = (0..4).map(|_| Disk::new("ext4", Layout::Gpt, 1, "")).collect();
    std::thread::scope(|scope| {
        for (i, disk) in disks.iter().enumerate() {
            scope.spawn(move || {
                let run =
                    disk.run(&disk.job(vec![inline(&[&format!(
                        "echo {i} > /me; sleep 0.3; cat /me; ls /proc | grep -c '^[0-9]'"
                    )])]));
                run.done();
                assert_eq!(run.output()[0], i.to_string());
                assert!(run.output()[1].parse::<u32>().unwrap() < 10, "a job sees only its own processes");
            });
        }
    });
}

#[test]
fn root_systemctl_starts_no_service() {
    if skip(&["systemctl", "ldd"]) {
        return;
    }
    // The host's systemctl with its shared libraries, and a unit that it could start.
    let prepare = "mkdir -p usr/bin etc/systemd/system; cp -L /usr/bin/systemctl usr/bin; \
        for file in $(ldd /usr/bin/systemctl | grep -o '/[^ ]*'); do mkdir -p .$(dirname $file); cp -L $file .$file; done; \
        printf '[Service]\\nExecStart=/bin/touch /started\\n[Install]\\nWantedBy=multi-user.target\\n' \
        > etc/systemd/system/own.service";
    let disk = Disk::new("ext4", Layout::Gpt, 1, prepare);
    let run = disk.run(&disk.job(vec![inline(&[
        "for verb in start restart reload-or-restart; do systemctl $verb own.service; done",
        "systemctl daemon-reload",
        "systemctl enable own.service",
        "systemctl is-enabled own.service",
        "test ! -e /started",
    ])]));
    run.done();
    let ignored = run.output().iter().filter(|line| line.contains("ignoring")).count();
    assert_eq!(ignored, 4, "{:?}", run.output());
    // Enabling only writes symbolic links and works: the service starts when the image boots. What it prints on
    // standard error may come after.
    assert!(run.output().contains(&"enabled"), "{:?}", run.output());
}

/// What a step can reach of the agent and of the process that started it.
#[test]
fn root_process_1_reveals_nothing_of_caller_or_agent() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    // The caller's environment, and a file that it has open without close-on-exec.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "this test has variables in its environment");
    let secret = disk.dir.path().join("secret");
    fs::write(&secret, "the caller's").unwrap();
    let _leak = nix::unistd::dup(fs::File::open(&secret).unwrap()).unwrap();
    let look = [
        "echo environment: $(tr '\\0' ' ' < /proc/1/environ)",
        "echo files: $(ls -A /proc/1/fd)",
        "echo root: $(ls -A /proc/1/root/)",
        "echo processes: $(cat /proc/[0-9]*/comm | sort -u)",
        "echo rights: $(grep -h -E '^Cap(Prm|Eff|Bnd)' /proc/1/status | tr -d '\\t')",
        // From inside it can be neither killed nor stopped.
        "kill -9 1; kill -19 1; kill -15 1",
        "echo still running",
    ];
    let nothing = "CapPrm:0000000000000000 CapEff:0000000000000000 CapBnd:0000000000000000";
    let expected = ["environment:", "files:", "root:", "processes: ", &format!("rights: {nothing}"), "still running"];
    let bind = ChrootMount { kind: "bind".into(), source: "/proc".into(), target: "/proc".into() };
    for mounts in [None, Some(vec![bind])] {
        let mut job = disk.job(vec![inline(&look)]);
        job.chroot.chroot_mounts = mounts.clone();
        let run = disk.run(&job);
        run.done();
        let output = run.output();
        assert_eq!(output.len(), expected.len(), "{mounts:?}: {output:?}");
        assert!(output.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{mounts:?}: {output:#?}");
        assert_eq!([output[0], output[1], output[2]], ["environment:", "files:", "root:"], "{mounts:?}");
        assert!(output[3].contains("bakehouse-init") && !output[3].contains("agent"), "{mounts:?}: {}", output[3]);
        assert!(run.done().killed.is_empty(), "{:?}", run.done().killed);
    }
}
