//! Jobs beside each other, and beside what else goes on on the host.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, os::unix::fs::OpenOptionsExt, path::Path, process::Command, time::Duration};

use bakehouse_protocol::{Late, ReportBody};
use support::{Disk, Layout, Run, eventually, inline, sh, skip};

/// A mount point that is unmounted, with all on it, even when the test fails.
struct Point(String);
impl Drop for Point {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", "-R", &self.0]).output();
    }
}

#[test]
fn root_what_the_host_unmounts_does_not_stay_in_use() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    // As on every host with systemd: the mounts are shared.
    let point = Point(disk.dir.path().join("shared").display().to_string());
    let dir = &point.0;
    sh(&format!("mkdir {dir}; mount -t tmpfs shared {dir}; mount --make-shared {dir}; mkdir {dir}/stick"));
    sh(&format!("truncate -s 16M {dir}/image; mkfs.ext4 -qF {dir}/image"));
    let stick = sh(&format!("losetup -f --show {dir}/image"));
    sh(&format!("mount {stick} {dir}/stick"));
    let handle = disk.start(&disk.job(vec![inline(&["echo in the middle", "sleep 1000"])]));
    let mut reports = Vec::new();
    let mut free = false;
    for report in handle.reports() {
        if matches!(&report.body, ReportBody::Output { line, .. } if line == "in the middle") {
            sh(&format!("umount {dir}/stick"));
            // Tried again, as another test's losetup may have it for a moment; the job runs on all the while.
            free = (0..50).any(|_| {
                std::thread::sleep(Duration::from_millis(20));
                fs::File::options().read(true).custom_flags(nix::libc::O_EXCL).open(&stick).is_ok()
            });
            handle.cancel();
        }
        reports.push(report);
    }
    handle.wait().unwrap();
    sh(&format!("losetup -d {stick}"));
    assert!(free, "the job keeps a disk in use that it has nothing to do with");
    drop(point);
    Run::new(reports);
}

#[test]
fn root_eight_at_once() {
    if skip(&[]) {
        return;
    }
    let mut disks: Vec<Disk> = (0..8).map(|_| Disk::new("ext4", Layout::Gpt, 1, "")).collect();
    // One directory for all of them, as on a real host: made by the first, removed by the last.
    let home = tempfile::tempdir().unwrap();
    let volumes = home.path().join("volumes");
    let run_dir = home.path().join("run");
    for disk in &mut disks {
        disk.run_dir = run_dir.clone();
    }
    let handles: Vec<_> = disks
        .iter()
        .enumerate()
        .map(|(number, disk)| {
            let mut job = disk.job(vec![inline(&[&format!("sleep 0.{number}; echo {number} > /number; sync")])]);
            job.chroot.mount_path = Late(format!("{}/{{{{.Device}}}}", volumes.display()));
            disk.start(&job)
        })
        .collect();
    for (number, (handle, disk)) in handles.into_iter().zip(&disks).enumerate() {
        let run = Run::new(handle.reports().iter().collect());
        handle.wait().unwrap();
        assert_eq!(run.done().device, disk.device);
        assert_eq!(disk.inspect("cat number"), number.to_string());
    }
    assert_eq!(fs::read_dir(&run_dir).unwrap().count(), 0);
    assert!(!volumes.exists(), "the directory that they shared is left");
    disks.iter().for_each(Disk::assert_nothing_left);
}

/// The directory above all mount points: one job makes it and is killed, another one is still in it.
#[test]
fn root_a_directory_that_a_killed_job_made_goes_with_the_last_one_in_it() {
    if skip(&[]) {
        return;
    }
    let mut disks = [Disk::new("ext4", Layout::Gpt, 1, ""), Disk::new("ext4", Layout::Gpt, 1, "")];
    let home = tempfile::tempdir().unwrap();
    let (volumes, run_dir) = (home.path().join("mnt/volumes"), home.path().join("run"));
    for disk in &mut disks {
        disk.run_dir = run_dir.clone();
    }
    let start = |disk: &Disk, line: &str| {
        let mut job = disk.job(vec![inline(&["echo in the middle", line])]);
        job.chroot.mount_path = Late(format!("{}/{{{{.Device}}}}", volumes.display()));
        let handle = disk.start(&job);
        let middle = |body: &ReportBody| matches!(body, ReportBody::Output { line, .. } if line == "in the middle");
        handle.reports().iter().find(|report| middle(&report.body)).unwrap();
        handle
    };
    let first = start(&disks[0], "sleep 1000");
    let second = start(&disks[1], "sleep 1000");
    sh(&format!("kill -9 {}", first.pid()));
    assert!(first.wait().is_err());
    // Its worker ends a moment after it.
    eventually("the killed job is cleared", || !bakehouse_agent::recover(&run_dir).unwrap().is_empty());
    let left: Vec<_> = fs::read_dir(&volumes).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, [Path::new(&disks[1].device).file_name().unwrap()]);
    second.cancel();
    second.wait().unwrap();
    assert!(!home.path().join("mnt").exists());
    assert_eq!(fs::read_dir(&run_dir).unwrap().count(), 0);
    eventually("the disk of the killed job is free", || {
        fs::File::options().read(true).custom_flags(nix::libc::O_EXCL).open(&disks[0].device).is_ok()
    });
}
