//! Real loop devices. Each test skips with a reason where it can't run.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use pollster::FutureExt as _;

use super::fixture::{Dir, Mounted, can, raw_disk, region, run, settings, zone};
use crate::{
    ApiError, Ec2,
    disks::{LocalCloud, Settings, copy::GIB, device},
    request::{CreateSnapshot, CreateVolume, DeleteVolume},
    resource::{AttachmentState, Tags, VolumeState},
};

const GPT: &str = "label: gpt\nstart=2048, size=20480, type=linux\nstart=24576, size=4096, type=uefi\n";
const MBR: &str = "label: dos\nstart=2048, size=20480, type=83\nstart=24576, size=40960, type=5\n\
                   start=26624, size=8192, type=83\n";

fn partition(device: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}p{number}", device.display()))
}

fn sectors(node: &Path) -> u64 {
    let name = node.file_name().unwrap().to_str().unwrap();
    let disk = name.split_once('p').map_or(name, |(loop_, rest)| {
        // "loop3p1": the first p is the one of "loop".
        let number = rest.split('p').next().unwrap();
        &name[..loop_.len() + 1 + number.len()]
    });
    let path = if disk == name { format!("/sys/block/{name}/size") } else { format!("/sys/block/{disk}/{name}/size") };
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

#[test]
fn root_an_attached_volume_has_its_partitions_until_detached() {
    if !can(&["sfdisk"]) {
        return;
    }
    for (script, expected) in
        [(Some(GPT), vec![(1, 20480), (2, 4096)]), (Some(MBR), vec![(1, 20480), (2, 2), (5, 8192)]), (None, vec![])]
    {
        let dir = Dir::new();
        let cloud = dir.open();
        let image = cloud.test_import(&raw_disk(dir.path(), script), "base").unwrap();
        let volume = cloud.test_volume(Some(&image)).volume_id;
        let device = cloud.test_attach(&volume, "/dev/sdf").unwrap();
        assert_eq!(cloud.test_describe(&volume).attachments[0].state, AttachmentState::Attached);
        assert_eq!(sectors(&device) * 512, GIB);
        for (number, size) in &expected {
            assert_eq!(sectors(&partition(&device, *number)), *size, "{script:?} {number}");
        }
        assert!(!partition(&device, 3).exists());
        assert_eq!(cloud.leftovers().unwrap(), [], "what is in use is not left over");

        assert_eq!(cloud.test_detach(&volume), AttachmentState::Detaching);
        assert_eq!(cloud.test_describe(&volume).state, VolumeState::Available);
        assert!(fs::symlink_metadata(cloud.link_path(&volume)).is_err());
        for (number, _) in &expected {
            assert!(!partition(&device, *number).exists());
        }
        assert_eq!(device::loops_under(dir.path()), []);
        cloud.delete_volume(&region(), DeleteVolume { volume_id: volume }).block_on().unwrap();
        assert_eq!(cloud.leftovers().unwrap(), []);
    }
}

#[test]
fn root_an_attached_volume_appears_under_its_device_name() {
    if !can(&["sfdisk"]) {
        return;
    }
    let dir = Dir::new();
    let dev = dir.path().join("dev");
    fs::create_dir(&dev).unwrap();
    let open = || {
        let settings = Settings { device_names: Some(dev.clone()), ..settings() };
        LocalCloud::open(dir.path(), settings).unwrap()
    };
    let names = || fs::read_dir(&dev).unwrap().count();
    let cloud = open();
    let image = cloud.test_import(&raw_disk(dir.path(), Some(GPT)), "base").unwrap();
    let volume = cloud.test_volume(Some(&image)).volume_id;
    let device = cloud.test_attach(&volume, "/dev/sdf").unwrap();
    assert_eq!(dev.join("xvdf").canonicalize().unwrap(), device);
    assert_eq!(dev.join("xvdf2").canonicalize().unwrap(), partition(&device, 2));
    assert!(!dev.join("xvdf3").exists(), "there is no third partition");
    assert_eq!(cloud.leftovers().unwrap(), []);
    cloud.test_detach(&volume);
    assert_eq!(names(), 0);

    // A file that is not ours stays.
    fs::write(dev.join("xvdg"), "real").unwrap();
    let error = cloud.test_attach(&volume, "/dev/sdg").unwrap_err();
    assert!(error.message.contains("creating"), "{error}");
    assert_eq!(fs::read_to_string(dev.join("xvdg")).unwrap(), "real");
    assert_eq!(device::loops_under(dir.path()), []);
    fs::remove_file(dev.join("xvdg")).unwrap();

    // Dropping the cloud removes the names; those of a process that was killed are removed by the next one.
    cloud.test_attach(&volume, "/dev/xvdh").unwrap();
    assert!(dev.join("xvdh1").exists());
    drop(cloud);
    assert_eq!(names(), 0);
    std::os::unix::fs::symlink(dir.path().canonicalize().unwrap().join("by-id/gone"), dev.join("xvdi")).unwrap();
    std::os::unix::fs::symlink("/dev/loop0p1", dev.join("xvdi1")).unwrap();
    std::os::unix::fs::symlink("/dev/loop0", dev.join("xvdj")).unwrap();
    drop(open());
    assert!(fs::symlink_metadata(dev.join("xvdi")).is_err() && fs::symlink_metadata(dev.join("xvdi1")).is_err());
    assert!(fs::symlink_metadata(dev.join("xvdj")).is_ok(), "not ours");
}

#[test]
fn root_a_snapshot_has_what_was_written_to_the_device() {
    if !can(&[]) {
        return;
    }
    let dir = Dir::new();
    let cloud = dir.open();
    let image = cloud.test_import(&raw_disk(dir.path(), None), "base").unwrap();
    let volume = cloud.test_volume(Some(&image)).volume_id;
    let device = cloud.test_attach(&volume, "/dev/sdf").unwrap();
    fs::File::options().write(true).open(&device).unwrap().write_all_at(b"written", 1 << 20).unwrap();
    let request = CreateSnapshot { volume_id: volume.clone(), description: String::new(), tags: Tags::new() };
    let snapshot = cloud.create_snapshot(&region(), request).block_on().unwrap();
    let read = |path: &Path| {
        let mut bytes = [0; 7];
        fs::File::open(path).unwrap().read_exact_at(&mut bytes, 1 << 20).unwrap();
        bytes
    };
    assert_eq!(&read(&cloud.snapshot_path(&snapshot.snapshot_id)), b"written");
    assert_eq!(read(&cloud.snapshot_path(image.root_snapshot().unwrap())), [0; 7]);
    cloud.test_detach(&volume);
}

#[test]
fn root_a_mounted_volume_is_busy_until_it_is_unmounted() {
    if !can(&["sfdisk", "mkfs.ext4"]) {
        return;
    }
    for script in [Some(GPT), None] {
        let dir = Dir::new();
        let cloud = dir.open();
        let image = cloud.test_import(&raw_disk(dir.path(), script), "base").unwrap();
        let volume = cloud.test_volume(Some(&image)).volume_id;
        let device = cloud.test_attach(&volume, "/dev/sdf").unwrap();
        let root = if script.is_some() { partition(&device, 1) } else { device.clone() };
        run("mkfs.ext4", &["-q", root.to_str().unwrap()]);
        let mounted = Mounted::new(&root, dir.path().join("mnt"));
        assert_eq!(cloud.test_detach(&volume), AttachmentState::Busy);
        let described = cloud.test_describe(&volume);
        assert_eq!((described.state, described.attachments[0].state), (VolumeState::InUse, AttachmentState::Busy));
        assert!(root.exists() && cloud.link_path(&volume).exists());
        let error = cloud.delete_volume(&region(), DeleteVolume { volume_id: volume.clone() }).block_on().unwrap_err();
        assert_eq!(error.code, "VolumeInUse");
        drop(mounted);
        assert_eq!(cloud.test_describe(&volume).state, VolumeState::Available);
        assert_eq!(device::loops_under(dir.path()), []);
    }
}

#[test]
fn root_a_mount_in_another_namespace_keeps_a_volume_busy() {
    if !can(&["mkfs.ext4", "unshare"]) {
        return;
    }
    let dir = Dir::new();
    let cloud = dir.open();
    let volume = cloud.test_volume(None).volume_id;
    let device = cloud.test_attach(&volume, "/dev/sdf").unwrap();
    run("mkfs.ext4", &["-q", device.to_str().unwrap()]);
    let at = dir.path().join("mnt");
    fs::create_dir(&at).unwrap();
    let script = format!("mount {} {} && echo ready && read x", device.display(), at.display());
    let mut child = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    assert_eq!(cloud.test_detach(&volume), AttachmentState::Busy);
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(cloud.test_detach(&volume), AttachmentState::Detaching);
}

#[test]
fn root_a_device_that_another_process_has_open_is_busy() {
    if !can(&["sleep"]) {
        return;
    }
    let dir = Dir::new();
    let cloud = dir.open();
    let volume = cloud.test_volume(None).volume_id;
    let device = cloud.test_attach(&volume, "/dev/sdf").unwrap();
    let mut child = Command::new("sleep").arg("60").stdin(fs::File::open(&device).unwrap()).spawn().unwrap();
    assert_eq!(cloud.test_detach(&volume), AttachmentState::Busy);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(cloud.test_detach(&volume), AttachmentState::Detaching);
}

#[test]
fn root_a_device_name_is_a_lock() {
    if !can(&[]) {
        return;
    }
    let dir = Dir::new();
    let cloud = dir.open();
    let (a, b) = (cloud.test_volume(None).volume_id, cloud.test_volume(None).volume_id);
    cloud.test_attach(&a, "/dev/sdf").unwrap();
    let error = cloud.test_attach(&b, "/dev/sdf").unwrap_err();
    assert_eq!(
        error.to_string(),
        "InvalidParameterValue: Invalid value '/dev/sdf' for unixDevice. Attachment point /dev/sdf is already in use"
    );
    cloud.test_attach(&b, "/dev/sdg").unwrap();
    drop(cloud);
    assert_eq!(device::loops_under(dir.path()), [], "attachments end with their process");
    assert_eq!(dir.open().test_describe(&a).state, VolumeState::Available);
}

#[test]
fn root_a_full_disk_is_named_and_nothing_is_left() {
    if !can(&["mount"]) {
        return;
    }
    let dir = Dir::new();
    let at = dir.path().join("small");
    fs::create_dir(&at).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=8m", "none", at.to_str().unwrap()]);
    let _mounted = Mounted(at.clone());
    let raw = raw_disk(dir.path(), None);
    let noise: Vec<u8> = (0..6 << 20).map(|n: u32| (n % 251) as u8 + 1).collect();
    fs::File::options().write(true).open(&raw).unwrap().write_all_at(&noise, 0).unwrap();
    let cloud = LocalCloud::open(&at, settings()).unwrap();
    let image = cloud.test_import(&raw, "base").unwrap();
    let mut request = CreateVolume::new(zone());
    request.snapshot_id = image.root_snapshot().cloned();
    let error: ApiError = cloud.create_volume(&region(), request).block_on().unwrap_err();
    assert_eq!(error.code, ApiError::LOCAL_DISK);
    assert!(error.message.contains("/small/volumes/vol-") && error.message.contains("No space left"), "{error}");
    assert_eq!(fs::read_dir(at.join("volumes")).unwrap().count(), 0);
    assert!(cloud.everything().unwrap().iter().all(|it| it.volumes.is_empty()));
    assert_eq!(cloud.leftovers().unwrap(), []);
}
