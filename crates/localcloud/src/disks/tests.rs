//! Files, state and copies: nothing here needs root.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use bakehouse_protocol::Region;

use super::{
    LocalCloud, LocalError, Settings, changed_bytes,
    copy::{GIB, Partial, Reading, partial_of},
    fixture::{Dir, raw_disk, region, settings, zone},
    process,
};
use crate::{
    Ec2,
    model::{Held, Owner},
    request::{CopyImage, CreateSnapshot, CreateVolume, DeleteVolume, DescribeImages, RegisterImage},
    resource::{BlockDeviceMapping, EbsBlockDevice, SnapshotState, Tags, VolumeState},
};

/// A process that has ended and been waited for.
fn dead() -> Owner {
    Owner { pid: u32::MAX, start: 1, ..process::myself() }
}

fn blocks(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn a_copy_keeps_content_size_and_holes() {
    let dir = Dir::new();
    let source = File::options().create_new(true).read(true).write(true).open(dir.path().join("a")).unwrap();
    source.set_len(256 << 20).unwrap();
    source.write_all_at(b"begin", 0).unwrap();
    source.write_all_at(&[7; 100_000], 77_777_777).unwrap();
    source.write_all_at(&[0; 1 << 20], 10 << 20).unwrap();
    for reading in [Reading::Data, Reading::Content] {
        let target = dir.path().join(format!("{reading:?}"));
        let partial = Partial::create(&target, &process::myself()).unwrap();
        partial.fill(&source, 300 << 20, reading).unwrap();
        assert!(!target.exists());
        partial.keep(&target).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().len(), 300 << 20);
        assert_eq!(changed_bytes(&dir.path().join("a"), &target).unwrap(), 0);
        assert!(blocks(&target) < 4 << 20, "{reading:?}: {} bytes are in use", blocks(&target));
        if reading == Reading::Content {
            assert!(blocks(&target) < 1 << 20, "zeroes became data");
        }
    }
}

#[test]
fn changed_bytes_counts_blocks_that_differ_wherever_the_data_is() {
    let dir = Dir::new();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let make = |path: &Path| {
        let file = File::options().create_new(true).read(true).write(true).open(path).unwrap();
        file.set_len(GIB).unwrap();
        file
    };
    let (file_a, file_b) = (make(&a), make(&b));
    assert_eq!(changed_bytes(&a, &b).unwrap(), 0);
    // One block in one, one in the other, one that is equal, one across a boundary (two blocks).
    file_a.write_all_at(b"x", 5 << 20).unwrap();
    file_b.write_all_at(b"x", 900 << 20).unwrap();
    file_a.write_all_at(b"same", 100 << 20).unwrap();
    file_b.write_all_at(b"same", 100 << 20).unwrap();
    file_b.write_all_at(b"xx", (200 << 20) + (64 << 10) - 1).unwrap();
    assert_eq!(changed_bytes(&a, &b).unwrap(), 4 * 64 * 1024);
    assert_eq!(changed_bytes(&b, &a).unwrap(), 4 * 64 * 1024);
}

#[test]
fn a_partial_file_tells_its_process_and_goes_when_it_is_given_up() {
    let dir = Dir::new();
    let owner = process::myself();
    let partial = Partial::create(&dir.path().join("vol-0.raw"), &owner).unwrap();
    let path = partial.path().to_owned();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(partial_of(name), Some(("vol-0.raw", owner.pid, owner.start)));
    assert_eq!(partial_of("vol-0.raw"), None);
    drop(partial);
    assert!(!path.exists());
}

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
    let snapshot = cloud.create_snapshot(&region(), request).unwrap();
    let file = cloud.snapshot_path(&snapshot.snapshot_id);
    assert_eq!(changed_bytes(&base_file, &file).unwrap(), 64 * 1024);

    cloud.delete_volume(&region(), DeleteVolume { volume_id: volume.volume_id.clone() }).unwrap();
    assert!(!volume_file.exists());

    let mapping = BlockDeviceMapping {
        device_name: "/dev/sda1".to_owned(),
        ebs: Some(EbsBlockDevice { snapshot_id: Some(snapshot.snapshot_id.clone()), ..Default::default() }),
        ..Default::default()
    };
    let request =
        RegisterImage { name: "child".to_owned(), block_device_mappings: vec![mapping], ..Default::default() };
    let image = cloud.register_image(&region(), request).unwrap();
    let there = Region::new("eu-west-1").unwrap();
    let copy = cloud.copy_image(&there, CopyImage::new("child", image.clone(), region())).unwrap();
    let request = DescribeImages { image_ids: vec![copy.clone()], ..Default::default() };
    let copied = cloud.describe_images(&there, request).unwrap().remove(0);
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
fn a_qcow2_goes_in_and_out_unless_it_leans_on_another_file() {
    if std::process::Command::new("qemu-img").arg("--version").output().is_err() {
        println!("SKIP a_qcow2_goes_in_and_out_unless_it_leans_on_another_file: qemu-img is not installed");
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
    let leaning = dir.path().join("leaning.qcow2");
    let made = std::process::Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .args([&raw, &leaning])
        .status();
    assert!(made.unwrap().success());
    let error = cloud.test_import(&leaning, "leaning").unwrap_err().to_string();
    assert!(error.contains("leans on another file"), "{error}");
    assert_eq!(cloud.leftovers().unwrap(), []);
}

#[test]
fn the_state_outlives_the_process_and_is_not_written_when_nothing_changes() {
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
fn a_volume_whose_maker_died_is_made_anew_for_the_same_token() {
    let dir = Dir::new();
    let cloud = dir.open();
    let request = CreateVolume { size: Some(1), client_token: Some("t".to_owned()), ..CreateVolume::new(zone()) };
    // As after a kill between reserving and finishing.
    let lost = cloud
        .change(|model, now| {
            let volume = model.create_volume(now, &region(), &request)?;
            model.hold_volume(now, &region(), &volume.volume_id, dead())?;
            Ok(volume)
        })
        .unwrap();
    let partial = cloud.volume_path(&lost.volume_id).with_extension("raw.4294967295.1.0.partial");
    fs::write(&partial, "half").unwrap();
    let made = cloud.create_volume(&region(), request.clone()).unwrap();
    assert_ne!(made.volume_id, lost.volume_id);
    assert!(cloud.volume_path(&made.volume_id).exists());
    let again = cloud.create_volume(&region(), request).unwrap();
    assert_eq!((again.volume_id, again.state), (made.volume_id, VolumeState::Available));
    dir.open();
    assert!(!partial.exists());
}

#[test]
fn a_snapshot_whose_maker_died_is_an_error() {
    let dir = Dir::new();
    let cloud = dir.open();
    let volume = cloud.test_volume(None);
    let request = CreateSnapshot { volume_id: volume.volume_id, description: String::new(), tags: Tags::new() };
    cloud
        .change(|model, now| {
            let snapshot = model.create_snapshot(now, &region(), &request)?;
            model.hold_snapshot(now, &region(), &snapshot.snapshot_id, dead())?;
            assert!(matches!(&model.held()[..], [(_, Held::Snapshot(_), _)]));
            Ok(())
        })
        .unwrap();
    let cloud = dir.open();
    let all = cloud.everything().unwrap();
    let snapshot = all.iter().flat_map(|it| &it.snapshots).next().unwrap();
    assert_eq!(snapshot.state, SnapshotState::Error);
    assert!(snapshot.state_message.as_ref().unwrap().contains("ended while it was copying"));
}

#[test]
fn a_copy_that_fails_leaves_neither_record_nor_file() {
    let dir = Dir::new();
    let cloud = dir.open();
    let base = cloud.test_import(&raw_disk(dir.path(), None), "base").unwrap();
    // In the way of the half-written file.
    fs::remove_dir(dir.path().join("volumes")).unwrap();
    let mut request = CreateVolume::new(zone());
    request.snapshot_id = base.root_snapshot().cloned();
    request.client_token = Some("t".to_owned());
    let error = cloud.create_volume(&region(), request.clone()).unwrap_err();
    assert_eq!(error.code, crate::ApiError::LOCAL_DISK);
    assert!(error.message.starts_with("creating "), "{error}");
    assert!(error.message.contains("/volumes/vol-") && error.message.contains("No such file"), "{error}");
    assert!(cloud.everything().unwrap().iter().all(|it| it.volumes.is_empty()));
    fs::create_dir(dir.path().join("volumes")).unwrap();
    cloud.create_volume(&region(), request).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = Dir::new();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = LocalCloud::open(&dir.path().join("file/cloud"), settings()).unwrap_err();
    assert!(error.to_string().contains("creating") && error.to_string().ends_with("file/cloud"), "{error}");
}

#[test]
fn eight_threads_that_share_a_directory_do_not_lose_anything() {
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
                    cloud.create_snapshot(&region(), request).unwrap();
                    cloud.delete_volume(&region(), DeleteVolume { volume_id: volume }).unwrap();
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

#[test]
fn what_is_left_behind_is_found_and_removed() {
    let dir = Dir::new();
    let cloud = dir.open();
    let partial = dir.path().join("snapshots/snap-0123456789abcdef0.raw.4294967295.1.0.partial");
    fs::write(&partial, "").unwrap();
    let link = cloud.by_id().join("nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0");
    std::os::unix::fs::symlink("/dev/loop0", &link).unwrap();
    let left = cloud.leftovers().unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    for leftover in &left {
        cloud.remove_leftover(leftover).unwrap();
    }
    assert_eq!(cloud.leftovers().unwrap(), []);
    assert!(!partial.exists() && fs::symlink_metadata(&link).is_err());
}

/// A directory whose state has been lost, and the disks of a snapshot and of a volume in it.
fn forgotten() -> (Dir, Vec<PathBuf>) {
    let dir = Dir::new();
    let cloud = dir.open();
    let base = cloud.test_import(&raw_disk(dir.path(), None), "base").unwrap();
    let volume = cloud.test_volume(Some(&base)).volume_id;
    let disks = vec![cloud.snapshot_path(base.root_snapshot().unwrap()), cloud.volume_path(&volume)];
    drop(cloud);
    for name in ["state.json", "state.json.1"] {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    (dir, disks)
}

#[test]
fn disks_that_the_state_does_not_know_are_kept_until_they_are_asked_away() {
    let (dir, disks) = forgotten();
    // Another process has another seed.
    let cloud = LocalCloud::open(dir.path(), Settings { seed: 8, ..settings() }).unwrap();
    // A change, and what a sweep does.
    let known = cloud.test_import(&raw_disk(dir.path(), None), "another").unwrap();
    assert_eq!(cloud.leftovers().unwrap(), []);
    dir.open();
    assert_eq!(cloud.unknown_disks().unwrap(), disks);
    assert!(disks.iter().all(|path| path.exists()));

    let again = cloud.test_import(&disks[0], "again").unwrap();
    assert_eq!(changed_bytes(&cloud.snapshot_path(again.root_snapshot().unwrap()), &disks[0]).unwrap(), 0);
    let known = cloud.snapshot_path(known.root_snapshot().unwrap());
    let error = cloud.remove_unknown(&known).unwrap_err();
    assert!(matches!(error, LocalError::Known { .. }) && known.exists(), "{error}");
    for disk in &disks {
        cloud.remove_unknown(disk).unwrap();
        assert!(!disk.exists());
    }
    assert_eq!(cloud.unknown_disks().unwrap(), [] as [PathBuf; 0]);
}

/// Types a hint's last line into a shell.
fn follow(error: &LocalError) {
    let hint = error.hint().unwrap();
    let command = hint.lines().last().unwrap();
    assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success(), "{hint}");
}

#[test]
fn a_state_that_is_damaged_or_gone_is_put_back_as_the_error_says_and_nothing_is_lost() {
    for what in ["damaged", "gone"] {
        let dir = Dir(tempfile::Builder::new().prefix("it's a state ").tempdir().unwrap());
        let raw = raw_disk(dir.path(), None);
        let cloud = dir.open();
        let old = cloud.test_import(&raw, "old").unwrap();
        let new = cloud.test_import(&raw, "new").unwrap();
        let state = dir.path().join("state.json");
        if what == "gone" { fs::remove_file(state) } else { fs::write(state, "{") }.unwrap();

        // Whoever has it open is told, and so is whoever opens it.
        let error = cloud.everything().unwrap_err();
        assert_eq!(error.hint(), LocalCloud::open(dir.path(), settings()).unwrap_err().hint(), "{what}");
        drop(cloud);
        follow(&error);

        let cloud = LocalCloud::open(dir.path(), Settings { seed: 8, ..settings() }).unwrap();
        assert!(cloud.find_image(&old.image_id).is_ok(), "{what}");
        assert!(cloud.find_image(&new.image_id).is_err(), "{what}");
        let lost = cloud.snapshot_path(new.root_snapshot().unwrap());
        assert_eq!(cloud.unknown_disks().unwrap(), std::slice::from_ref(&lost), "{what}");
        // What it made is not made once more under the same ids.
        let third = cloud.test_import(&raw, "third").unwrap();
        assert_ne!(third.image_id, new.image_id, "{what}");
        assert_ne!(third.root_snapshot(), new.root_snapshot(), "{what}");
        assert_eq!(cloud.unknown_disks().unwrap(), [lost], "{what}");
    }
}

#[test]
fn two_states_that_are_damaged_leave_the_disks_to_be_brought_in_again() {
    let dir = Dir::new();
    let cloud = dir.open();
    cloud.test_import(&raw_disk(dir.path(), None), "base").unwrap();
    drop(cloud);
    let (state, previous) = (dir.path().join("state.json"), dir.path().join("state.json.1"));
    fs::write(&state, "{").unwrap();
    fs::write(&previous, "").unwrap();
    let hint = || LocalCloud::open(dir.path(), settings()).unwrap_err().hint().unwrap();
    assert!(hint().starts_with(&format!("move {} away", state.display())), "{}", hint());
    fs::remove_file(&state).unwrap();
    assert!(hint().starts_with(&format!("{} is damaged", previous.display())), "{}", hint());
    fs::remove_file(&previous).unwrap();
    assert_eq!(dir.open().unknown_disks().unwrap().len(), 1);
}

/// As after an older state was put back: what it knows was removed since.
#[test]
fn a_disk_that_is_gone_is_named_when_it_is_used_and_its_image_can_be_removed() {
    let dir = Dir::new();
    let cloud = dir.open();
    let base = cloud.test_import(&raw_disk(dir.path(), None), "base").unwrap();
    let volume = cloud.test_volume(None).volume_id;
    let disk = cloud.snapshot_path(base.root_snapshot().unwrap());
    fs::remove_file(&disk).unwrap();
    fs::remove_file(cloud.volume_path(&volume)).unwrap();

    let gone = format!("the disk {} is gone", disk.display());
    let mut from = CreateVolume::new(zone());
    from.snapshot_id = base.root_snapshot().cloned();
    assert_eq!(cloud.create_volume(&region(), from).unwrap_err().message, gone);
    let there = Region::new("eu-west-1").unwrap();
    let copy = CopyImage::new("copy", base.image_id.clone(), region());
    assert_eq!(cloud.copy_image(&there, copy).unwrap_err().message, gone);
    let error = cloud.export(&base.image_id, &dir.path().join("out.raw")).unwrap_err();
    assert_eq!(error.to_string(), gone);
    assert!(error.hint().unwrap().contains("local rm"));
    let request = CreateSnapshot { volume_id: volume.clone(), description: String::new(), tags: Tags::new() };
    let error = cloud.create_snapshot(&region(), request).unwrap_err().message;
    assert_eq!(error, format!("the disk {} is gone", cloud.volume_path(&volume).display()));

    cloud.remove(&base.image_id).unwrap();
    cloud.delete_volume(&region(), DeleteVolume { volume_id: volume }).unwrap();
    assert!(cloud.everything().unwrap().iter().all(|it| it.images.is_empty() && it.snapshots.is_empty()));
}

#[test]
fn a_new_disk_never_takes_the_name_of_one_that_is_there() {
    let dir = Dir::new();
    let target = dir.path().join("snap-0.raw");
    fs::write(&target, "precious").unwrap();
    let mut partial = Partial::create(&target, &process::myself()).unwrap();
    let path = partial.path().to_owned();
    assert!(partial.name(&target).is_err());
    drop(partial);
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert!(!path.exists());
}

/// Killed after the copy, before the state was told: the file has both names. In an older state that was put back the same
/// volume is being made, too, but its file has been finished long since.
#[test]
fn a_volume_that_a_dead_process_was_making_goes_only_if_it_was_not_finished() {
    for finished in [false, true] {
        let dir = Dir::new();
        let cloud = dir.open();
        let volume = cloud.test_volume(None).volume_id;
        cloud.change(|model, now| Ok(model.hold_volume(now, &region(), &volume, dead())?)).unwrap();
        let disk = cloud.volume_path(&volume);
        let partial = disk.with_extension("raw.4294967295.1.0.partial");
        if !finished {
            fs::hard_link(&disk, &partial).unwrap();
        }
        let cloud = dir.open();
        assert!(cloud.everything().unwrap().iter().all(|it| it.volumes.is_empty()));
        assert_eq!(disk.exists(), finished);
        assert_eq!(cloud.unknown_disks().unwrap().contains(&disk), finished);
        assert!(!partial.exists());
    }
}

/// The state may have been written although the call that wrote it failed in the end.
#[test]
fn a_disk_that_the_state_knows_is_not_taken_back() {
    let dir = Dir::new();
    let cloud = dir.open();
    let known = cloud.test_import(&raw_disk(dir.path(), None), "base").unwrap().root_snapshot().unwrap().clone();
    let unknown = bakehouse_protocol::SnapshotId::new("snap-0123456789abcdef0").unwrap();
    let damage = || fs::write(dir.path().join("state.json"), "{").unwrap();
    for (id, damage, stays) in [(&known, None, true), (&unknown, None, false), (&unknown, Some(&damage), true)] {
        let disk = cloud.snapshot_path(id);
        let _ = fs::remove_file(&disk);
        let mut made = Partial::create(&disk, &process::myself()).unwrap();
        made.name(&disk).unwrap();
        if let Some(damage) = damage {
            damage();
        }
        cloud.finish(vec![(Held::Snapshot(id.clone()), made)], false);
        assert_eq!(disk.exists(), stays, "{id}");
        assert_eq!(
            fs::read_dir(disk.parent().unwrap())
                .unwrap()
                .filter(|it| { it.as_ref().unwrap().file_name().to_string_lossy().ends_with("partial") })
                .count(),
            0
        );
    }
}

/// Killed after the state was written, before the file was removed; or before the state of what it made was written.
#[test]
fn what_a_dead_process_was_to_remove_or_has_not_finished_goes() {
    let dir = Dir::new();
    let cloud = dir.open();
    let raw = raw_disk(dir.path(), None);
    let base = cloud.test_import(&raw, "base").unwrap();
    let disk = cloud.snapshot_path(base.root_snapshot().unwrap());
    cloud.remove(&base.image_id).unwrap();
    fs::write(&disk, "").unwrap();
    assert_eq!(cloud.unknown_disks().unwrap(), [] as [PathBuf; 0]);
    dir.open();
    assert!(!disk.exists());

    let imported = dir.path().join("snapshots/snap-0123456789abcdef0.raw");
    let partial = imported.with_extension("raw.4294967295.1.0.partial");
    fs::write(&partial, "").unwrap();
    fs::hard_link(&partial, &imported).unwrap();
    dir.open();
    assert!(!imported.exists() && !partial.exists());
}
