//! The real program: jobs from a queue, on real disks, also when the daemon is killed or stopped.

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

/// A command that runs longer than any test, and distinguishes this test's processes from those of others.
fn long_sleep() -> String {
    format!("sleep {}", 1_000_000 + std::process::id())
}

/// Asserts that nothing is left on the disk, nor in the directories of this daemon.
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
    let author = stack.dir.path().join("author");
    fs::create_dir_all(&author).unwrap();
    fs::write(author.join("t.json"), "{}").unwrap();
    fs::write(author.join("setup.sh"), script).unwrap();
    let request = PackRequest {
        template: "t.json".into(),
        files: vec!["setup.sh".into()],
        working_directory: author.clone(),
        ..PackRequest::default()
    };
    let packed = pack(&request).unwrap();
    let path = bakehouse_bundle::path_in_bundle(&author.join("setup.sh")).unwrap();
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
fn root_daemon_runs_a_job_from_its_queue() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_runs_a_job_from_its_queue") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    stack.make_queue();
    let mut daemon = stack.daemon(&stack.settings(&by_id(&disk), ""));
    let host = stack.await_host_report(|_| true);
    assert_eq!((host.host.as_str(), host.instance.as_str(), host.zone.as_str()), (INSTANCE, INSTANCE, "us-east-1a"));
    daemon.notifies_systemd("WATCHDOG=1");
    println!("idle, an unoptimized build: {}", daemon.memory());

    let (job, bytes) = with_bundle(&stack, disk.job(vec![]), "#!/bin/sh\necho from the bundle > /made; echo made it\n");
    stack.put(job.bundle.as_ref().unwrap(), bytes);
    stack.job(&job);
    let Outcome::Done(proof) = stack.await_outcome(1) else { panic!("{:#?}", stack.received) };
    assert_eq!((proof.device.as_str(), proof.filesystem.as_str()), (disk.device.as_str(), "ext4"));
    stack.await_host_report(|host| host.running == [job.build.clone()]);
    until("its message is deleted", || stack.queued_messages() == 0);
    // The log has the lines of the agent in order.
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

    // The same job again is not run.
    stack.clear_received();
    stack.job(&job);
    until("it is deleted", || stack.queued_messages() == 0);
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait().code(), Some(0));
    stack.await_host_report(|host| host.draining);
    let ended = |message: &_| matches!(message, bakehouse_protocol::InboxMessage::Report { .. });
    assert!(!stack.received.iter().any(ended), "{:#?}", stack.received);
}

#[test]
fn root_daemon_killed_in_any_phase_reports_it_when_restarted() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_killed_in_any_phase_reports_it_when_restarted") else { return };
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
            // These take no time: the kill comes during them, or just after.
            _ => {}
        }
        let daemon = stack.daemon(&config);
        stack.job(&job);
        stack.await_report(attempt, &ReportBody::Phase(phase));
        daemon.kill();
        stack.renew_queue();

        let mut next = stack.daemon(&config);
        match stack.await_outcome(attempt) {
            Outcome::Lost { why, proof: Some(proof) } => {
                assert_eq!(why, "the agent was restarted while it ran");
                assert_eq!(proof.device, if attempt == 1 { "" } else { disk.device.as_str() });
            }
            // It had ended before the kill came.
            Outcome::Done(_) if attempt > 4 => {}
            other => panic!("{phase}: {other:?}"),
        }
        // If its message is delivered again it is deleted, and the job not run.
        stack.job(&job);
        until("it is deleted", || stack.queued_messages() == 0);
        next.signal(Signal::SIGTERM);
        assert_eq!(next.wait().code(), Some(0));
        assert_nothing_left(&stack, &disk);
        stack.clear_received();
        stack.renew_queue();
    }
}

#[test]
fn root_daemon_drains_its_jobs_when_it_is_stopped() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_drains_its_jobs_when_it_is_stopped") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    stack.make_queue();
    let config = stack.settings(&by_id(&disk), r#", "drain_seconds": 1"#);
    let mut daemon = stack.daemon(&config);
    stack.job(&disk.job(vec![inline(&[&long_sleep()])]));
    stack.await_report(1, &ReportBody::Phase(AgentPhase::Provision));
    daemon.signal(Signal::SIGTERM);
    daemon.notifies_systemd("STOPPING=1");
    stack.await_host_report(|host| host.draining && !host.running.is_empty());
    assert_eq!(lost(stack.await_outcome(1)), "the host is shutting down");
    assert_eq!(daemon.wait().code(), Some(0));
    assert_eq!(stack.queued_messages(), 0);
    assert_nothing_left(&stack, &disk);
    // Stopped by the controller.
    stack.clear_received();
    stack.renew_queue();
    let daemon = stack.daemon(&config);
    stack.job(&Job { attempt: 2, ..disk.job(vec![inline(&[&long_sleep()])]) });
    stack.await_report(2, &ReportBody::Phase(AgentPhase::Provision));
    stack.send(&bakehouse_protocol::HostMessage::Stop { build: disk.build.clone() });
    let end = stack.await_outcome(2);
    assert!(matches!(end, Outcome::Cancelled { proof: Some(_) }), "{end:?}");
    until("both messages are deleted", || stack.queued_messages() == 0);
    assert_nothing_left(&stack, &disk);
    drop(daemon);
}

#[test]
fn root_daemon_refuses_bad_bundles_and_host_access() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_refuses_bad_bundles_and_host_access") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let before = disk.listing();
    stack.make_queue();
    let _daemon = stack.daemon(&stack.settings(&by_id(&disk), ""));
    let (good, bytes) = with_bundle(&stack, disk.job(vec![]), "#!/bin/sh\ntouch /touched\n");
    let reference = good.bundle.clone().unwrap();

    // Changed after it was packed.
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() ^= 1;
    stack.put(&reference, changed);
    stack.job(&good);
    let message = failed(stack.await_outcome(1));
    assert!(message.contains("is not the bundle that was asked for: its SHA-256 is "), "{message}");

    // From a hostile packer.
    let climbing = climbing();
    let sha = sha256(&climbing);
    let evil = BundleRef { key: format!("bundles/{sha}.tar.gz"), sha256: sha, size: climbing.len() as u64 };
    stack.put(&evil, climbing);
    stack.job(&Job { attempt: 2, bundle: Some(evil), ..good.clone() });
    let message = failed(stack.await_outcome(2));
    assert!(message.ends_with("../../../escaped: the path contains \"..\""), "{message}");
    assert!(!stack.dir.path().join("escaped").exists() && !Path::new("/escaped").exists());

    let mut reaching = Job { attempt: 3, ..disk.job(vec![]) };
    reaching.chroot.post_mount_commands = vec![DeferredTemplate("touch /escaped".into())];
    stack.job(&reaching);
    let message = failed(stack.await_outcome(3));
    assert_eq!(message, "this host does not allow templates to access it, as these need: post_mount_commands");

    until("no message is left", || stack.queued_messages() == 0);
    assert_nothing_left(&stack, &disk);
    assert_eq!(disk.listing(), before);
    assert!(!Path::new("/escaped").exists());
}

/// A valid start, and an entry outside the bundle.
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
fn root_daemon_survives_the_loss_of_its_queue() {
    if skip(&[]) {
        return;
    }
    let Some(mut stack) = Stack::start("root_daemon_survives_the_loss_of_its_queue") else { return };
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let _daemon = stack.daemon(&stack.settings(&by_id(&disk), ""));
    // Before there is a queue.
    stack.await_host_report(|_| true);
    stack.make_queue();
    stack.job(&disk.job(vec![inline(&["sleep 3"])]));
    stack.await_report(1, &ReportBody::Phase(AgentPhase::Provision));
    stack.remove_queue();
    stack.clear_received();
    let Outcome::Done(_) = stack.await_outcome(1) else { panic!("{:#?}", stack.received) };
    stack.clear_received();
    // It looks again within half a minute, and reports itself.
    stack.await_host_report(|host| host.running.is_empty());
    stack.make_queue();
    stack.job(&Job { attempt: 2, ..disk.job(vec![inline(&["true"])]) });
    let Outcome::Done(_) = stack.await_outcome(2) else { panic!("{:#?}", stack.received) };
    until("its message is deleted", || stack.queued_messages() == 0);
    assert_nothing_left(&stack, &disk);
}
