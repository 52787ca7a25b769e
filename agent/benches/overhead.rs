//! The overhead of the agent: the time of a job without steps, from the start of its process to its end, and the peak
//! of its resident memory. The disk is a sparse image of 2 GiB with a GPT. Run `cargo bench -p bakehouse-agent` as
//! root, with busybox-static installed.
#![allow(clippy::unwrap_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use bakehouse_protocol::{AgentPhase, Outcome, ReportBody, spec::Provisioner};
use support::{Disk, Layout, inline, sh, skip};

const RUNS: usize = 40;

fn main() {
    if skip(&[]) {
        return;
    }
    for fs in ["ext4", "xfs", "btrfs"] {
        let disk = Disk::new(fs, Layout::Gpt, 2, "");
        // The first run adds the partition and warms the caches.
        run(&disk, vec![]);
        let mut phases: Vec<Vec<(AgentPhase, Duration)>> = Vec::new();
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|_| {
                let (time, split) = run(&disk, vec![]);
                phases.push(split);
                time
            })
            .collect();
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "{fs:5} {RUNS} runs: median {:.1} ms, fastest {:.1} ms, slowest {:.1} ms",
            ms(times[RUNS / 2]),
            ms(times[0]),
            ms(times[RUNS - 1])
        );
        for i in 0..phases[0].len() {
            let mut times: Vec<Duration> = phases.iter().map(|split| split[i].1).collect();
            times.sort();
            println!("      {:9} {:6.1} ms (median)", phases[0][i].0.as_str(), ms(times[RUNS / 2]));
        }
    }
    let disk = Disk::new("ext4", Layout::Gpt, 2, "");
    println!("resident memory at its peak, supervisor and worker: {} KiB", memory(&disk));
}

/// Runs one job. Returns its duration, and that of each phase.
fn run(disk: &Disk, steps: Vec<Provisioner>) -> (Duration, Vec<(AgentPhase, Duration)>) {
    let job = disk.job(steps);
    let began = Instant::now();
    let handle = disk.start(&job);
    let mut phases: Vec<(AgentPhase, Instant)> = Vec::new();
    for report in handle.reports() {
        match report.body {
            ReportBody::Phase(phase) => phases.push((phase, Instant::now())),
            ReportBody::Ended(outcome) => {
                assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}")
            }
            _ => {}
        }
    }
    handle.wait().unwrap();
    let ended = Instant::now();
    let ends = phases.iter().skip(1).map(|phase| phase.1).chain([ended]).collect::<Vec<_>>();
    (ended - began, phases.iter().zip(ends).map(|((phase, from), to)| (*phase, to - *from)).collect())
}

/// Returns the peak memory of both processes in KiB, read near the end of the job.
fn memory(disk: &Disk) -> u64 {
    let handle = disk.start(&disk.job(vec![inline(&["seq 20000", "echo now", "sleep 0.3"])]));
    let mut peak = 0;
    for report in handle.reports() {
        if matches!(&report.body, ReportBody::Output { line, .. } if line == "now") {
            let supervisor = handle.pid();
            let worker = sh(&format!("cat /proc/{supervisor}/task/{supervisor}/children"));
            peak = [supervisor.to_string(), worker].iter().map(|pid| high_water(pid.trim())).sum();
        }
    }
    handle.wait().unwrap();
    peak
}

fn high_water(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
