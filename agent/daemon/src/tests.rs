//! The daemon in a world of fakes, in virtual time.
#![allow(clippy::unwrap_used)] // A mistake in a test may panic.

use std::{fs, path::Path, time::Duration};

use bakehouse_agent::VolumeCheck;
use bakehouse_bundle::{PackRequest, pack};
use bakehouse_protocol::{
    AgentPhase, BuildId, BundleRef, DeferredTemplate, Failure, HostMessage, Job, Millis, Outcome, Proof, ReportBody,
    RunData, VERSION, VolumeId,
    report::Stream,
    spec::{Action, ChrootSpec, Provisioner, Script, Shell, SourceFile, Virtualization},
};
use tokio::time;

use crate::{
    admission::untouched,
    daemon::Ended,
    fakes::{Bench, fake},
};

fn build(number: u32) -> BuildId {
    BuildId::from_parts(1, number)
}

fn job(number: u32) -> Job {
    Job {
        version: VERSION,
        build: build(number),
        attempt: 1,
        volume: VolumeId::new("vol-01234567").unwrap(),
        volume_size: 1,
        grow: false,
        from_scratch: false,
        virtualization: Virtualization::Hvm,
        chroot: ChrootSpec {
            device_path: None,
            mount_path: DeferredTemplate("/mnt".into()),
            mount_partition: None,
            mount_options: vec![],
            pre_mount_commands: vec![],
            post_mount_commands: vec![],
            chroot_mounts: None,
            copy_files: None,
            command_wrapper: DeferredTemplate("{{.Command}}".into()),
        },
        provisioners: vec![],
        data: RunData::default(),
        files: "/".into(),
        bundle: None,
        disk_deadline: Millis::minutes(5),
        heartbeat: Millis::seconds(20),
        sensitive: vec![],
        grace: Millis::seconds(10),
    }
}

fn attempt(number: u32, attempt: u32) -> HostMessage {
    HostMessage::Job { job: Job { attempt, ..job(number) } }
}

fn with_script(mut job: Job, path: &str, bundle: Option<BundleRef>) -> Job {
    let file = SourceFile { written: "setup.sh".into(), path: path.into() };
    let shell = Shell { scripts: vec![Script::File(file)], environment: vec![], valid_exit_codes: vec![0] };
    job.provisioners =
        vec![Provisioner { pause_before: None, timeout: None, max_retries: 0, action: Action::Shell(shell) }];
    job.bundle = bundle;
    job
}

fn proof() -> Proof {
    Proof { device: "/dev/nvme1n1".into(), filesystem: "ext4".into(), killed: vec![] }
}

fn output(line: &str) -> ReportBody {
    ReportBody::Output { stream: Stream::Stdout, line: line.into() }
}

async fn pass(seconds: u64) {
    time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_from_its_message_to_its_end() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    bench.until("the host says that it works on it", |fake| fake.hosts().last().unwrap().running == [build(1)]).await;
    started.say(ReportBody::Phase(AgentPhase::Find)).await;
    started.say(output("hello")).await;
    started.say(ReportBody::Heartbeat).await;
    // Far longer than a message is hidden.
    pass(900).await;
    assert_eq!((bench.fake.left(), bench.fake.state().given), (1, 1));
    assert_eq!(bench.fake.state().started.len(), 1);
    started.end(Outcome::Done(proof())).await;
    bench.until("its message is deleted", |fake| fake.left() == 0).await;
    bench.until("the host is idle", |fake| fake.hosts().last().unwrap().running.is_empty()).await;
    let said: Vec<_> = bench.fake.reports().into_iter().map(|report| report.body).collect();
    let end = ReportBody::Ended(Outcome::Done(proof()));
    assert_eq!(said, [ReportBody::Phase(AgentPhase::Find), ReportBody::Heartbeat, end]);
    bench.until("the log is whole", |fake| fake.state().log.len() == 4).await;
    let log = bench.fake.state().log.clone();
    assert!(log.iter().all(|(stream, _)| *stream == build(1).to_string()));
    assert!(log[1].1.contains(r#""line":"hello""#), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_seen_is_hidden_in_all_that_is_said() {
    let bench = Bench::new();
    let job = Job { sensitive: vec!["hunter2".into()], ..job(1) };
    bench.fake.send(HostMessage::Job { job });
    let started = bench.started(0).await;
    assert_eq!(started.job.sensitive, ["hunter2"]);
    started.say(output("password=hunter2")).await;
    let failure = Failure {
        phase: AgentPhase::Provision,
        provisioner: Some(0),
        message: "login as hunter2 failed".into(),
        tail: vec!["+ login hunter2".into()],
        hint: None,
    };
    started.end(Outcome::Failed { failure, proof: None }).await;
    bench.until("its message is deleted", |fake| fake.left() == 0).await;
    bench.until("the log is whole", |fake| fake.state().log.len() == 2).await;
    let logged = format!("{:?}", bench.fake.state().log);
    let told = format!("{logged} {:?}", bench.fake.reports());
    assert!(told.contains("password=<sensitive>") && told.contains("login as <sensitive> failed"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    let journal = crate::fakes::settings(bench.dir.path()).journal();
    let kept = fs::read_dir(journal).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let kept: String = kept.collect();
    assert!(kept.contains("<sensitive>") && !kept.contains("hunter2"), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_waited_longer_than_its_disk_is_waited_for_is_not_begun() {
    let bench = Bench::new();
    bench.fake.state().queue_is_there = false;
    bench.fake.send(HostMessage::Job { job: job(1) });
    pass(301).await;
    bench.fake.state().queue_is_there = true;
    bench.until("its message is deleted", |fake| fake.left() == 0).await;
    assert!(bench.fake.state().started.is_empty());
    let ends = bench.fake.ends();
    let [(1, Outcome::Lost { why, proof: Some(_) })] = &ends[..] else { panic!("{ends:?}") };
    assert!(why.contains("waited"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn the_host_says_how_it_is_every_half_minute() {
    let bench = Bench::new();
    pass(301).await;
    let hosts = bench.fake.hosts();
    assert!((10..=12).contains(&hosts.len()), "{}", hosts.len());
    assert_eq!((hosts[0].slots, hosts[0].draining), (2, false));
    assert!(hosts.is_sorted_by_key(|host| host.at));
}

#[tokio::test(start_paused = true)]
async fn its_end_is_said_until_it_is_heard_and_then_its_message_goes() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    bench.fake.state().inbox_is_down = true;
    started.end(Outcome::Done(proof())).await;
    pass(1200).await;
    bench.fake.show_all();
    pass(60).await;
    assert_eq!((bench.fake.left(), bench.fake.state().started.len()), (1, 1));
    bench.fake.state().inbox_is_down = false;
    bench.until("the end is heard", |fake| fake.ends() == [(1, Outcome::Done(proof()))]).await;
    bench.until("its message is deleted", |fake| fake.left() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_has_another_receipt() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    bench.fake.show_all();
    // The same job in another message: that one goes at once.
    bench.fake.send(HostMessage::Job { job: job(1) });
    bench.until("one message is left", |fake| fake.left() == 1).await;
    let (before, given) = (time::Instant::now(), bench.fake.state().given);
    started.end(Outcome::Done(proof())).await;
    bench.until("none is left", |fake| fake.left() == 0).await;
    // By the receipt that is good, not when it comes once more.
    assert!(before.elapsed() < Duration::from_secs(2) && bench.fake.state().given == given);
    assert_eq!(bench.fake.state().started.len(), 1);
    assert_eq!(bench.fake.ends().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn more_jobs_than_slots() {
    let bench = Bench::new();
    (1..=3).for_each(|number| bench.fake.send(HostMessage::Job { job: job(number) }));
    let first = bench.started(0).await;
    bench.started(1).await;
    pass(60).await;
    assert_eq!(bench.fake.state().started.len(), 2);
    first.end(Outcome::Done(proof())).await;
    assert_eq!(bench.started(2).await.job.build, build(3));
}

#[tokio::test(start_paused = true)]
async fn a_later_attempt_ends_the_earlier_one() {
    let bench = Bench::new();
    bench.fake.send(attempt(1, 1));
    let first = bench.started(0).await;
    bench.fake.send(attempt(1, 2));
    bench.until("the first is stopped", |_| first.is_stopped()).await;
    assert_eq!(bench.fake.state().started.len(), 1);
    first.end(Outcome::Cancelled { proof: Some(proof()) }).await;
    let second = bench.started(1).await;
    assert_eq!(second.job.attempt, 2);
    bench.fake.send(attempt(1, 1));
    bench.until("an earlier one is dropped", |fake| fake.left() == 1).await;
    second.end(Outcome::Done(proof())).await;
    bench.until("both ends are heard", |fake| fake.ends().len() == 2).await;
    let lost = Outcome::Lost { why: "a later attempt has arrived".into(), proof: Some(proof()) };
    assert_eq!(bench.fake.ends(), [(1, lost), (2, Outcome::Done(proof()))]);
}

#[tokio::test(start_paused = true)]
async fn stopping_a_job() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    pass(1).await;
    bench.fake.send(HostMessage::Stop { build: build(1) });
    bench.until("it is stopped", |_| started.is_stopped()).await;
    started.end(Outcome::Cancelled { proof: Some(proof()) }).await;
    let end = (1, Outcome::Cancelled { proof: Some(proof()) });
    bench.until("its end is heard", |fake| fake.ends() == [end.clone()]).await;
    bench.until("no message is left", |fake| fake.left() == 0).await;
    // The end was not heard, it seems.
    bench.fake.send(HostMessage::Stop { build: build(1) });
    bench.until("it is said again", |fake| fake.ends() == [end.clone(), end.clone()]).await;
}

#[tokio::test(start_paused = true)]
async fn stopping_what_is_not_known() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Stop { build: build(1) });
    bench.until("it is answered", |fake| fake.ends().len() == 3).await;
    let lost = Outcome::Lost { why: "this host has no such job".into(), proof: None };
    assert_eq!(bench.fake.ends(), [(1, lost.clone()), (2, lost.clone()), (3, lost)]);
    bench.until("no message is left", |fake| fake.left() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_killed() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    bench.fake.send(HostMessage::Job { job: job(2) });
    bench.started(0).await.die().await;
    bench.until("that is said", |fake| fake.ends().len() == 1).await;
    let why = "the agent's process ended without a final report: signal 9".to_owned();
    assert_eq!(bench.fake.ends()[0].1, Outcome::Lost { why: why.clone(), proof: Some(untouched()) });
    bench.fake.state().check_volume = VolumeCheck::InUse("it is mounted".into());
    bench.started(1).await.die().await;
    bench.until("that is said", |fake| fake.ends().len() == 2).await;
    assert_eq!(bench.fake.ends()[1].1, Outcome::Lost { why, proof: None });
}

#[tokio::test(start_paused = true)]
async fn a_job_that_was_cut_off_with_the_daemon() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    bench.started(0).await;
    let (fake, dir) = bench.killed().await;
    let bench = Bench::with(fake, dir, |_| {});
    bench.until("the next life says so", |fake| fake.ends().len() == 1).await;
    let why = "the agent was restarted while it ran".to_owned();
    assert_eq!(bench.fake.ends(), [(1, Outcome::Lost { why, proof: Some(untouched()) })]);
    assert_eq!(bench.fake.left(), 1);
    bench.fake.show_all();
    bench.until("its message is deleted when it comes again", |fake| fake.left() == 0).await;
    assert_eq!(bench.fake.state().started.len(), 0);
    // And a life after that says nothing more.
    let (fake, dir) = bench.killed().await;
    fake.send(HostMessage::Job { job: job(1) });
    let bench = Bench::with(fake, dir, |_| {});
    bench.until("that is deleted, too", |fake| fake.left() == 0).await;
    assert_eq!((bench.fake.ends().len(), bench.fake.state().started.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_not_heard_outlives_the_daemon() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    bench.fake.state().inbox_is_down = true;
    started.end(Outcome::Done(proof())).await;
    pass(60).await;
    let (fake, dir) = bench.killed().await;
    fake.state().inbox_is_down = false;
    let bench = Bench::with(fake, dir, |_| {});
    bench.until("it is said", |fake| fake.ends() == [(1, Outcome::Done(proof()))]).await;
}

#[tokio::test(start_paused = true)]
async fn the_way_out() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    bench.fake.send(HostMessage::Job { job: job(2) });
    let (first, second) = (bench.started(0).await, bench.started(1).await);
    bench.signal().await;
    bench.until("it is said", |fake| fake.hosts().last().unwrap().draining).await;
    let down = |proof| Outcome::Lost { why: "the host is shutting down".into(), proof: Some(proof) };
    bench.fake.send(HostMessage::Job { job: job(3) });
    bench.until("no job is begun", |fake| fake.ends() == [(1, down(untouched()))]).await;
    pass(60).await;
    first.end(Outcome::Done(proof())).await;
    assert!(!second.is_stopped());
    bench.until("the other one is stopped in the end", |_| second.is_stopped()).await;
    second.end(Outcome::Cancelled { proof: Some(proof()) }).await;
    let fake = bench.fake.clone();
    assert_eq!(bench.ended().await, Ended::Drained);
    assert_eq!(fake.ends()[1..], [(1, Outcome::Done(proof())), (1, down(proof()))]);
    assert_eq!(fake.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_daemon_ends_at_once() {
    let bench = Bench::new();
    bench.until("it is there", |fake| !fake.hosts().is_empty()).await;
    let before = time::Instant::now();
    let fake = bench.fake.clone();
    bench.signal().await;
    assert_eq!(bench.ended().await, Ended::Drained);
    assert!(fake.hosts().last().unwrap().draining);
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn told_twice_to_end() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    bench.signal().await;
    bench.signal().await;
    assert_eq!(bench.ended().await, Ended::Forced);
    drop(started);
}

#[tokio::test(start_paused = true)]
async fn the_journal_keeps_what_cannot_be_said_on_the_way_out() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    bench.fake.state().inbox_is_down = true;
    bench.signal().await;
    started.end(Outcome::Done(proof())).await;
    let (fake, dir) = (bench.fake.clone(), bench.dir.path().to_owned());
    let journal = crate::journal::Journal::open(&dir.join("lib/jobs")).unwrap();
    let held = bench;
    held.until("its end is written down", |_| journal.entry(&build(1)).unwrap().ended.is_some()).await;
    assert_eq!(held.ended().await, Ended::Drained);
    assert_eq!(fake.ends(), []);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_comes_and_goes() {
    let fake = fake();
    fake.state().queue_is_there = false;
    let bench = Bench::with(fake, tempfile::tempdir().unwrap(), |_| {});
    // Said again at once, so that the controller makes the queue.
    bench.until("the host is here", |fake| fake.hosts().len() >= 2).await;
    pass(100).await;
    bench.fake.state().queue_is_there = true;
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    bench.fake.state().queue_is_there = false;
    pass(100).await;
    assert!(!started.is_stopped());
    started.end(Outcome::Done(proof())).await;
    bench.until("its end is heard all the same", |fake| fake.ends().len() == 1).await;
    bench.fake.state().queue_is_there = true;
    bench.fake.send(HostMessage::Job { job: job(2) });
    bench.started(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_down_holds_up_nothing_and_says_what_is_missing() {
    let bench = Bench::new();
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    bench.fake.state().log_is_down = true;
    for n in 0..50 {
        started.say(output(&n.to_string())).await;
    }
    pass(60).await;
    bench.fake.state().log_is_down = false;
    started.say(output("there again")).await;
    bench.until("it is said", |fake| fake.state().log.len() >= 2).await;
    let log = bench.fake.state().log.clone();
    assert!(log[0].1.contains("there again") && log[1].1.contains("50 lines are missing here"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_hangs_holds_up_nothing() {
    let bench = Bench::new();
    bench.fake.state().log_hangs = true;
    bench.fake.send(HostMessage::Job { job: job(1) });
    let started = bench.started(0).await;
    for n in 0..20_000 {
        started.say(output(&n.to_string())).await;
    }
    started.end(Outcome::Done(proof())).await;
    bench.until("its end is heard", |fake| fake.ends().len() == 1).await;
    bench.signal().await;
    assert_eq!(bench.ended().await, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn templates_do_not_reach_the_host() {
    let bench = Bench::new();
    let mut reaching = job(1);
    reaching.chroot.copy_files = Some(vec!["/etc/shadow".into()]);
    reaching.chroot.pre_mount_commands = vec![DeferredTemplate("id".into())];
    bench.fake.send(HostMessage::Job { job: reaching });
    bench.fake.send(HostMessage::Job { job: with_script(job(2), "/etc/setup.sh", None) });
    let climbing = BundleRef { key: "bundles/x".into(), sha256: "x".into(), size: 1 };
    bench.fake.send(HostMessage::Job { job: with_script(job(3), "../../setup.sh", Some(climbing)) });
    bench.until("all are refused", |fake| fake.ends().len() == 3).await;
    for report in bench.fake.reports() {
        let ReportBody::Ended(Outcome::Failed { failure, proof: Some(_) }) = report.body else { panic!() };
        if report.build == build(1) {
            assert!(failure.message.ends_with("pre_mount_commands, copy_files"), "{}", failure.message);
        } else {
            assert!(failure.message.starts_with("setup.sh is a file of this host"), "{}", failure.message);
        }
    }
    bench.until("no message is left", |fake| fake.left() == 0).await;
    assert_eq!(bench.fake.state().started.len(), 0);
    // Unless the operator lets them.
    let bench = Bench::with(fake(), tempfile::tempdir().unwrap(), |settings| {
        settings.stack.allow_host_access = true;
    });
    bench.fake.send(HostMessage::Job { job: with_script(job(2), "/etc/setup.sh", None) });
    bench.started(0).await;
}

fn bundle(dir: &Path) -> (Vec<u8>, BundleRef, String) {
    let here = dir.join("author");
    fs::create_dir_all(&here).unwrap();
    fs::write(here.join("t.json"), "{}").unwrap();
    fs::write(here.join("setup.sh"), "#!/bin/sh\n").unwrap();
    let order = PackRequest {
        template: "t.json".into(),
        files: vec!["setup.sh".into()],
        working_directory: here.clone(),
        ..PackRequest::default()
    };
    let packed = pack(&order).unwrap();
    let inside = bakehouse_bundle::path_in_bundle(&here.join("setup.sh")).unwrap();
    (packed.bytes.clone(), packed.reference(), inside)
}

#[tokio::test(start_paused = true)]
async fn a_job_with_a_bundle() {
    let bench = Bench::new();
    let (bytes, reference, inside) = bundle(bench.dir.path());
    bench.fake.state().objects.insert(reference.key.clone(), bytes);
    bench.fake.send(HostMessage::Job { job: with_script(job(1), &inside, Some(reference)) });
    let started = bench.started(0).await;
    let script = Path::new(&started.job.files).join(&inside);
    assert_eq!(fs::read_to_string(&script).unwrap(), "#!/bin/sh\n");
    started.end(Outcome::Done(proof())).await;
    bench.until("its end is heard", |fake| fake.ends().len() == 1).await;
    assert!(!script.exists());
}

#[tokio::test(start_paused = true)]
async fn bundles_that_cannot_be_used() {
    let bench = Bench::new();
    let (bytes, good, inside) = bundle(bench.dir.path());
    bench.fake.state().objects.insert(good.key.clone(), bytes);
    let garbage = b"garbage".to_vec();
    let none = BundleRef { key: "bundles/y".into(), sha256: bakehouse_bundle::sha256(&garbage), size: 7 };
    bench.fake.state().objects.insert(none.key.clone(), garbage);
    let cases = [
        (BundleRef { sha256: "0".repeat(64), ..good.clone() }, "is not the bundle that was asked for: its SHA-256"),
        (BundleRef { size: good.size + 1, ..good.clone() }, "is not the bundle that was asked for: it has"),
        (BundleRef { size: 1 << 40, ..good.clone() }, "more than the limit of 67108864"),
        (BundleRef { key: "bundles/none".into(), ..good.clone() }, "there is no bundles/none"),
        (none, "bundles/y: the bundle cannot be unpacked: "),
    ];
    for (n, (reference, what)) in (1..).zip(cases) {
        bench.fake.send(HostMessage::Job { job: with_script(job(n), &inside, Some(reference)) });
        bench.until("it is refused", |fake| fake.ends().len() == n as usize).await;
        let Some((_, Outcome::Failed { failure, proof: Some(_) })) = bench.fake.ends().pop() else { panic!() };
        assert!(failure.message.contains(what), "{}", failure.message);
    }
    assert_eq!(bench.fake.state().started.len(), 0);
    assert_eq!(fs::read_dir(bench.dir.path().join("lib/bundles")).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_none() {
    let bench = Bench::new();
    bench.fake.send_text("{}".into());
    bench.until("it is deleted", |fake| fake.left() == 0).await;
    // A job of a newer controller.
    let text = serde_json::to_string(&bakehouse_protocol::Envelope::new(HostMessage::Job { job: job(1) })).unwrap();
    bench.fake.send_text(text.replacen("\"bakehouse\":1", "\"bakehouse\":2", 1));
    bench.until("it is refused", |fake| fake.ends().len() == 1).await;
    let (_, Outcome::Failed { failure, .. }) = bench.fake.ends().remove(0) else { panic!() };
    assert_eq!(failure.message, "this host's agent can't read the job: it is of version 2");
    bench.until("it is deleted", |fake| fake.left() == 0).await;
}
