//! The real program: jobs on real disks, told by a queue, and what becomes of them when the daemon is killed or stopped.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/mod.rs"]
mod disks;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bakehouse_bundle::{PackRequest, pack, sha256};
use bakehouse_protocol::{
    AgentPhase, BundleRef, DeferredTemplate, Job, Outcome, ReportBody,
    spec::{Script, SourceFile},
};
use disks::{Disk, Layout, inline, shell, skip};
use nix::sys::signal::Signal;
use support::{INSTANCE, Stack, until};

fn by_id(disk: &Disk) -> PathBuf {
    disk.dir.path().join("by-id")
}

/// A command that runs longer than any test, and tells this test's processes from those of others.
fn long_sleep() -> String {
    format!("sleep {}", 1_000_000 + std::process::id())
}

/// The disk's own look at what is left, where this daemon keeps its things.
fn assert_nothing_left(stack: &Stack, disk: &Disk) {
    disk.assert_nothing_left();
    let left = |dir: &str| fs::read_dir(stack.dir.path().join(dir)).map_or(0, |entries| entries.count());
    assert_eq!((left("run"), left("lib/bundles")), (0, 0));
    let processes = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        line.contains(&long_sleep().replace(' ', "\0")).then_some(line)
    });
    assert_eq!(processes.collect::<Vec<_>>(), [""; 0]);
}

/// A bundle with a script, and the job that runs it.
fn with_bundle(stack: &Stack, mut job: Job, script: &str) -> (Job, Vec<u8>) {
    let here = stack.dir.path().join("author");
    fs::create_dir_all(&here).unwrap();
    fs::write(here.join("t.json"), "{}").unwrap();
    fs::write(here.join("setup.sh"), script).unwrap();
    let order = PackRequest {
        template: "t.json".into(),
        files: vec!["setup.sh".into()],
        working_directory: here.clone(),
        ..PackRequest::default()
    };
    let packed = pack(&order).unwrap();
    let path = bakehouse_bundle::path_in_bundle(&here.join("setup.sh")).unwrap();
    job.provisioners = vec![shell(vec![Script::File(SourceFile { written: "setup.sh".into(), path })])];
    job.bundle = Some(packed.reference());
    job.heartbeat = bakehouse_protocol::Millis::seconds(20);
    (job, packed.bytes)
}

fn failed(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed { failure, proof: Some(_) } => failure.message,
        other => panic!("{other:?}"),
    }
}

fn lost(outcome: Outcome) -> String {
    match outcome {
        Outcome::Lost { why, proof: Some(_) } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn root_daemon_does_a_job_of_the_queue() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_does_a_job_of_the_queue") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    stack.make_queue();
    let mut daemon = stack.daemon(&stack.settings(&by_id(&disk), ""));
    let host = stack.hear_host(|_| true);
    assert_eq!((host.host.as_str(), host.instance.as_str(), host.zone.as_str()), (INSTANCE, INSTANCE, "us-east-1a"));
    daemon.tells_systemd("WATCHDOG=1");
    println!("idle, an unoptimized build: {}", daemon.memory());

    let (job, bytes) = with_bundle(&stack, disk.job(vec![]), "#!/bin/sh\necho from the bundle > /made; echo made it\n");
    stack.put(job.bundle.as_ref().unwrap(), bytes);
    stack.job(&job);
    let Outcome::Done(proof) = stack.hear_end(1) else { panic!("{:#?}", stack.heard) };
    assert_eq!((proof.device.as_str(), proof.filesystem.as_str()), (disk.device.as_str(), "ext4"));
    stack.hear_host(|host| host.running == [job.build.clone()]);
    until("its message is deleted", || stack.left() == 0);
    // The log, line by line as the agent said it.
    until("the log is whole", || {
        stack.log(job.build.as_str()).iter().any(|report| matches!(report.body, ReportBody::Ended(_)))
    });
    let log = stack.log(job.build.as_str());
    let line = |report: &bakehouse_protocol::Report| match &report.body {
        ReportBody::Output { line, .. } => Some(line.clone()),
        _ => None,
    };
    assert_eq!(log.iter().filter_map(line).collect::<Vec<_>>(), ["made it"]);
    assert_eq!(disk.inspect("cat made"), "from the bundle");
    assert_nothing_left(&stack, &disk);

    // The same job once more is none.
    stack.forget();
    stack.job(&job);
    until("it is deleted", || stack.left() == 0);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0));
    stack.hear_host(|host| host.draining);
    let ended = |message: &_| matches!(message, bakehouse_protocol::InboxMessage::Report { .. });
    assert!(!stack.heard.iter().any(ended), "{:#?}", stack.heard);
}

#[test]
fn root_daemon_killed_in_each_phase_says_so_in_its_next_life() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_killed_in_each_phase_says_so_in_its_next_life") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    stack.make_queue();
    let config = stack.settings(&by_id(&disk), r#", "allow_host_access": true"#);
    let long = || vec![DeferredTemplate(long_sleep())];
    for (attempt, phase) in (1..).zip([
        AgentPhase::Find,
        AgentPhase::Mount,
        AgentPhase::Mount,
        AgentPhase::Provision,
        AgentPhase::Leave,
        AgentPhase::Unmount,
    ]) {
        let mut job = Job { attempt, ..disk.job(vec![inline(&["echo begun"])]) };
        match attempt {
            // A volume that does not appear.
            1 => job.volume = bakehouse_protocol::VolumeId::new("vol-0fffffffffffffff0").unwrap(),
            // Before and after the root is mounted.
            2 => job.chroot.pre_mount_commands = long(),
            3 => job.chroot.post_mount_commands = long(),
            4 => job.provisioners = vec![inline(&[&format!("mount -t tmpfs x /tmp; {}", long_sleep())])],
            // Nothing holds these up: the kill comes in them, or just after.
            _ => {}
        }
        let daemon = stack.daemon(&config);
        stack.job(&job);
        stack.hear_report(attempt, &ReportBody::Phase(phase));
        daemon.kill();
        stack.renew_queue();

        let mut next = stack.daemon(&config);
        match stack.hear_end(attempt) {
            Outcome::Lost { why, proof: Some(proof) } => {
                assert_eq!(why, "the agent was restarted while it ran");
                assert_eq!(proof.device, if attempt == 1 { "" } else { disk.device.as_str() });
            }
            // It had ended before the kill came.
            Outcome::Done(_) if attempt > 4 => {}
            other => panic!("{phase}: {other:?}"),
        }
        // Its message, should it come again, is deleted and not done.
        stack.job(&job);
        until("it is deleted", || stack.left() == 0);
        next.signal(Signal::SIGTERM);
        assert_eq!(next.wait().code(), Some(0));
        assert_nothing_left(&stack, &disk);
        stack.forget();
        stack.renew_queue();
    }
}

#[test]
fn root_daemon_that_is_stopped_gives_its_jobs_a_while() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_that_is_stopped_gives_its_jobs_a_while") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    stack.make_queue();
    let config = stack.settings(&by_id(&disk), r#", "drain_seconds": 1"#);
    let mut daemon = stack.daemon(&config);
    stack.job(&disk.job(vec![inline(&[&long_sleep()])]));
    stack.hear_report(1, &ReportBody::Phase(AgentPhase::Provision));
    daemon.signal(Signal::SIGTERM);
    daemon.tells_systemd("STOPPING=1");
    stack.hear_host(|host| host.draining && !host.running.is_empty());
    assert_eq!(lost(stack.hear_end(1)), "the host is shutting down");
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(stack.left(), 0);
    assert_nothing_left(&stack, &disk);
    // Told to stop by the controller.
    stack.forget();
    stack.renew_queue();
    let daemon = stack.daemon(&config);
    stack.job(&Job { attempt: 2, ..disk.job(vec![inline(&[&long_sleep()])]) });
    stack.hear_report(2, &ReportBody::Phase(AgentPhase::Provision));
    stack.send(&bakehouse_protocol::HostMessage::Stop { build: disk.build.clone() });
    let end = stack.hear_end(2);
    assert!(matches!(end, Outcome::Cancelled { proof: Some(_) }), "{end:?}");
    until("both messages are deleted", || stack.left() == 0);
    assert_nothing_left(&stack, &disk);
    drop(daemon);
}

#[test]
fn root_daemon_refuses_bad_bundles_and_its_host() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_refuses_bad_bundles_and_its_host") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let before = disk.listing();
    stack.make_queue();
    let _daemon = stack.daemon(&stack.settings(&by_id(&disk), ""));
    let (good, bytes) = with_bundle(&stack, disk.job(vec![]), "#!/bin/sh\ntouch /touched\n");
    let reference = good.bundle.clone().unwrap();

    // Changed on its way.
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    stack.put(&reference, changed);
    stack.job(&good);
    let told = failed(stack.hear_end(1));
    assert!(told.contains("is not the bundle that was asked for: its SHA-256 is "), "{told}");

    // Of a packer that means harm.
    let climbing = climbing();
    let sha = sha256(&climbing);
    let evil = BundleRef { key: format!("bundles/{sha}.tar.gz"), sha256: sha, size: climbing.len() as u64 };
    stack.put(&evil, climbing);
    stack.job(&Job { attempt: 2, bundle: Some(evil), ..good.clone() });
    let told = failed(stack.hear_end(2));
    assert!(told.ends_with("../../../escaped: the path contains \"..\""), "{told}");
    assert!(!stack.dir.path().join("escaped").exists() && !Path::new("/escaped").exists());

    let mut reaching = Job { attempt: 3, ..disk.job(vec![]) };
    reaching.chroot.post_mount_commands = vec![DeferredTemplate("touch /escaped".into())];
    stack.job(&reaching);
    let told = failed(stack.hear_end(3));
    assert_eq!(told, "this host does not allow templates to access it, as these need: post_mount_commands");

    until("no message is left", || stack.left() == 0);
    assert_nothing_left(&stack, &disk);
    assert_eq!(disk.listing(), before);
    assert!(!Path::new("/escaped").exists());
}

/// A good beginning, and an entry that climbs.
fn climbing() -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let manifest = br#"{"bakehouse": 1, "recipe": "", "template": "/t.json", "working_directory": "/"}"#;
    for (name, content) in [("bakehouse.json", &manifest[..]), ("t.json", b"{}"), ("../../../escaped", b"x")] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn root_daemon_outlives_its_queue() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_outlives_its_queue") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let _daemon = stack.daemon(&stack.settings(&by_id(&disk), ""));
    // Before there is a queue.
    stack.hear_host(|_| true);
    stack.make_queue();
    stack.job(&disk.job(vec![inline(&["sleep 3"])]));
    stack.hear_report(1, &ReportBody::Phase(AgentPhase::Provision));
    stack.remove_queue();
    stack.forget();
    let Outcome::Done(_) = stack.hear_end(1) else { panic!("{:#?}", stack.heard) };
    stack.forget();
    // It looks again within half a minute, and says that it is here.
    stack.hear_host(|host| host.running.is_empty());
    stack.make_queue();
    stack.job(&Job { attempt: 2, ..disk.job(vec![inline(&["true"])]) });
    let Outcome::Done(_) = stack.hear_end(2) else { panic!("{:#?}", stack.heard) };
    until("its message is deleted", || stack.left() == 0);
    assert_nothing_left(&stack, &disk);
}
