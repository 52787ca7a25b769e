//! Jobs that fail, and steps that misbehave.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, path::Path, time::Instant};

use bakehouse_protocol::{
    AgentPhase, DeferredTemplate, Millis, Outcome, Proof, Report, ReportBody, VERSION,
    spec::{Script, SourceFile},
};
use support::{Disk, Layout, Run, eventually, inline, sh, shell, skip};

#[test]
fn root_a_daemon_that_a_step_leaves_is_killed() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "mkdir data");
    let run = disk.run(&disk.job(vec![
        inline(&[
            "mount -t tmpfs inner /data; mkdir /data/deep; mount -t tmpfs deeper /data/deep",
            // Forked twice, in a session of its own, with files and the pipe of this step open.
            "(setsid sh -c 'exec 5>/held; cd /data/deep; (while :; do echo alive; sleep 0.05; done) & exec sleep 1000' &)",
            "echo started",
        ]),
        inline(&["sleep 0.3; echo next"]),
    ]));
    let proof = run.done();
    let killed = proof.killed.join(" ");
    assert!(killed.contains("sleep (pid ") && proof.killed.len() >= 2, "{killed}");
    assert!(run.output().contains(&"started") && run.output().contains(&"next"));
    assert_eq!(disk.inspect("ls -A data; rm held"), "");
}

/// A script may contain secrets: none is in the image, whatever a step does to its directory.
#[test]
fn root_no_script_stays_in_the_image() {
    if skip(&["chattr", "ldd"]) {
        return;
    }
    // The host's chattr, with its shared libraries.
    let prepare = "c=$(command -v chattr); mkdir -p usr/bin; cp -L $c usr/bin; \
        for file in $(ldd $c | grep -o '/[^ ]*'); do mkdir -p .$(dirname $file); cp -L $file .$file; done";
    let disk = Disk::new("ext4", Layout::Gpt, 1, prepare);
    let scripts = || disk.inspect("grep -rl SECRET . || true");
    let assert_removed = |lines: &[&str]| {
        let run = disk.run(&disk.job(vec![inline(&[&["# SECRET=in-script"], lines].concat()), inline(&["echo next"])]));
        run.done();
        assert_eq!(run.output().last(), Some(&"next"), "{lines:?}");
        assert_eq!(scripts(), "", "{lines:?}");
    };
    assert_removed(&["mount -t tmpfs tmpfs /tmp"]);
    assert_removed(&["mv /tmp /tmp.old", "mkdir -m 1777 /tmp"]);
    assert_removed(&["mv \"$0\" /root/kept.sh"]);
    assert_removed(&["mkdir /over", "mv \"$0\" /over/kept.sh", "mount -t tmpfs tmpfs /over"]);

    for line in ["ln \"$0\" /root/linked.sh", "chattr +i \"$0\""] {
        let run = disk.run(&disk.job(vec![inline(&["# SECRET=in-script", line])]));
        let failure = run.failed();
        assert_eq!(failure.phase, AgentPhase::Leave);
        assert!(failure.message.starts_with("the script inline is still in the image, once at /tmp/bakehouse-b-"));
        assert_ne!(scripts(), "", "the script that fails the job is there: {line}");
        disk.inspect("chattr -i tmp/bakehouse-* || true; rm -f tmp/bakehouse-* root/linked.sh");
    }
}

/// The kernel keeps these without any process.
#[test]
fn root_swap_and_loop_devices_of_steps_are_released() {
    if skip(&["sfdisk"]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "mkdir srv");
    let nodes =
        "mknod /dev/loop-control c 10 237; for n in $(seq 0 63); do mknod /dev/loop$n b 7 $n 2>/dev/null || true; done";
    let make = |file: &str| format!("dd if=/dev/zero of={file} bs=1M count=8 2>/dev/null; chmod 600 {file}");
    let swap = |file: &str| format!("{}; mkswap {file} > /dev/null; swapon {file}", make(file));
    // Others may take the free device first.
    let attach =
        |file: &str| format!("for i in 1 2 3 4 5 6 7 8 9; do l=$(losetup -f); losetup $l {file} && break; done");
    let cases = [
        (vec![swap("/swapfile")], 1),
        (vec![swap("/srv/swap"), "mount -t tmpfs x /srv".to_owned()], 1),
        (vec![make("/srv/f"), nodes.to_owned(), attach("/srv/f")], 1),
        // A loop device on a file system on a loop device, and swap on the inner one.
        (
            vec![
                "dd if=/dev/zero of=/srv/outer bs=1M count=32 2>/dev/null; /bin/busybox mke2fs -F /srv/outer > /dev/null 2>&1"
                    .to_owned(),
                nodes.to_owned(),
                attach("/srv/outer"),
                "mkdir -p /m; mount -t ext2 $l /m".to_owned(),
                make("/m/inner"),
                attach("/m/inner"),
                "mkswap $l > /dev/null; swapon $l".to_owned(),
            ],
            3,
        ),
    ];
    for (lines, released) in cases {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let run = disk.run(&disk.job(vec![inline(&lines)]));
        run.done();
        let notes = run.notes().iter().filter(|note| note.ends_with("was released")).count();
        assert_eq!(notes, released, "{lines:?}: {:?}", run.notes());
        assert!(!fs::read_to_string("/proc/swaps").unwrap().contains(disk.dir.path().to_str().unwrap()));
        disk.inspect("rm -rf swapfile srv/* m");
    }
}

/// A step that is retried mounts again.
#[test]
fn root_mounts_over_mounts_are_undone() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "mkdir mnt mnt/a mnt/b data");
    let before = disk.listing();
    let run = disk.run(&disk.job(vec![
        inline(&["mount --rbind /proc /mnt/a; mount --rbind /proc /mnt/a"]),
        inline(&["mount -t tmpfs x /mnt/b; mkdir /mnt/b/deep; mount -t tmpfs y /mnt/b/deep; mount -t tmpfs z /mnt/b"]),
        inline(&["i=0; while [ $i -lt 500 ]; do mount -t tmpfs x /data; i=$((i+1)); done"]),
    ]));
    run.done();
    assert_eq!(disk.listing(), before);
}

#[test]
fn root_a_failing_step_reports_its_last_lines() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let before = disk.listing();
    let run = disk.run(&disk.job(vec![
        inline(&["echo fine"]),
        inline(&["for i in $(seq 50); do echo line $i; done", "echo broken >&2", "sleep 0.1; exit 3"]),
        inline(&["echo never"]),
    ]));
    let failure = run.failed();
    assert_eq!((failure.phase, failure.provisioner), (AgentPhase::Provision, Some(1)));
    assert_eq!(failure.message, "the script inline exited with status 3");
    assert_eq!(failure.tail.len(), 20);
    assert!(failure.tail.contains(&"broken".to_owned()) && failure.tail.contains(&"line 50".to_owned()));
    assert!(!run.output().contains(&"never"));
    assert_eq!(disk.listing(), before);
}

#[test]
fn root_a_step_can_not_report_the_end_of_its_job() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let job = disk.job(vec![]);
    let (build, at) = (job.build.clone(), bakehouse_protocol::Timestamp(0));
    let host = disk.settings().host;
    let proof = Proof { device: disk.device.clone(), filesystem: "ext4".into(), killed: vec![] };
    let body = ReportBody::Ended(Outcome::Done(proof));
    let report = Report { version: VERSION, build, host, attempt: 1, at, body };
    let report = serde_json::to_string(&report).unwrap();
    let run = disk.run(&disk.job(vec![
        inline(&[
            // Every open file that a step can find, in the image's /proc and in one that it mounts.
            "mkdir /p; mount -t proc proc /p",
            &format!("for f in /proc/[0-9]*/fd/* /p/[0-9]*/fd/*; do echo '{report}' > $f || true; done 2>/dev/null"),
            "sleep 0.2; echo continued",
        ]),
        inline(&["echo second; touch /second"]),
    ]));
    run.done();
    assert!(run.output().contains(&"continued") && run.output().contains(&"second"), "{:?}", run.output());
    assert_eq!(disk.inspect("ls second"), "second");
}

/// If process 1 of the steps ends, that ends the step but not the job.
#[test]
fn root_a_step_whose_process_1_is_killed_fails() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let handle = disk.start(&disk.job(vec![inline(&["echo in the middle", "sleep 1000"]), inline(&["echo second"])]));
    let mut reports = Vec::new();
    for report in handle.reports() {
        if matches!(&report.body, ReportBody::Output { line, .. } if line == "in the middle") {
            let supervisor = handle.pid();
            let worker = sh(&format!("cat /proc/{supervisor}/task/{supervisor}/children"));
            let init = "grep -l bakehouse-init $(printf '/proc/%s/comm ' $(cat /proc/WORKER/task/WORKER/children))";
            let init = sh(&init.replace("WORKER", &worker));
            sh(&format!("kill -9 {}", init.split('/').nth(2).unwrap()));
        }
        reports.push(report);
    }
    handle.wait().unwrap();
    disk.assert_nothing_left();
    let run = Run::new(reports);
    assert_eq!(run.failed().message, "the script inline was ended by signal 9");
    assert!(!run.output().contains(&"second"));
}

#[test]
fn root_real_time_signals_are_reported() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let run = disk.run(&disk.job(vec![
        inline(&["(setsid sh -c 'sleep 0.2; kill -40 $$' &)", "sh -c 'kill -41 $$' || echo $?", "sleep 0.4"]),
        inline(&["kill -40 $$"]),
    ]));
    // Some shells print to stderr what killed their child, others do not.
    assert!(run.output().contains(&"169"), "{:?}", run.output());
    assert_eq!(run.failed().provisioner, Some(1));
    assert_eq!(run.failed().message, "the script inline was ended by signal 40");
}

#[test]
fn root_timeouts_retries_and_exit_codes_of_steps() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let mut slow = inline(&["echo waiting; sleep 100"]);
    slow.timeout = Some(Millis(300));
    let began = Instant::now();
    let run = disk.run(&disk.job(vec![slow.clone()]));
    assert_eq!(run.failed().message, "the script inline was ended because its timeout of 0.3 s was over");
    assert_eq!(run.failed().tail, ["waiting"]);
    let heartbeats = run.reports.iter().filter(|report| report.body == ReportBody::Heartbeat).count();
    assert!(heartbeats >= 3, "one each 50 ms while a step takes 300 ms: {heartbeats}");
    assert!(began.elapsed().as_secs() < 20);

    // The pause does not count; a retry may succeed; another exit code may be valid.
    let mut again = inline(&["test -e /second || { touch /second; echo first; exit 9; }", "exit 7"]);
    again.timeout = Some(Millis::seconds(5));
    again.pause_before = Some(Millis(50));
    again.max_retries = 1;
    if let bakehouse_protocol::spec::Action::Shell(step) = &mut again.action {
        step.valid_exit_codes = vec![0, 7];
    }
    let run = disk.run(&disk.job(vec![again]));
    run.done();
    assert_eq!(run.output(), ["first"]);
    assert!(run.notes().iter().any(|note| note.ends_with("status 9; trying again (1 of 1)")), "{:?}", run.notes());
}

/// Case 10 of the known bugs of Packer: the time-out of a step that is tried again.
#[test]
fn root_a_try_that_timed_out_leaves_nothing_for_the_next() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let mut step = inline(&[
        "pids() { ps | grep -c '[s]leep 98' || true; }",
        "echo before: $(pids) $(ls /tmp | wc -l)",
        "test ! -e /tried || exit 0",
        "touch /tried",
        // One ignores SIGTERM, one has a session of its own.
        "(trap '' TERM; sleep 987) & setsid sleep 988 &",
        "while test $(pids) -lt 2; do sleep 0.05; done; echo began: $(pids); sleep 989",
    ]);
    (step.timeout, step.pause_before, step.max_retries) = (Some(Millis::seconds(2)), Some(Millis(100)), 1);
    let run = disk.run(&disk.job(vec![
        // What an earlier step has left, and what that starts, goes on.
        inline(&["(setsid sh -c 'while sleep 0.05; do echo x >> /alive; done' &)"]),
        step,
        inline(&["n=$(wc -l < /alive); sleep 0.3; test $(wc -l < /alive) -gt $n && echo alive"]),
    ]));
    run.done();
    assert_eq!(run.output(), ["before: 0 1", "began: 2", "before: 0 1", "alive"]);
    assert!(
        run.notes().iter().any(|note| note.ends_with("because its timeout of 2.0 s was over; trying again (1 of 1)"))
    );
}

/// Kills the worker or the supervisor while a step runs.
fn kill_while_a_step_runs(worker: bool) {
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    // An argument by which the step's processes can be recognized from outside.
    let mark = format!("100{}.{}", u8::from(worker), std::process::id());
    let handle = disk.start(&disk.job(vec![inline(&[
        &format!("(setsid sleep {mark} &)"),
        "mount -t tmpfs x /tmp",
        "echo in the middle",
        &format!("sleep {mark}"),
    ])]));
    let mut reports = Vec::new();
    let alive = || sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' || true").contains(&mark);
    for report in handle.reports() {
        if matches!(&report.body, ReportBody::Output { line, .. } if line == "in the middle") {
            eventually("the step sleeps", alive);
            let supervisor = handle.pid();
            let pid = if worker {
                sh(&format!("cat /proc/{supervisor}/task/{supervisor}/children"))
            } else {
                supervisor.to_string()
            };
            sh(&format!("kill -9 {pid}"));
        }
        reports.push(report);
    }
    let ended = handle.wait();
    eventually("the processes are gone", || !alive());
    if worker {
        ended.unwrap();
        disk.assert_nothing_left();
        let run = Run::new(reports);
        assert_eq!(run.failed().message, "the agent's worker was ended by SIGKILL before the job was done");
        assert_eq!((run.failed().phase, run.failed().provisioner), (AgentPhase::Provision, Some(0)));
        return;
    }
    assert!(ended.is_err());
    let run_dir = disk.settings().run_dir;
    let listed = bakehouse_agent::leftovers(&run_dir).unwrap();
    assert!(listed.len() >= 2, "{listed:?}");
    assert_eq!(bakehouse_agent::recover(&run_dir).unwrap(), listed);
    eventually("the disk is free", || {
        use std::os::unix::fs::OpenOptionsExt;
        fs::File::options().read(true).custom_flags(nix::libc::O_EXCL).open(&disk.device).is_ok()
    });
    disk.assert_nothing_left();
    assert!(bakehouse_agent::recover(&run_dir).unwrap().is_empty());
    // The same job can run again.
    disk.run(&disk.job(vec![inline(&["true"])])).done();
}

#[test]
fn root_a_job_whose_supervisor_is_killed_leaves_no_process() {
    if !skip(&[]) {
        kill_while_a_step_runs(false);
    }
}

#[test]
fn root_a_job_whose_worker_is_killed_fails() {
    if !skip(&[]) {
        kill_while_a_step_runs(true);
    }
}

#[test]
fn root_a_disk_that_never_appears_is_an_error() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::blank(1);
    let mut job = disk.job(vec![]);
    job.disk_deadline = Millis(300);
    let run = disk.run(&job);
    let failure = run.failed();
    assert_eq!(failure.phase, AgentPhase::Find);
    assert!(failure.message.starts_with(&format!(
        "the disk of {} did not appear within {}; looked for it at ",
        disk.volume, job.disk_deadline
    )));
    assert!(failure.message.contains("by-id/nvme-Amazon_Elastic_Block_Store_vol"));
}

#[test]
fn root_a_disk_may_appear_after_the_job_has_started() {
    if skip(&[]) {
        return;
    }
    let mut disk = Disk::blank(1);
    let job = disk.job(vec![]);
    let handle = disk.start(&job);
    for report in handle.reports() {
        if report.body == ReportBody::Phase(AgentPhase::Find) {
            disk.attach();
        }
        if let ReportBody::Ended(outcome) = report.body {
            let Outcome::Failed { failure, proof: Some(proof) } = outcome else { panic!("{outcome:?}") };
            assert!(failure.message.starts_with("there is no file system on the disk"), "{}", failure.message);
            assert_eq!(proof.device, disk.device);
        }
    }
    handle.wait().unwrap();
    disk.assert_nothing_left();
}

#[test]
fn root_errors_name_what_is_wrong() {
    if skip(&[]) {
        return;
    }
    let mut disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let mut wrong_size = disk.job(vec![]);
    wrong_size.volume_size = 2;
    let run = disk.run(&wrong_size);
    assert!(run.failed().message.contains("is not vol-") && run.failed().message.contains("the volume has 2 GiB"));

    let missing = Script::File(SourceFile { written: "setup.sh".into(), path: "setup.sh".into() });
    let run = disk.run(&disk.job(vec![shell(vec![missing])]));
    assert!(run.failed().message.starts_with("reading the script setup.sh: No such file"), "{}", run.failed().message);

    fs::write(disk.dir.path().join("odd.sh"), "#!/usr/bin/no-such\n").unwrap();
    let odd = Script::File(SourceFile { written: "odd.sh".into(), path: "odd.sh".into() });
    let run = disk.run(&disk.job(vec![shell(vec![odd])]));
    assert!(run.failed().message.contains("its interpreter (#!/usr/bin/no-such) is not in the image"));

    let mut read_only = disk.job(vec![]);
    read_only.chroot.mount_options = vec!["ro".into()];
    assert!(disk.run(&read_only).failed().message.contains("read-only"));

    let mut host = disk.job(vec![]);
    host.chroot.device_name = Some("/dev/xvdq".into());
    host.chroot.post_mount_commands = vec![DeferredTemplate("echo {{.Device}} {{.MountPath}}; exit 4".into())];
    let run = disk.run(&host);
    assert_eq!(run.failed().tail, [format!("/dev/xvdq {}", disk.mount_path().display())]);
    assert!(run.failed().message.ends_with("run on the host, exited with status 4"));

    // A write-protected device.
    sh(&format!("losetup -d {}; rm {}/by-id/*", disk.device, disk.dir.path().display()));
    eventually("detached", || !Path::new(&format!("/sys/block/{}/loop", &disk.device[5..])).exists());
    disk.attach();
    sh(&format!("blockdev --setro {}", disk.device));
    let run = disk.run(&disk.job(vec![]));
    let writable = sh(&format!("blockdev --setrw {}", disk.device));
    assert!(writable.is_empty() && run.failed().message.contains("is write-protected"), "{}", run.failed().message);
}

#[test]
fn root_a_full_disk_is_an_error_with_a_hint() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "for i in 1 2 3; do cat /dev/zero > fill$i 2>/dev/null || sync; done");
    let run = disk.run(&disk.job(vec![inline(&["echo no room"])]));
    assert!(run.failed().message.contains("No space left"), "{}", run.failed().message);
    assert!(run.failed().hint.as_deref().unwrap().contains("root_volume_size"));
}

#[test]
fn root_host_commands_partition_a_disk_from_scratch() {
    if skip(&["mkfs.ext4"]) {
        return;
    }
    let mut disk = Disk::blank(1);
    disk.attach();
    let mut job = disk.job(vec![inline(&["echo scratch; cat /etc/resolv.conf || echo none"])]);
    job.from_scratch = true;
    let commands = [
        "printf 'label: gpt\\nstart=2048, size=4096\\nstart=8192, type=linux\\n' | sfdisk -q {{.Device}}",
        "d=$(mktemp -d); l=$(losetup -f --show -o 4194304 --sizelimit 1065353216 {{.Device}}); mkfs.ext4 -qF -L root $l; \
         losetup -d $l; rmdir $d",
    ];
    job.chroot.pre_mount_commands = commands.map(|command| DeferredTemplate(command.to_owned())).into();
    job.chroot.post_mount_commands = vec![DeferredTemplate(
        "cd {{.MountPath}}; mkdir bin tmp; cp /bin/busybox bin; ln -s busybox bin/sh; ln -s busybox bin/cat".into(),
    )];
    let run = disk.run(&job);
    run.done();
    assert!(run.output().contains(&"scratch") && run.output().contains(&"none"), "{:?}", run.output());
    assert!(run.notes().iter().any(|note| note.starts_with("the root is partition 2 (ext4): its label")));
}

/// Nobody would know of such a group if the agent were killed then.
#[test]
fn root_a_cgroup_that_cannot_be_recorded_is_not_created() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    // There is no file at this path to write.
    let directory = disk.run_dir.join(disk.build.as_str());
    fs::create_dir_all(directory.join("cgroup")).unwrap();
    let handle = disk.start(&disk.job(vec![]));
    let reports: Vec<Report> = handle.reports().iter().collect();
    handle.wait().unwrap();
    let Outcome::Failed { failure, .. } = Run::new(reports).outcome else { panic!("it can't start") };
    assert!(failure.message.starts_with("recording the cgroup in "), "{failure:?}");
    fs::remove_dir_all(directory).unwrap();
    disk.assert_nothing_left();
}
