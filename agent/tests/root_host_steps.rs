//! Steps that run on the host, and what they may do to the mounted image.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt};

use bakehouse_protocol::{
    DeferredTemplate, Millis,
    spec::{Action, ChrootMount, Provisioner, Script, ShellLocal, SourceFile},
};
use support::{Disk, Layout, Loop, Mounted, inline, sh, skip, step};

fn deferred(text: &str) -> DeferredTemplate {
    DeferredTemplate(text.to_owned())
}

fn on_host(lines: &[&str]) -> Provisioner {
    let scripts = vec![Script::Inline(lines.iter().map(|line| deferred(line)).collect())];
    step(Action::ShellLocal(ShellLocal { scripts, ..ShellLocal::default() }))
}

#[test]
fn root_host_commands_run_in_the_working_directory() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "mkdir mnt");
    let work = disk.dir.path().join("work");
    fs::create_dir_all(work.join("share")).unwrap();
    fs::write(work.join("share/file"), "shared").unwrap();
    fs::write(work.join("wrapper"), "#!/bin/sh\necho \"$1\" >> wrapped\nexec \"$@\"\n").unwrap();
    fs::write(work.join("script"), "echo script $A; cat share/file; echo; exit 5").unwrap();
    for name in ["wrapper", "script"] {
        fs::set_permissions(work.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let root = disk.mount_path().display().to_string();
    let script = SourceFile { written: "./script".into(), path: "work/script".into() };
    let own = ShellLocal {
        scripts: vec![Script::File(script)],
        environment: vec![("A".into(), deferred("it's $HOME"))],
        valid_exit_codes: vec![5],
        ..ShellLocal::default()
    };
    let custom = ShellLocal {
        scripts: vec![Script::Inline(vec![deferred("echo $0 $A; echo $PACKER_BUILD_NAME")])],
        execute_command: ["sh", "-c", "{{.Vars}} sh -e {{.Script}}"].map(deferred).into(),
        tempfile_extension: "sh".into(),
        ..own.clone()
    };
    let mut job = disk.job(vec![
        inline(&["cat /mnt/file; echo inside > /made; cat /etc/resolv.conf | head -c 0"]),
        on_host(&[&format!(
            "cat {root}/made; pwd; test -r /proc/$$/stat; echo made > share/by-host; hostname > {root}/name"
        )]),
        step(Action::ShellLocal(own)),
        step(Action::ShellLocal(ShellLocal { valid_exit_codes: vec![0], ..custom })),
        inline(&["echo; cat /mnt/by-host"]),
    ]);
    job.working_directory = "work".into();
    job.chroot.command_wrapper = deferred("./wrapper {{.Command}}");
    job.chroot.pre_mount_commands = vec![deferred("pwd >> pre")];
    job.chroot.post_mount_commands = vec![deferred("test -e share && touch post")];
    let mount = ChrootMount { kind: "bind".into(), source: "share".into(), target: "/mnt".into() };
    job.chroot.chroot_mounts = Some(vec![mount]);
    let run = disk.run(&job);
    run.done();
    let mut output = run.output();
    let at = output.iter().position(|line| line.contains("shell-local-")).unwrap();
    let script = output.remove(at);
    assert!(script.ends_with(".sh it's $HOME"), "{script}");
    let work = work.display().to_string();
    assert_eq!(output, ["shared", "inside", &work, "script it's $HOME", "shared", "web", "", "made"].to_vec());
    assert_eq!(fs::read_to_string(format!("{work}/pre")).unwrap(), format!("{work}\n"));
    assert_eq!(
        fs::read_to_string(format!("{work}/wrapped")).unwrap().lines().collect::<Vec<_>>(),
        ["pwd", "test", "chroot", "chroot"]
    );
    assert!(fs::exists(format!("{work}/post")).unwrap());
    assert_eq!(disk.inspect("cat name"), support::sh("hostname"), "the host's name");
}

/// What a host command sees in the image, and that nothing of it stays.
#[test]
fn root_host_commands_see_packers_mounts_and_files() {
    if skip(&[]) {
        return;
    }
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    for prepare in ["echo own > etc/resolv.conf", "ln -s ../run/none etc/resolv.conf", "true"] {
        let disk =
            Disk::new("ext4", Layout::Bare, 1, &format!("mkdir -p usr/sbin; echo 12 > etc/debian_version; {prepare}"));
        let before = disk.listing();
        let root = disk.mount_path().display().to_string();
        let run = disk.run(&disk.job(vec![
            inline(&["mkdir /data; mount -t tmpfs x /data; touch /data/kept"]),
            on_host(&[
                &format!("grep -o ' {root}[^ ]*' /proc/self/mountinfo | sort"),
                &format!("cat {root}/etc/resolv.conf > seen; ls {root}/usr/sbin"),
                // Packages that are installed from here find the network.
                &format!("chroot {root} cat /etc/resolv.conf | cmp - /etc/resolv.conf; env > env"),
                &format!("chroot {root} sh -c 'test -e /proc/self/fd/0 && test -r /proc/$$/stat'"),
            ]),
            inline(&["test -e /proc/self/fd/0 && test -r /proc/$$/stat"]),
            inline(&["test -e /data/kept; test -e /dev/shm; /usr/sbin/policy-rc.d && false || echo $?; umount /data; rmdir /data"]),
        ]));
        run.done();
        let mounts = ["", "/data", "/dev", "/dev/pts", "/proc"].map(|path| format!(" {root}{path}"));
        let mut expected: Vec<&str> = mounts.iter().map(String::as_str).collect();
        let mut output = run.output();
        output.retain(|line| !line.ends_with("binfmt_misc"));
        let sys = format!(" {root}/sys");
        expected.extend([sys.as_str(), "101"]);
        assert_eq!(output, expected);
        assert_eq!(fs::read_to_string("/seen").unwrap(), host);
        let env = fs::read_to_string("/env").unwrap();
        let names: Vec<&str> = env.lines().filter_map(|line| line.split('=').next()).collect();
        for name in names {
            assert!(
                [
                    "PATH",
                    "HOME",
                    "LANG",
                    "TERM",
                    "PWD",
                    "OLDPWD",
                    "_",
                    "SHLVL",
                    "PACKER_BUILD_NAME",
                    "PACKER_BUILDER_TYPE"
                ]
                .contains(&name),
                "{name}"
            );
        }
        fs::remove_file("/seen").unwrap();
        fs::remove_file("/env").unwrap();
        assert_eq!(disk.listing(), before, "{prepare}");
    }
}

/// As templates do that make the root anew (cases 29 and 39 of the templates).
#[test]
fn root_host_commands_may_make_the_root_anew() {
    if skip(&["mkfs.ext4", "mkfs.xfs", "tar"]) {
        return;
    }
    for kind in ["ext4", "xfs"] {
        let disk = Disk::new(
            "ext4",
            Layout::Gpt,
            1,
            "mkdir -p usr/sbin proc sys dev; echo 12 > etc/debian_version; echo own > etc/resolv.conf",
        );
        let root = disk.mount_path().display().to_string();
        let device = "/dev/xvdq1";
        let kept = disk.dir.path().join("kept.tar").display().to_string();
        let mkfs = if kind == "ext4" { "mkfs.ext4 -q -F -L anew" } else { "mkfs.xfs -q -f -L anew" };
        let mut job = disk.job(vec![
            inline(&["echo before > /etc/mark"]),
            on_host(&[&format!("tar -C {root} --one-file-system -cpf {kept} .")]),
            on_host(&[&format!("umount {root}/proc/sys/fs/binfmt_misc || true")]),
            on_host(&[&format!("for m in proc sys dev/pts dev; do umount {root}/$m; done")]),
            on_host(&[&format!("umount {device}")]),
            on_host(&[&format!("{mkfs} {device}")]),
            on_host(&[&format!("mkdir -p {root} && mount {device} {root}")]),
            on_host(&[&format!("tar -C {root} -xpf {kept} && rm {kept}")]),
            on_host(&[&format!("mount -t proc none {root}/proc && mount --bind /dev {root}/dev")]),
            on_host(&[&format!("chroot {root} sh -c 'grep before /etc/mark && echo after >> /etc/mark'")]),
            on_host(&[&format!("umount {root}/proc {root}/dev")]),
            inline(&[
                "cat /proc/mounts | grep -c ' / '; test -c /dev/null; cat /etc/mark; test -e /usr/sbin/policy-rc.d",
            ]),
            on_host(&[&format!("umount {root} && mount {device} {root}")]),
            inline(&["echo again >> /etc/mark"]),
            on_host(&["true"]),
        ]);
        job.chroot.device_name = Some("/dev/xvdq".into());
        let run = disk.run(&job);
        let proof = run.done();
        assert_eq!(proof.filesystem, kind);
        assert!(run.output().ends_with(&["before", "1", "before", "after"]), "{:?}", run.output());
        let mut inspected = disk;
        inspected.set_filesystem(kind);
        assert_eq!(
            inspected.inspect("cat etc/mark etc/resolv.conf; ls -A usr/sbin etc"),
            "before\nafter\nagain\nown\netc:\ndebian_version\nmark\npasswd\nresolv.conf\n\nusr/sbin:"
        );
    }
}

/// Case 39 of the templates; and a mount that a host command makes elsewhere.
#[test]
fn root_other_partitions_are_mounted_by_host_commands() {
    if skip(&["mkfs.ext4", "partx"]) {
        return;
    }
    let mut disk = Disk::blank(1);
    disk.attach();
    let root = disk.mount_path().display().to_string();
    let mut job = disk.job(vec![
        inline(&["grep -q ' /var ' /proc/mounts; echo kept > /var/kept"]),
        on_host(&[
            &format!("umount {root}/var; test ! -e {root}/var/kept"),
            &format!("mount $(cat {root}/disk)2 {root}/var; mkdir -p elsewhere; mount $(cat {root}/disk)2 elsewhere"),
        ]),
        inline(&["cat /var/kept"]),
        on_host(&[&format!("umount {root}/var")]),
    ]);
    job.from_scratch = true;
    job.working_directory = disk.dir.path().display().to_string();
    let commands = [
        "printf 'label: gpt\\nsize=200MiB, type=linux\\ntype=linux\\n' | sfdisk -q --no-reread --no-tell-kernel {{.Device}}",
        "partx --update {{.Device}}; mkfs.ext4 -qF -L root {{.Device}}1; mkfs.ext4 -qF {{.Device}}2; sync",
    ];
    job.chroot.pre_mount_commands = commands.map(deferred).into();
    job.chroot.post_mount_commands = vec![deferred(
        "cd {{.MountPath}}; mkdir bin tmp var; mount {{.Device}}2 var; cp /bin/busybox bin; echo {{.Device}} > disk; \
         for a in sh cat grep; do ln -s busybox bin/$a; done",
    )];
    let run = disk.run(&job);
    run.done();
    assert_eq!(run.output(), ["kept"]);
}

#[test]
fn root_a_root_that_the_host_unmounts_is_an_error() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let root = disk.mount_path().display().to_string();
    let unmount = || on_host(&[&format!("umount -R {root}")]);
    let expected = format!("nothing is mounted at {root} after the commands of the host");
    let run = disk.run(&disk.job(vec![unmount()]));
    assert_eq!(run.failed().message, expected);
    let run = disk.run(&disk.job(vec![unmount(), inline(&["true"])]));
    assert_eq!((run.failed().message.as_str(), run.failed().provisioner), (expected.as_str(), Some(1)));
    let run =
        disk.run(&disk.job(vec![on_host(&[&format!("umount -R {root}; mount -t tmpfs x {root}")]), inline(&["true"])]));
    assert_eq!(run.failed().message, format!("what is mounted at {root} is x, and not on the build's volume"));
    let run = disk.run(&disk.job(vec![on_host(&["exit 3"])]));
    assert_eq!(run.failed().message, "the script inline, run on the host, exited with status 3");
}

/// What belongs to the host stays in use, even if it is where the root was.
#[test]
fn root_loop_devices_of_the_host_are_not_released() {
    if skip(&[]) {
        return;
    }
    // A file system of the host, and a loop device on it.
    let host = Disk::new("ext4", Layout::Bare, 1, "dd if=/dev/zero of=file bs=1M count=8 2>/dev/null");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display().to_string();
    sh(&format!("mount {} {path}", host.device));
    let _mounted = Mounted(dir.path().to_owned());
    let device = Loop(sh(&format!("losetup -f --show {path}/file")));

    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let root = disk.mount_path().display().to_string();
    for line in [
        format!("mount --bind {path} {root}; exit 3"),
        // The new mount has the id that the root had.
        format!("umount -R {root}; mount --bind {path} {root}; exit 3"),
    ] {
        let run = disk.run(&disk.job(vec![on_host(&[&line])]));
        assert_eq!(run.failed().message, "the script inline, run on the host, exited with status 3", "{line}");
        assert!(sh(&format!("losetup {}", device.0)).contains("/file"), "{line}: {:?}", run.notes());
    }
    let step = on_host(&[&format!("umount -R {root}; mount --bind {path} {root}")]);
    let run = disk.run(&disk.job(vec![step, inline(&["true"])]));
    let expected = format!("what is mounted at {root} is {}, and not on the build's volume", host.device);
    assert_eq!(run.failed().message, expected);
    assert!(sh(&format!("losetup {}", device.0)).contains("/file"), "{:?}", run.notes());
}

#[test]
fn root_a_loop_device_on_an_unmounted_root_is_released() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "dd if=/dev/zero of=file bs=1M count=8 2>/dev/null");
    let root = disk.mount_path().display().to_string();
    let run = disk.run(&disk.job(vec![on_host(&[&format!("losetup -f {root}/file; umount -R -l {root}")])]));
    assert_eq!(run.failed().message, format!("nothing is mounted at {root} after the commands of the host"));
    let notes = run.notes().iter().filter(|note| note.ends_with("was released")).count();
    assert_eq!(notes, 1, "{:?}", run.notes());
}

#[test]
fn root_a_time_out_ends_everything_that_a_host_step_began() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let mark = format!("97{}", std::process::id());
    let mut slow = on_host(&[&format!("(setsid sleep {mark} &); (trap '' TERM; sleep {mark}) & sleep {mark}")]);
    slow.timeout = Some(Millis(300));
    slow.continue_on_error = true;
    let find = format!("! grep -l {mark} /proc/[0-9]*/cmdline 2>/dev/null");
    let run = disk.run(&disk.job(vec![slow, on_host(&[&find])]));
    // The script with the grep has the mark in its file, not in its arguments.
    run.done();
    assert!(run.notes().iter().any(|note| note.contains("timeout of 0.3 s")), "{:?}", run.notes());
}
