//! The log of builds, and what no log may show.

use std::fs;

use bakehouse_protocol::{AgentPhase, Failure, HostMessage, Job, Outcome};

use super::values::{job, output, proof, sleep};
use crate::{
    daemon::Ended,
    fakes::{DaemonFixture, settings},
};

#[tokio::test(start_paused = true)]
async fn sensitive_values_are_masked_in_logs_reports_and_journal() {
    let fixture = DaemonFixture::new();
    let job = Job { sensitive: vec!["hunter2".into()], ..job(1) };
    fixture.fake.send(HostMessage::Job { job });
    let started = fixture.started_job(0).await;
    assert_eq!(started.job.sensitive, ["hunter2"]);
    started.report(output("password=hunter2")).await;
    let failure = Failure {
        phase: AgentPhase::Provision,
        provisioner: Some(0),
        message: "login as hunter2 failed".into(),
        tail: vec!["+ login hunter2".into()],
        hint: None,
    };
    started.end(Outcome::Failed { failure, proof: None }).await;
    fixture.until("its message is deleted", |fake| fake.undeleted() == 0).await;
    fixture.until("the log is whole", |fake| fake.state().log.len() == 2).await;
    let logged = format!("{:?}", fixture.fake.state().log);
    let all = format!("{logged} {:?}", fixture.fake.reports());
    assert!(all.contains("password=<sensitive>") && all.contains("login as <sensitive> failed"), "{all}");
    assert!(!all.contains("hunter2"), "{all}");
    let journal = settings(fixture.dir.path()).journal();
    let kept = fs::read_dir(journal).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let kept: String = kept.collect();
    assert!(kept.contains("<sensitive>") && !kept.contains("hunter2"), "{kept}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_down_blocks_nothing_and_counts_lost_lines() {
    let fixture = DaemonFixture::new();
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    fixture.fake.state().log_is_down = true;
    for n in 0..50 {
        started.report(output(&n.to_string())).await;
    }
    sleep(60).await;
    fixture.fake.state().log_is_down = false;
    started.report(output("there again")).await;
    fixture.until("it is reported", |fake| fake.state().log.len() >= 2).await;
    let log = fixture.fake.state().log.clone();
    assert!(log[0].1.contains("there again") && log[1].1.contains("50 lines are missing here"), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_hangs_blocks_nothing() {
    let fixture = DaemonFixture::new();
    fixture.fake.state().log_hangs = true;
    fixture.fake.send(HostMessage::Job { job: job(1) });
    let started = fixture.started_job(0).await;
    for n in 0..20_000 {
        started.report(output(&n.to_string())).await;
    }
    started.end(Outcome::Done(proof())).await;
    fixture.until("its outcome is reported", |fake| fake.outcomes().len() == 1).await;
    fixture.signal().await;
    assert_eq!(fixture.wait().await, Ended::Drained);
}
