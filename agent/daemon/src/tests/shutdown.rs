//! The end of the daemon, and what the next one does.

use std::time::Duration;

use bakehouse_protocol::{HostMessage, Outcome};
use tokio::time;

use super::values::{build, job, proof, sleep};
use crate::{admission::untouched, daemon::Ended, fakes::DaemonFixture, journal::Journal};

#[tokio::test(start_paused = true)]
async fn a_job_killed_with_the_daemon_is_reported_by_the_next_one() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    fixture.started_job(0).await;
    let (fake, dir) = fixture.kill().await;
    let fixture = DaemonFixture::with(fake, dir, |_| {});
    fixture.until("the next daemon reports it", |fake| fake.outcomes().len() == 1).await;
    let why = "the agent was restarted while it ran".to_owned();
    assert_eq!(fixture.fake.outcomes(), [(1, Outcome::Lost { why, proof: Some(untouched()) })]);
    assert_eq!(fixture.fake.undeleted(), 1);
    fixture.fake.unhide_all();
    fixture.until("its message is deleted when it comes again", |fake| fake.undeleted() == 0).await;
    assert_eq!(fixture.fake.state().started.len(), 0);
    // A third daemon reports nothing more.
    let (fake, dir) = fixture.kill().await;
    fake.send(HostMessage::Job { job: job(1) });
    let fixture = DaemonFixture::with(fake, dir, |_| {});
    fixture.until("that is deleted, too", |fake| fake.undeleted() == 0).await;
    assert_eq!((fixture.fake.outcomes().len(), fixture.fake.state().started.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_unsent_outcome_survives_the_daemon() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    fixture.fake.state().inbox_is_down = true;
    started.end(Outcome::Done(proof())).await;
    sleep(60).await;
    let (fake, dir) = fixture.kill().await;
    fake.state().inbox_is_down = false;
    let fixture = DaemonFixture::with(fake, dir, |_| {});
    fixture.until("it is reported", |fake| fake.outcomes() == [(1, Outcome::Done(proof()))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_drains_the_daemon() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    fixture.fake.send(HostMessage::Job { job: job(2) });
    let (first, second) = (fixture.started_job(0).await, fixture.started_job(1).await);
    fixture.signal().await;
    fixture.until("it is reported", |fake| fake.host_reports().last().unwrap().draining).await;
    let down = |proof| Outcome::Lost { why: "the host is shutting down".into(), proof: Some(proof) };
    fixture.fake.send(HostMessage::Job { job: job(3) });
    fixture.until("no job is begun", |fake| fake.outcomes() == [(1, down(untouched()))]).await;
    sleep(60).await;
    first.end(Outcome::Done(proof())).await;
    assert!(!second.is_stopped());
    fixture.until("the other one is stopped in the end", |_| second.is_stopped()).await;
    second.end(Outcome::Cancelled { proof: Some(proof()) }).await;
    let fake = fixture.fake.clone();
    assert_eq!(fixture.wait().await, Ended::Drained);
    assert_eq!(fake.outcomes()[1..], [(1, Outcome::Done(proof())), (1, down(proof()))]);
    assert_eq!(fake.undeleted(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_daemon_ends_at_once() {
    let fixture = DaemonFixture::new();
    fixture.until("it runs", |fake| !fake.host_reports().is_empty()).await;
    let before = time::Instant::now();
    let fake = fixture.fake.clone();
    fixture.signal().await;
    assert_eq!(fixture.wait().await, Ended::Drained);
    assert!(fake.host_reports().last().unwrap().draining);
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_the_daemon_at_once() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    fixture.signal().await;
    fixture.signal().await;
    assert_eq!(fixture.wait().await, Ended::Forced);
    drop(started);
}

#[tokio::test(start_paused = true)]
async fn the_journal_keeps_an_outcome_unsent_at_shutdown() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    fixture.fake.state().inbox_is_down = true;
    fixture.signal().await;
    started.end(Outcome::Done(proof())).await;
    let (fake, dir) = (fixture.fake.clone(), fixture.dir.path().to_owned());
    let journal = Journal::open(&dir.join("lib/jobs")).unwrap();
    fixture.until("its end is written down", |_| journal.entry(&build(1)).unwrap().ended.is_some()).await;
    assert_eq!(fixture.wait().await, Ended::Drained);
    assert_eq!(fake.outcomes(), []);
}
