//! Whole jobs on every file system and partition table.

#![allow(clippy::unwrap_used)]

mod support;

use bakehouse_protocol::{AgentPhase, ReportBody};
use support::{Disk, Layout, Run, inline, sh, skip};

const LAYOUTS: [Layout; 3] = [Layout::Bare, Layout::Gpt, Layout::Mbr];

fn runs_on_every_layout(fs: &str) {
    if skip(&[&format!("mkfs.{fs}")]) {
        return;
    }
    for layout in LAYOUTS {
        let disk = Disk::new(fs, layout, 1, "");
        let before = disk.listing();
        let run = disk.run(&disk.job(vec![inline(&["echo hello from $(id -u)", "echo new > /new"])]));
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
        assert_eq!(disk.inspect("cat new; rm new"), "new");
        assert_eq!(disk.listing(), before, "nothing has changed but what the step created, {layout:?}");
    }
}

#[test]
fn root_ext4_runs_on_every_layout() {
    runs_on_every_layout("ext4");
}

#[test]
fn root_xfs_runs_on_every_layout() {
    runs_on_every_layout("xfs");
}

#[test]
fn root_btrfs_runs_on_every_layout() {
    runs_on_every_layout("btrfs");
}

fn grows_to_the_volume(fs: &str, tool: &str) {
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
        // The second time there is nothing to grow.
        disk.run(&job).done();
    }
}

#[test]
fn root_ext4_grows_to_the_size_of_the_volume() {
    grows_to_the_volume("ext4", "resize2fs");
}

#[test]
fn root_xfs_grows_to_the_size_of_the_volume() {
    grows_to_the_volume("xfs", "xfs_growfs");
}

#[test]
fn root_btrfs_grows_to_the_size_of_the_volume() {
    grows_to_the_volume("btrfs", "btrfs");
}

/// Concurrent builds from one source have volumes with the same UUID on the same host.
fn clones_of_one_source(fs: &str) {
    if skip(&[&format!("mkfs.{fs}")]) {
        return;
    }
    let first = Disk::new(fs, Layout::Gpt, 1, "");
    let second = first.cloned();
    let start = |disk: &Disk, text: &str| {
        disk.start(&disk.job(vec![inline(&[&format!("echo {text} > /who; sleep 1; sync; echo {text} >> /who")])]))
    };
    let handles = [start(&first, "first"), start(&second, "second")];
    for (handle, disk) in handles.into_iter().zip([&first, &second]) {
        let run = Run::new(handle.reports().iter().collect());
        handle.wait().unwrap();
        assert_eq!(run.done().device, disk.device);
    }
    first.assert_nothing_left();
    second.assert_nothing_left();
    assert_eq!(first.inspect("cat who"), "first\nfirst");
    assert_eq!(second.inspect("cat who"), "second\nsecond");
}

#[test]
fn root_two_ext4_clones_are_built_at_once() {
    clones_of_one_source("ext4");
}

#[test]
fn root_two_xfs_clones_are_built_at_once() {
    clones_of_one_source("xfs");
}

#[test]
fn root_two_btrfs_clones_are_built_at_once() {
    if cfg!(target_os = "linux") && !std::path::Path::new("/sys/fs/btrfs/features/temp_fsid").exists() {
        println!("SKIP root_two_btrfs_clones_are_built_at_once: this kernel's btrfs has no temp_fsid");
        return;
    }
    clones_of_one_source("btrfs");
}

#[test]
fn root_a_read_only_root_is_an_error() {
    if skip(&["mkfs.ext4", "tune2fs", "mksquashfs"]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Bare, 1, "");
    sh(&format!("tune2fs -O read-only {}", disk.device));
    let run = disk.run(&disk.job(vec![inline(&["true"])]));
    let failure = run.failed();
    let message = format!("the ext4 on {} can be mounted only read-only", disk.device);
    assert_eq!((failure.phase, &failure.message), (AgentPhase::Mount, &message));
    assert!(failure.hint.as_deref().unwrap().contains("feature read-only"));

    let mut disk = Disk::blank(1);
    disk.attach();
    let dir = disk.dir.path().display();
    sh(&format!(
        "mkdir {dir}/tree; mksquashfs {dir}/tree {dir}/packed -quiet -no-progress; dd if={dir}/packed of={} conv=notrunc",
        disk.device
    ));
    let run = disk.run(&disk.job(vec![inline(&["true"])]));
    assert_eq!(run.failed().message, format!("{} holds squashfs, a read-only file system", disk.device));
}
