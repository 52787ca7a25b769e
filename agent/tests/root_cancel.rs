//! Jobs that are cancelled, or whose reports can't be read.

#![allow(clippy::unwrap_used)]

mod support;

use std::{
    path::Path,
    sync::mpsc::{Sender, channel},
    time::{Duration, Instant},
};

use bakehouse_agent::{JobHandle, Settings, job_process::JobProcessError, spawn};
use bakehouse_protocol::{HostId, Millis, Outcome, Report, ReportBody, spec::Provisioner};
use support::{AGENT, Disk, Layout, Run, inline, sh, skip};

/// Reads all reports, and calls `act` when this line of output is reported.
fn follow(
    handle: JobHandle,
    line: &str,
    mut act: impl FnMut(&JobHandle),
) -> (Vec<Report>, Result<(), JobProcessError>) {
    let mut reports: Vec<Report> = Vec::new();
    for report in handle.reports() {
        if matches!(&report.body, ReportBody::Output { line: output, .. } if output == line) {
            act(&handle);
        }
        reports.push(report);
    }
    (reports, handle.wait())
}

/// Kills a job after 40 s and prints where it hangs, so that a test fails instead of hanging.
struct Watchdog(Sender<()>, std::thread::JoinHandle<()>);

fn watchdog(supervisor: u32) -> Watchdog {
    let (stop, stopped) = channel();
    let thread = std::thread::spawn(move || {
        if stopped.recv_timeout(Duration::from_secs(40)).is_err() {
            println!(
                "{}",
                sh(&format!(
                    "show() {{ echo \"== $1\"; cd /proc/$1 || return 0; tr '\\0' ' ' < cmdline; echo; \
                grep -E 'State|Sig|Shd' status; cat wchan syscall stack || true; ls -l fd || true; \
                for child in $(cat task/*/children); do show $child; done; }}; show {supervisor} 2>&1"
                ))
            );
            sh(&format!("kill -9 {supervisor}"));
        }
    });
    Watchdog(stop, thread)
}

impl Watchdog {
    fn stop(self) {
        let _ = self.0.send(());
        self.1.join().unwrap();
    }
}

fn endless() -> Vec<Provisioner> {
    vec![inline(&["echo in the middle", "sleep 1000"])]
}

#[test]
fn root_a_job_is_cancelled_while_a_step_runs() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Mbr, 1, "");
    let handle = disk.start(&disk.job(endless()));
    let watchdog = watchdog(handle.pid());
    let (reports, ended) = follow(handle, "in the middle", JobHandle::cancel);
    watchdog.stop();
    ended.unwrap();
    disk.assert_nothing_left();
    let run = Run::new(reports);
    assert!(matches!(&run.outcome, Outcome::Cancelled { proof: Some(_) }), "{:?}", run.outcome);
}

#[test]
fn root_a_worker_that_ignores_the_cancel_is_killed() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let mut settings = disk.settings();
    settings.cancel_timeout = Millis(400);
    let handle = spawn(Path::new(AGENT), [""; 0], &disk.job(endless()), &settings).unwrap();
    let mut cancelled = None;
    let (reports, ended) = follow(handle, "in the middle", |handle| {
        let supervisor = handle.pid();
        // While it is stopped, it does not react.
        sh(&format!("kill -STOP $(cat /proc/{supervisor}/task/{supervisor}/children)"));
        handle.cancel();
        cancelled = Some(Instant::now());
    });
    let elapsed = cancelled.unwrap().elapsed();
    ended.unwrap();
    disk.assert_nothing_left();
    let run = Run::new(reports);
    let Outcome::Cancelled { proof: Some(proof) } = &run.outcome else { panic!("{:?}", run.outcome) };
    assert_eq!(proof.device, disk.device);
    let note = format!("cancelled in phase provision, the worker did not end within {} and was killed", Millis(400));
    assert!(run.notes().contains(&note.as_str()), "{:?}", run.notes());
    assert!(elapsed >= Duration::from_millis(400) && elapsed < Duration::from_secs(20), "{elapsed:?}");
}

#[test]
fn root_the_parent_may_ignore_sigchld() {
    if skip(&["bash"]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let job = disk.job(vec![inline(&["sleep 0.2; echo slept"])]);
    // An ignored signal stays ignored over execve(2), so a careless service manager starts its services this way. bash,
    // because dash does not ignore SIGCHLD.
    let ignoring = ["-c", "trap '' CHLD; exec \"$0\"", AGENT];
    let handle = spawn(Path::new("/bin/bash"), ignoring, &job, &disk.settings()).unwrap();
    let watchdog = watchdog(handle.pid());
    let (reports, ended) = follow(handle, "", |_| {});
    watchdog.stop();
    ended.unwrap();
    disk.assert_nothing_left();
    assert_eq!(Run::new(reports).output(), ["slept"]);
}

#[test]
fn a_line_that_is_not_a_report_cancels_the_job() {
    let disk = Disk::blank(1);
    let settings = Settings::new(HostId::new("h").unwrap());
    // Prints nonsense and runs until it is cancelled.
    let script = "read job; echo nonsense; read line; test \"$line\" = cancel && : > \"$0\"; exit 0";
    let cancelled = disk.dir.path().join("cancelled");
    let arguments = ["-c".to_owned(), script.to_owned(), cancelled.display().to_string()];
    let handle = spawn(Path::new("/bin/sh"), arguments, &disk.job(vec![]), &settings).unwrap();
    let watchdog = watchdog(handle.pid());
    let (reports, ended) = follow(handle, "", |_| {});
    watchdog.stop();
    assert!(reports.is_empty() && matches!(ended, Err(JobProcessError::Pipe(_))), "{ended:?}");
    assert!(cancelled.exists());
}
