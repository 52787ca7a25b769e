//! Jobs that are cancelled, or can't be followed any more.

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

/// Reads the reports to their end, and does something when this line of output comes.
fn follow(
    handle: JobHandle,
    line: &str,
    mut act: impl FnMut(&JobHandle),
) -> (Vec<Report>, Result<(), JobProcessError>) {
    let mut reports: Vec<Report> = Vec::new();
    for report in handle.reports() {
        if matches!(&report.body, ReportBody::Output { line: said, .. } if said == line) {
            act(&handle);
        }
        reports.push(report);
    }
    (reports, handle.wait())
}

/// Kills a job after a while and shows where it hung, so that a test that would hang fails.
struct Watch(Sender<()>, std::thread::JoinHandle<()>);

fn kill_late(keeper: u32) -> Watch {
    let (stop, stopped) = channel();
    let thread = std::thread::spawn(move || {
        if stopped.recv_timeout(Duration::from_secs(40)).is_err() {
            println!(
                "{}",
                sh(&format!(
                    "show() {{ echo \"== $1\"; cd /proc/$1 || return 0; tr '\\0' ' ' < cmdline; echo; \
                grep -E 'State|Sig|Shd' status; cat wchan syscall stack || true; ls -l fd || true; \
                for child in $(cat task/*/children); do show $child; done; }}; show {keeper} 2>&1"
                ))
            );
            sh(&format!("kill -9 {keeper}"));
        }
    });
    Watch(stop, thread)
}

impl Watch {
    fn stop(self) {
        let _ = self.0.send(());
        self.1.join().unwrap();
    }
}

fn endless() -> Vec<Provisioner> {
    vec![inline(&["echo in the middle", "sleep 1000"])]
}

#[test]
fn root_cancelled_in_the_middle() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Mbr, 1, "");
    let handle = disk.start(&disk.job(endless()));
    let watch = kill_late(handle.pid());
    let (reports, ended) = follow(handle, "in the middle", JobHandle::cancel);
    watch.stop();
    ended.unwrap();
    disk.assert_nothing_left();
    let run = Run::new(reports);
    assert!(matches!(&run.outcome, Outcome::Cancelled { proof: Some(_) }), "{:?}", run.outcome);
}

#[test]
fn root_a_worker_that_does_not_heed_the_cancel_is_killed() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let mut settings = disk.settings();
    settings.cancel_timeout = Millis(400);
    let handle = spawn(Path::new(AGENT), [""; 0], &disk.job(endless()), &settings).unwrap();
    let mut cancelled = None;
    let (reports, ended) = follow(handle, "in the middle", |handle| {
        let keeper = handle.pid();
        // Stopped, it hears nothing.
        sh(&format!("kill -STOP $(cat /proc/{keeper}/task/{keeper}/children)"));
        handle.cancel();
        cancelled = Some(Instant::now());
    });
    let took = cancelled.unwrap().elapsed();
    ended.unwrap();
    disk.assert_nothing_left();
    let run = Run::new(reports);
    let Outcome::Cancelled { proof: Some(proof) } = &run.outcome else { panic!("{:?}", run.outcome) };
    assert_eq!(proof.device, disk.device);
    let note = format!("cancelled in phase provision, the worker did not end within {} and was killed", Millis(400));
    assert!(run.notes().contains(&note.as_str()), "{:?}", run.notes());
    assert!(took >= Duration::from_millis(400) && took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn root_started_by_one_who_ignores_his_children() {
    if skip(&["bash"]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let job = disk.job(vec![inline(&["sleep 0.2; echo slept"])]);
    // bash, as dash does not ignore it when told to. What is ignored stays ignored over execve(2): as a service of a careless supervisor would be started.
    let ignoring = ["-c", "trap '' CHLD; exec \"$0\"", AGENT];
    let handle = spawn(Path::new("/bin/bash"), ignoring, &job, &disk.settings()).unwrap();
    let watch = kill_late(handle.pid());
    let (reports, ended) = follow(handle, "", |_| {});
    watch.stop();
    ended.unwrap();
    disk.assert_nothing_left();
    assert_eq!(Run::new(reports).output(), ["slept"]);
}

#[test]
fn what_is_no_report_ends_the_job() {
    let disk = Disk::blank(1);
    let settings = Settings::new(HostId::new("h").unwrap());
    // Says nonsense and works on until it is told to stop.
    let script = "read job; echo nonsense; read told; test \"$told\" = cancel && : > \"$0\"; exit 0";
    let told = disk.dir.path().join("told");
    let arguments = ["-c".to_owned(), script.to_owned(), told.display().to_string()];
    let handle = spawn(Path::new("/bin/sh"), arguments, &disk.job(vec![]), &settings).unwrap();
    // The test fails, and does not hang, should nobody tell it.
    let watch = kill_late(handle.pid());
    let (reports, ended) = follow(handle, "", |_| {});
    watch.stop();
    assert!(reports.is_empty() && matches!(ended, Err(JobProcessError::Pipe(_))), "{ended:?}");
    assert!(told.exists());
}
