//! Jobs, from their message to their outcome.

use bakehouse_agent::VolumeCheck;
use bakehouse_protocol::{AgentPhase, HostMessage, Outcome, ReportBody};

use super::values::{attempt, build, job, output, proof, sleep};
use crate::{admission::untouched, fakes::DaemonFixture};

#[tokio::test(start_paused = true)]
async fn a_job_from_its_message_to_its_end() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    fixture
        .until("the host reports that it runs the job", |fake| {
            fake.host_reports().last().unwrap().running == [build(1)]
        })
        .await;
    started.report(ReportBody::Phase(AgentPhase::Find)).await;
    started.report(output("hello")).await;
    started.report(ReportBody::Heartbeat).await;
    // Far longer than the visibility timeout.
    sleep(900).await;
    assert_eq!((fixture.fake.undeleted(), fixture.fake.state().received_count), (1, 1));
    assert_eq!(fixture.fake.state().started.len(), 1);
    started.end(Outcome::Done(proof())).await;
    fixture.until("its message is deleted", |fake| fake.undeleted() == 0).await;
    fixture.until("the host is idle", |fake| fake.host_reports().last().unwrap().running.is_empty()).await;
    let said: Vec<_> = fixture.fake.reports().into_iter().map(|report| report.body).collect();
    let end = ReportBody::Ended(Outcome::Done(proof()));
    assert_eq!(said, [ReportBody::Phase(AgentPhase::Find), ReportBody::Heartbeat, end]);
    fixture.until("the log is whole", |fake| fake.state().log.len() == 4).await;
    let log = fixture.fake.state().log.clone();
    assert!(log.iter().all(|(stream, _)| *stream == build(1).to_string()));
    assert!(log[1].1.contains(r#""line":"hello""#), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_older_than_its_disk_deadline_is_not_started() {
    let fixture = DaemonFixture::new();
    fixture.fake.state().queue_exists = false;
    fixture.fake.send(HostMessage::Job { job: job(1) });
    sleep(301).await;
    fixture.fake.state().queue_exists = true;
    fixture.until("its message is deleted", |fake| fake.undeleted() == 0).await;
    assert!(fixture.fake.state().started.is_empty());
    let ends = fixture.fake.outcomes();
    let [(1, Outcome::Lost { why, proof: Some(_) })] = &ends[..] else { panic!("{ends:?}") };
    assert!(why.contains("waited"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_reported_until_the_inbox_takes_it() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    fixture.fake.state().inbox_is_down = true;
    started.end(Outcome::Done(proof())).await;
    sleep(1200).await;
    fixture.fake.unhide_all();
    sleep(60).await;
    assert_eq!((fixture.fake.undeleted(), fixture.fake.state().started.len()), (1, 1));
    fixture.fake.state().inbox_is_down = false;
    fixture.until("the outcome is reported", |fake| fake.outcomes() == [(1, Outcome::Done(proof()))]).await;
    fixture.until("its message is deleted", |fake| fake.undeleted() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn more_jobs_than_slots() {
    let fixture = DaemonFixture::new();
    (1..=3).for_each(|number| fixture.fake.send(HostMessage::Job { job: job(number) }));
    let first = fixture.started_job(0).await;
    fixture.started_job(1).await;
    sleep(60).await;
    assert_eq!(fixture.fake.state().started.len(), 2);
    first.end(Outcome::Done(proof())).await;
    assert_eq!(fixture.started_job(2).await.job.build, build(3));
}

#[tokio::test(start_paused = true)]
async fn a_later_attempt_ends_the_earlier_one() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(attempt(1, 1));
    let first = fixture.started_job(0).await;
    fixture.fake.send(attempt(1, 2));
    fixture.until("the first is stopped", |_| first.is_stopped()).await;
    assert_eq!(fixture.fake.state().started.len(), 1);
    first.end(Outcome::Cancelled { proof: Some(proof()) }).await;
    let second = fixture.started_job(1).await;
    assert_eq!(second.job.attempt, 2);
    fixture.fake.send(attempt(1, 1));
    fixture.until("an earlier one is dropped", |fake| fake.undeleted() == 1).await;
    second.end(Outcome::Done(proof())).await;
    fixture.until("both outcomes are reported", |fake| fake.outcomes().len() == 2).await;
    let lost = Outcome::Lost { why: "a later attempt has arrived".into(), proof: Some(proof()) };
    assert_eq!(fixture.fake.outcomes(), [(1, lost), (2, Outcome::Done(proof()))]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_message_stops_the_job() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    sleep(1).await;
    fixture.fake.send(HostMessage::Stop { build: build(1) });
    fixture.until("it is stopped", |_| started.is_stopped()).await;
    started.end(Outcome::Cancelled { proof: Some(proof()) }).await;
    let end = (1, Outcome::Cancelled { proof: Some(proof()) });
    fixture.until("its outcome is reported", |fake| fake.outcomes() == [end.clone()]).await;
    fixture.until("no message is left", |fake| fake.undeleted() == 0).await;
    // As if the outcome had been lost.
    fixture.fake.send(HostMessage::Stop { build: build(1) });
    fixture.until("it is reported again", |fake| fake.outcomes() == [end.clone(), end.clone()]).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_message_for_an_unknown_job_is_answered() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Stop { build: build(1) });
    fixture.until("it is answered", |fake| fake.outcomes().len() == 3).await;
    let lost = Outcome::Lost { why: "this host has no such job".into(), proof: None };
    assert_eq!(fixture.fake.outcomes(), [(1, lost.clone()), (2, lost.clone()), (3, lost)]);
    fixture.until("no message is left", |fake| fake.undeleted() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_loses_its_job() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    fixture.fake.send(HostMessage::Job { job: job(2) });
    fixture.started_job(0).await.die().await;
    fixture.until("that is reported", |fake| fake.outcomes().len() == 1).await;
    let why = "the agent's process ended without a final report: signal 9".to_owned();
    assert_eq!(fixture.fake.outcomes()[0].1, Outcome::Lost { why: why.clone(), proof: Some(untouched()) });
    fixture.fake.state().check_volume = VolumeCheck::InUse("it is mounted".into());
    fixture.started_job(1).await.die().await;
    fixture.until("that is reported", |fake| fake.outcomes().len() == 2).await;
    assert_eq!(fixture.fake.outcomes()[1].1, Outcome::Lost { why, proof: None });
}
