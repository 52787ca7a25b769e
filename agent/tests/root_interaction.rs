//! A person answers a job that waits.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use bakehouse_agent::spawn;
use bakehouse_protocol::{
    Answer, OnError, Outcome, ReportBody, Waiting,
    spec::{Action, Breakpoint},
};
use support::{AGENT, Disk, Layout, Run, inline, skip, step};

/// Runs a job and gives these answers, each when the job waits; then cancels it when it waits again. Returns the run,
/// and what it waited for.
fn run(disk: &Disk, steps: Vec<bakehouse_protocol::spec::Provisioner>, answers: &[Answer]) -> (Run, Vec<Waiting>) {
    let mut settings = disk.settings();
    (settings.interaction.answers, settings.interaction.on_error) = (true, OnError::Ask);
    let handle = spawn(Path::new(AGENT), [""; 0], &disk.job(steps), &settings).unwrap();
    let (control, mut answers) = (handle.control(), answers.iter());
    // An answer to a job that does not wait has no effect.
    control.answer(Answer::Abort);
    let mut reports = Vec::new();
    let mut waited = Vec::new();
    for report in handle.reports() {
        if let ReportBody::Waiting(waiting) = &report.body {
            waited.push(waiting.clone());
            answers.next().map_or_else(|| control.cancel(), |answer| control.answer(*answer));
        }
        reports.push(report);
    }
    handle.wait().unwrap();
    disk.assert_nothing_left();
    (Run::new(reports), waited)
}

#[test]
fn root_a_job_goes_on_when_it_is_told() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    let breakpoint = || step(Action::Breakpoint(Breakpoint { note: "look at it".into() }));
    let at = Waiting::Breakpoint { note: "look at it".into() };
    let steps =
        || vec![inline(&["echo one"]), breakpoint(), inline(&["echo two; test -e /fixed || touch /fixed /x; rm /x"])];

    let (done, waited) = run(&disk, steps(), &[Answer::Continue]);
    done.done();
    assert_eq!((done.output(), waited), (vec!["one", "two"], vec![at.clone()]));

    let (retried, waited) = run(&disk, steps(), &[Answer::Continue, Answer::Retry, Answer::Abort]);
    assert_eq!(retried.failed().message, "the script inline exited with status 1");
    let failed = Waiting::Failed { message: "the script inline exited with status 1".into() };
    let without_stderr: Vec<&str> = retried.output().into_iter().filter(|line| !line.contains("rm")).collect();
    assert_eq!((without_stderr, waited), (vec!["one", "two", "two"], vec![at.clone(), failed.clone(), failed]));

    let (cancelled, waited) = run(&disk, steps(), &[]);
    assert!(matches!(cancelled.outcome, Outcome::Cancelled { proof: Some(_) }), "{:?}", cancelled.outcome);
    assert_eq!(waited, [at]);
}
