//! Concurrent jobs, and jobs beside other activity on the host.

#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, os::unix::fs::OpenOptionsExt, path::Path, process::Command, time::Duration};

use bakehouse_protocol::{DeferredTemplate, ReportBody};
use support::{Disk, Layout, Run, eventually, inline, sh, skip};

/// A mount point that is unmounted, with everything below it, even when the test fails.
struct MountPoint(String);
impl Drop for MountPoint {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", "-R", &self.0]).output();
    }
}

#[test]
fn root_a_job_does_not_keep_the_hosts_disks_in_use() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    // Shared mounts, as on every host with systemd.
    let point = MountPoint(disk.dir.path().join("shared").display().to_string());
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
            // Repeated, as losetup of another test may use it for a moment. The job still runs.
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
    assert!(free, "the job keeps another disk in use");
    drop(point);
    Run::new(reports);
}

#[test]
fn root_eight_jobs_run_at_once() {
    if skip(&[]) {
        return;
    }
    let mut disks: Vec<Disk> = (0..8).map(|_| Disk::new("ext4", Layout::Gpt, 1, "")).collect();
    // They share one run directory, as on a real host.
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
            job.chroot.mount_path = DeferredTemplate(format!("{}/{{{{.Device}}}}", volumes.display()));
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
    assert!(!volumes.exists(), "it is created in the namespaces of the jobs only");
    disks.iter().for_each(Disk::assert_nothing_left);
}

/// The mount point does not exist on the host, so no other process can remove it: for example one that recovers a
/// killed job of the same mount path with another run directory.
#[test]
fn root_the_mount_point_exists_in_the_jobs_namespace_only() {
    if skip(&[]) {
        return;
    }
    let disks = [Disk::new("ext4", Layout::Gpt, 1, ""), Disk::new("ext4", Layout::Gpt, 1, "")];
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("mnt/volumes/root");
    fs::write(home.path().join("file"), "the host's").unwrap();
    let start = |disk: &Disk, lines: &[&str]| {
        let mut job = disk.job(vec![inline(&[&["echo in the middle"], lines].concat())]);
        job.chroot.mount_path = DeferredTemplate(path.display().to_string());
        let change_host = "cd {{.MountPath}}/../../..; cat file; echo changed > file; mkdir new; echo new > new/file";
        job.chroot.post_mount_commands = vec![DeferredTemplate(change_host.into())];
        let handle = disk.start(&job);
        let middle = |body: &ReportBody| matches!(body, ReportBody::Output { line, .. } if line == "in the middle");
        handle.reports().iter().find(|report| middle(&report.body)).unwrap();
        handle
    };
    let first = start(&disks[0], &["sleep 1000"]);
    assert_eq!(fs::read_to_string(home.path().join("file")).unwrap(), "changed\n", "existing files are the host's own");
    sh(&format!("kill -9 {}", first.pid()));
    assert!(first.wait().is_err());
    let second = start(&disks[1], &["sleep 1; echo done > /done"]);
    let on_host = || sh(&format!("ls {}", home.path().display()));
    assert_eq!(on_host(), "file");
    eventually("the killed job is recovered", || !bakehouse_agent::recover(&disks[0].run_dir).unwrap().is_empty());
    let run = Run::new(second.reports().iter().collect());
    second.wait().unwrap();
    run.done();
    assert_eq!(disks[1].inspect("cat done"), "done");
    // What a host command created beside it is on the host when the job has ended.
    assert_eq!(on_host(), "file\nnew");
    assert_eq!(fs::read_to_string(home.path().join("new/file")).unwrap(), "new\n");
    disks.iter().for_each(|disk| {
        eventually("its run directory is empty", || fs::read_dir(&disk.run_dir).unwrap().count() == 0)
    });
    disks.iter().for_each(Disk::assert_nothing_left);
}

/// An existing mount point is used as it is. For one in `/`, the tmpfs covers the root directory.
#[test]
fn root_mount_paths_may_exist_or_be_in_the_root_directory() {
    if skip(&[]) {
        return;
    }
    let disk = Disk::new("ext4", Layout::Gpt, 1, "");
    let existing = disk.dir.path().join("existing");
    fs::create_dir(&existing).unwrap();
    let top = format!("/bakehouse-test-{}", std::process::id());
    for path in [existing.display().to_string(), format!("{}/../existing", existing.display()), format!("{top}/root")] {
        let mut job = disk.job(vec![inline(&["echo inside"])]);
        job.chroot.mount_path = DeferredTemplate(path.clone());
        job.chroot.post_mount_commands =
            vec![DeferredTemplate("test -x {{.MountPath}}/bin/sh; test -d /usr; echo > /dev/null".into())];
        let run = disk.run(&job);
        run.done();
        assert_eq!(run.output(), ["inside"], "{path}");
        assert!(!Path::new(&top).exists(), "{path}");
    }
    assert!(existing.exists());
}
