//! Whole jobs on every file system and partition table.

#![allow(clippy::unwrap_used)]

mod support;

use bakehouse_protocol::{AgentPhase, ReportBody};
use support::{Disk, Layout, inline, skip};

const LAYOUTS: [Layout; 3] = [Layout::Bare, Layout::Gpt, Layout::Mbr];

fn every_layout(fs: &str) {
    if skip(&[&format!("mkfs.{fs}")]) {
        return;
    }
    for layout in LAYOUTS {
        let disk = Disk::new(fs, layout, 1, "");
        let before = disk.listing();
        let run = disk.run(&disk.job(vec![inline(&["echo hello from $(id -u)", "echo made > /made"])]));
        let proof = run.done();
        assert_eq!((proof.device.as_str(), proof.filesystem.as_str()), (disk.device.as_str(), fs), "{layout:?}");
        assert!(proof.killed.is_empty());
        assert_eq!(run.output(), ["hello from 0"], "{layout:?}");
        let phases: Vec<_> = run
            .reports
            .iter()
            .filter_map(|report| match report.body {
                ReportBody::Phase(phase) => Some(phase),
                _ => None,
            })
            .collect();
        use AgentPhase::{Enter, Find, Leave, Mount, Provision, Unmount};
        assert_eq!(phases, [Find, Mount, Enter, Provision, Leave, Unmount]);
        assert_eq!(disk.inspect("cat made; rm made"), "made");
        assert_eq!(disk.listing(), before, "nothing but what the step made, {layout:?}");
    }
}

#[test]
fn root_ext4_on_every_layout() {
    every_layout("ext4");
}

#[test]
fn root_xfs_on_every_layout() {
    every_layout("xfs");
}

#[test]
fn root_btrfs_on_every_layout() {
    every_layout("btrfs");
}

fn grows(fs: &str, tool: &str) {
    if skip(&[&format!("mkfs.{fs}"), tool]) {
        return;
    }
    for layout in LAYOUTS {
        let disk = Disk::grown(fs, layout, 1, 3);
        let mut job = disk.job(vec![inline(&["df -m / | { read head; read source size rest; echo $size; }"])]);
        let run = disk.run(&job);
        let mib = |run: &support::Run| -> u64 { run.output().last().unwrap().parse().unwrap() };
        run.done();
        assert!(mib(&run) <= 1024, "{:?}", run.output());
        job.grow = true;
        let run = disk.run(&job);
        run.done();
        assert!(mib(&run) > 2800, "{fs} {layout:?}: {:?} {:?}", run.output(), run.notes());
        // A second time there is nothing to do, and nothing breaks.
        disk.run(&job).done();
    }
}

#[test]
fn root_ext4_grows() {
    grows("ext4", "resize2fs");
}

#[test]
fn root_xfs_grows() {
    grows("xfs", "xfs_growfs");
}

#[test]
fn root_btrfs_grows() {
    grows("btrfs", "btrfs");
}
