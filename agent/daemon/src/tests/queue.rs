//! The queue of the host, and the reports that say that it is read.

use std::time::Duration;

use bakehouse_protocol::{Envelope, HostMessage, Outcome};
use tokio::time;

use super::values::{job, proof, sleep};
use crate::fakes::{DaemonFixture, fake};

#[tokio::test(start_paused = true)]
async fn the_host_is_reported_every_half_minute() {
    let fixture = DaemonFixture::new();
    sleep(301).await;
    let hosts = fixture.fake.host_reports();
    assert!((10..=12).contains(&hosts.len()), "{}", hosts.len());
    assert_eq!((hosts[0].slots, hosts[0].draining), (2, false));
    assert!(hosts.is_sorted_by_key(|host| host.at));
}

#[tokio::test(start_paused = true)]
async fn a_message_received_again_is_deleted_by_its_last_receipt() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    fixture.fake.unhide_all();
    // The same job in another message: that one goes at once.
    fixture.fake.send(HostMessage::Job { job: job(1) });
    fixture.until("one message is left", |fake| fake.undeleted() == 1).await;
    let (before, received_count) = (time::Instant::now(), fixture.fake.state().received_count);
    started.end(Outcome::Done(proof())).await;
    fixture.until("none is left", |fake| fake.undeleted() == 0).await;
    // By the valid receipt, not when it is received once more.
    assert!(before.elapsed() < Duration::from_secs(2) && fixture.fake.state().received_count == received_count);
    assert_eq!(fixture.fake.state().started.len(), 1);
    assert_eq!(fixture.fake.outcomes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_made_deleted_and_made_again() {
    let fake = fake();
    fake.state().queue_exists = false;
    let fixture = DaemonFixture::with(fake, tempfile::tempdir().unwrap(), |_| {});
    // Reported again at once, so that the controller makes the queue.
    fixture.until("the host is reported", |fake| fake.host_reports().len() >= 2).await;
    sleep(100).await;
    fixture.fake.state().queue_exists = true;
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    fixture.fake.state().queue_exists = false;
    sleep(100).await;
    assert!(!started.is_stopped());
    started.end(Outcome::Done(proof())).await;
    fixture.until("its outcome is reported all the same", |fake| fake.outcomes().len() == 1).await;
    fixture.fake.state().queue_exists = true;
    fixture.fake.send(HostMessage::Job { job: job(2) });
    fixture.started_job(1).await;
}

#[tokio::test(start_paused = true)]
async fn invalid_messages_are_deleted_or_answered() {
    let fixture = DaemonFixture::new();
    fixture.fake.send_text("{}".into());
    fixture.until("it is deleted", |fake| fake.undeleted() == 0).await;
    // A job of a newer controller.
    let text = serde_json::to_string(&Envelope::new(HostMessage::Job { job: job(1) })).unwrap();
    fixture.fake.send_text(text.replacen("\"bakehouse\":1", "\"bakehouse\":2", 1));
    fixture.until("it is refused", |fake| fake.outcomes().len() == 1).await;
    let (_, Outcome::Failed { failure, .. }) = fixture.fake.outcomes().remove(0) else { panic!() };
    assert_eq!(failure.message, "this host's agent can't read the job: it is of version 2");
    fixture.until("it is deleted", |fake| fake.undeleted() == 0).await;
}
