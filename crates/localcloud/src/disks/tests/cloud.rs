//! Images, volumes and snapshots as files.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
};

use bakehouse_protocol::Region;
use pollster::FutureExt as _;

use super::fixture::{Dir, raw_disk, region, settings};
use crate::{
    Ec2,
    disks::{LocalCloud, LocalError, changed_bytes, copy::GIB},
    request::{CopyImage, CreateSnapshot, DeleteVolume, DescribeImages, RegisterImage},
    resource::{BlockDeviceMapping, EbsBlockDevice, Tags, VolumeState},
};

/// Base image in, volume, snapshot, image, copy, and everything out again: the files follow the records.
#[test]
fn files_follow_the_records() {
    let dir = Dir::new();
    let cloud = dir.open();
    let raw = raw_disk(dir.path(), None);
    File::options().write(true).open(&raw).unwrap().write_all_at(b"hello", 4096).unwrap();
    let base = cloud.test_import(&raw, "base").unwrap();
    let base_file = cloud.snapshot_path(base.root_snapshot().unwrap());
    assert_eq!(fs::metadata(&base_file).unwrap().len(), GIB);
    assert_eq!(fs::metadata(&base_file).unwrap().mode() & 0o222, 0, "a snapshot is never written again");

    let volume = cloud.test_volume(Some(&base));
    assert_eq!(cloud.test_describe(&volume.volume_id).state, VolumeState::Available);
    let volume_file = cloud.volume_path(&volume.volume_id);
    File::options().write(true).open(&volume_file).unwrap().write_all_at(b"there", 8 << 20).unwrap();
    let request = CreateSnapshot { volume_id: volume.volume_id.clone(), description: String::new(), tags: Tags::new() };
    let snapshot = cloud.create_snapshot(&region(), request).block_on().unwrap();
    let file = cloud.snapshot_path(&snapshot.snapshot_id);
    assert_eq!(changed_bytes(&base_file, &file).unwrap(), 64 * 1024);

    cloud.delete_volume(&region(), DeleteVolume { volume_id: volume.volume_id.clone() }).block_on().unwrap();
    assert!(!volume_file.exists());

    let mapping = BlockDeviceMapping {
        device_name: "/dev/sda1".to_owned(),
        ebs: Some(EbsBlockDevice { snapshot_id: Some(snapshot.snapshot_id.clone()), ..Default::default() }),
        ..Default::default()
    };
    let request =
        RegisterImage { name: "child".to_owned(), block_device_mappings: vec![mapping], ..Default::default() };
    let image = cloud.register_image(&region(), request).block_on().unwrap();
    let there = Region::new("eu-west-1").unwrap();
    let copy = cloud.copy_image(&there, CopyImage::new("child", image.clone(), region())).block_on().unwrap();
    let request = DescribeImages { image_ids: vec![copy.clone()], ..Default::default() };
    let copied = cloud.describe_images(&there, request).block_on().unwrap().remove(0);
    let copied_file = cloud.snapshot_path(copied.root_snapshot().unwrap());
    assert_ne!(copied_file, file);
    assert_eq!(fs::metadata(&copied_file).unwrap().ino(), fs::metadata(&file).unwrap().ino());

    cloud.remove(&image).unwrap();
    assert!(!file.exists() && copied_file.exists());
    let exported = dir.path().join("out.raw");
    cloud.export(&copy, &exported).unwrap();
    assert_eq!(changed_bytes(&copied_file, &exported).unwrap(), 0);
    cloud.remove(&copy).unwrap();
    assert!(!copied_file.exists());
    assert_eq!(cloud.leftovers().unwrap(), []);
}

#[test]
fn a_disk_that_is_empty_or_broken_is_refused() {
    let dir = Dir::new();
    let cloud = dir.open();
    let path = dir.path().join("x");
    fs::write(&path, "").unwrap();
    let error = cloud.test_import(&path, "base").unwrap_err().to_string();
    assert_eq!(error, format!("{} is empty", path.display()));
    fs::write(&path, b"QFI\xfb....").unwrap();
    let error = cloud.test_import(&path, "base").unwrap_err();
    assert!(matches!(error, LocalError::Program { program: "qemu-img", .. }), "{error}");
    fs::write(&path, "x").unwrap();
    cloud.test_import(&path, "base").unwrap();
    let error = cloud.test_import(&path, "base").unwrap_err();
    assert!(matches!(error, LocalError::Api(error) if error.code == "InvalidAMIName.Duplicate"));
    assert_eq!(cloud.leftovers().unwrap(), []);
}

#[test]
fn qcow2_is_imported_and_exported_unless_it_has_a_backing_file() {
    if std::process::Command::new("qemu-img").arg("--version").output().is_err() {
        println!("SKIP qcow2_is_imported_and_exported_unless_it_has_a_backing_file: qemu-img is not installed");
        return;
    }
    let dir = Dir::new();
    let raw = raw_disk(dir.path(), None);
    let cloud = dir.open();
    let first = cloud.test_import(&raw, "raw").unwrap();
    let out = dir.path().join("out.qcow2");
    cloud.export(&first.image_id, &out).unwrap();
    let again = cloud.test_import(&out, "again").unwrap();
    let path = |image: &crate::resource::Image| cloud.snapshot_path(image.root_snapshot().unwrap());
    assert_eq!(changed_bytes(&path(&first), &path(&again)).unwrap(), 0);
    let dependent = dir.path().join("dependent.qcow2");
    let made = std::process::Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .args([&raw, &dependent])
        .status();
    assert!(made.unwrap().success());
    let error = cloud.test_import(&dependent, "dependent").unwrap_err().to_string();
    assert!(error.contains("depends on another file"), "{error}");
    assert_eq!(cloud.leftovers().unwrap(), []);
}

#[test]
fn an_unchanged_state_is_read_back_and_not_rewritten() {
    let dir = Dir::new();
    let raw = raw_disk(dir.path(), None);
    let cloud = dir.open();
    let image = cloud.test_import(&raw, "base").unwrap();
    drop(cloud);
    let before = fs::metadata(dir.path().join("state.json")).unwrap().ino();
    let cloud = dir.open();
    assert_eq!(cloud.find_image(&image.image_id).unwrap(), (region(), image));
    assert_eq!(fs::metadata(dir.path().join("state.json")).unwrap().ino(), before);
}

#[test]
fn a_directory_that_cannot_be_created_is_named() {
    let dir = Dir::new();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = LocalCloud::open(&dir.path().join("file/cloud"), settings()).unwrap_err();
    assert!(error.to_string().contains("creating") && error.to_string().ends_with("file/cloud"), "{error}");
}

#[test]
fn eight_threads_share_a_directory() {
    let dir = Dir::new();
    let base = dir.open().test_import(&raw_disk(dir.path(), None), "base").unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (dir, base) = (&dir, &base);
            scope.spawn(move || {
                // Its own lock file handle and view, as another process has.
                let cloud = dir.open();
                for _ in 0..3 {
                    let volume = cloud.test_volume(Some(base)).volume_id;
                    let request =
                        CreateSnapshot { volume_id: volume.clone(), description: format!("{n}"), tags: Tags::new() };
                    cloud.create_snapshot(&region(), request).block_on().unwrap();
                    cloud.delete_volume(&region(), DeleteVolume { volume_id: volume }).block_on().unwrap();
                }
            });
        }
    });
    let cloud = dir.open();
    let everything = cloud.everything().unwrap();
    assert_eq!(everything.iter().map(|it| it.snapshots.len()).sum::<usize>(), 1 + 8 * 3);
    assert!(everything.iter().all(|it| it.volumes.is_empty()));
    assert_eq!(cloud.leftovers().unwrap(), []);
}
