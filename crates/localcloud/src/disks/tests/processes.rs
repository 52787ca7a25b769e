//! Several processes on one directory, some of them killed. Each test skips with a reason where it can't run.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use bakehouse_protocol::VolumeId;
use pollster::FutureExt as _;

use super::fixture::{Dir, Mounted, can, region, run, settings};
use crate::{
    Ec2,
    disks::{LocalCloud, device},
    request::DeleteVolume,
    resource::{AttachmentState, VolumeState},
};

/// What the tests below run as a child process.
#[test]
fn child_that_attaches_and_waits() {
    let (Ok(dir), Ok(n)) = (std::env::var("BAKEHOUSE_TEST_DIR"), std::env::var("BAKEHOUSE_TEST_N")) else {
        return;
    };
    let cloud = LocalCloud::open(Path::new(&dir), settings()).unwrap();
    let volume = cloud.test_volume(None).volume_id;
    let device = cloud.test_attach(&volume, &format!("/dev/sd{n}")).unwrap();
    println!("\nATTACHED {volume} {}", device.display());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    cloud.test_detach(&volume);
    cloud.delete_volume(&region(), DeleteVolume { volume_id: volume }).block_on().unwrap();
}

struct Process(Child, VolumeId, PathBuf);

impl Process {
    fn start(dir: &Path, n: char) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "disks::tests::processes::child_that_attaches_and_waits", "--nocapture"])
            .env("BAKEHOUSE_TEST_DIR", dir)
            .env("BAKEHOUSE_TEST_N", n.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut this = Self(child, VolumeId::new("vol-ffffffff").unwrap(), PathBuf::new());
        let mut lines = BufReader::new(this.0.stdout.take().unwrap()).lines();
        let line = lines.find_map(|it| it.unwrap().strip_prefix("ATTACHED ").map(str::to_owned)).unwrap();
        let (volume, device) = line.split_once(' ').unwrap();
        this.1 = VolumeId::new(volume).unwrap();
        this.2 = PathBuf::from(device);
        // Reads on, so that the child never writes into a closed pipe.
        std::thread::spawn(move || lines.count());
        this
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn root_kill_9_frees_the_device_and_the_next_open_records_it() {
    if !can(&[]) {
        return;
    }
    let dir = Dir::new();
    let process = Process::start(dir.path(), 'f');
    let volume = process.1.clone();
    let cloud = dir.open();
    assert_eq!(cloud.test_describe(&volume).state, VolumeState::InUse);
    assert_eq!(cloud.test_detach(&volume), AttachmentState::Busy, "the other one has it open");
    drop(process);
    assert_eq!(device::loops_under(dir.path()), []);
    let cloud = dir.open();
    assert_eq!(cloud.test_describe(&volume).state, VolumeState::Available);
    assert!(fs::symlink_metadata(cloud.link_path(&volume)).is_err());
    cloud.delete_volume(&region(), DeleteVolume { volume_id: volume }).block_on().unwrap();
    assert_eq!(cloud.leftovers().unwrap(), []);
}

#[test]
fn root_a_mounted_volume_of_a_killed_process_stays_attached() {
    if !can(&["mkfs.ext4"]) {
        return;
    }
    let dir = Dir::new();
    let process = Process::start(dir.path(), 'f');
    let (volume, device) = (process.1.clone(), process.2.clone());
    run("mkfs.ext4", &["-q", device.to_str().unwrap()]);
    let mounted = Mounted::new(&device, dir.path().join("mnt"));
    drop(process);
    let cloud = dir.open();
    assert_eq!(cloud.test_describe(&volume).state, VolumeState::InUse);
    let left = cloud.leftovers().unwrap();
    assert_eq!(left.len(), 2, "device and link: {left:?}");
    let error = cloud.remove_leftover(&left[0]).unwrap_err().to_string();
    assert!(error.contains("in use: mounted at") && error.contains("/mnt"), "{error}");
    drop(mounted);
    // Unmounting was the last use, so the device has freed itself; the next open records it.
    let cloud = dir.open();
    assert_eq!(cloud.test_describe(&volume).state, VolumeState::Available);
    assert_eq!(cloud.leftovers().unwrap(), []);
}

#[test]
fn root_eight_processes_share_a_directory() {
    if !can(&[]) {
        return;
    }
    let dir = Dir::new();
    dir.open();
    let mut processes: Vec<Process> = std::thread::scope(|scope| {
        let all: Vec<_> =
            ('f'..='m').map(|n| (n, dir.path())).map(|(n, dir)| scope.spawn(move || Process::start(dir, n))).collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let mut devices: Vec<_> = processes.iter().map(|it| it.2.clone()).collect();
    devices.sort();
    devices.dedup();
    assert_eq!(devices.len(), 8);
    for process in &mut processes {
        drop(process.0.stdin.take());
        assert!(process.0.wait().unwrap().success());
    }
    let cloud = dir.open();
    assert!(cloud.everything().unwrap().iter().all(|it| it.volumes.is_empty()));
    assert_eq!(cloud.leftovers().unwrap(), []);
    assert_eq!(device::loops_under(dir.path()), []);
}
