//! Processes that died, and calls that failed, before they had finished.

use std::{fs, path::PathBuf};

use pollster::FutureExt as _;

use super::fixture::{Dir, raw_disk, region, zone};
use crate::{
    Ec2,
    disks::{partial::Partial, process},
    model::{DiskId, Owner},
    request::{CreateSnapshot, CreateVolume},
    resource::{SnapshotState, Tags, VolumeState},
};

/// A process that has ended and been waited for.
fn dead_process() -> Owner {
    Owner { pid: u32::MAX, start: 1, ..process::current() }
}

#[test]
fn a_volume_whose_creator_died_is_created_again_for_its_token() {
    let dir = Dir::new();
    let cloud = dir.open();
    let request = CreateVolume { size: Some(1), client_token: Some("t".to_owned()), ..CreateVolume::new(zone()) };
    // As after a kill between reserving and finishing.
    let lost = cloud
        .change(|model, now| {
            let volume = model.create_volume(now, &region(), &request)?;
            model.hold_disk(now, &region(), &DiskId::Volume(volume.volume_id.clone()), dead_process())?;
            Ok(volume)
        })
        .unwrap();
    let partial = cloud.volume_path(&lost.volume_id).with_extension("raw.4294967295.1.0.partial");
    fs::write(&partial, "half").unwrap();
    let made = cloud.create_volume(&region(), request.clone()).block_on().unwrap();
    assert_ne!(made.volume_id, lost.volume_id);
    assert!(cloud.volume_path(&made.volume_id).exists());
    let again = cloud.create_volume(&region(), request).block_on().unwrap();
    assert_eq!((again.volume_id, again.state), (made.volume_id, VolumeState::Available));
    dir.open();
    assert!(!partial.exists());
}

#[test]
fn a_snapshot_whose_creator_died_is_in_state_error() {
    let dir = Dir::new();
    let cloud = dir.open();
    let volume = cloud.test_volume(None);
    let request = CreateSnapshot { volume_id: volume.volume_id, description: String::new(), tags: Tags::new() };
    cloud
        .change(|model, now| {
            let snapshot = model.create_snapshot(now, &region(), &request)?;
            model.hold_disk(now, &region(), &DiskId::Snapshot(snapshot.snapshot_id.clone()), dead_process())?;
            assert!(matches!(&model.held()[..], [(_, DiskId::Snapshot(_), _)]));
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
    // So that the copy can't be created.
    fs::remove_dir(dir.path().join("volumes")).unwrap();
    let mut request = CreateVolume::new(zone());
    request.snapshot_id = base.root_snapshot().cloned();
    request.client_token = Some("t".to_owned());
    let error = cloud.create_volume(&region(), request.clone()).block_on().unwrap_err();
    assert_eq!(error.code, crate::ApiError::LOCAL_DISK);
    assert!(error.message.starts_with("creating "), "{error}");
    assert!(error.message.contains("/volumes/vol-") && error.message.contains("No such file"), "{error}");
    assert!(cloud.everything().unwrap().iter().all(|it| it.volumes.is_empty()));
    fs::create_dir(dir.path().join("volumes")).unwrap();
    cloud.create_volume(&region(), request).block_on().unwrap();
}

#[test]
fn leftovers_are_found_and_removed() {
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

/// Killed after the copy, before the state was written: the file has both names. In an older state that was restored
/// the same volume is pending, too, but its file was finished long ago.
#[test]
fn a_volume_of_a_dead_process_is_removed_only_if_unfinished() {
    for finished in [false, true] {
        let dir = Dir::new();
        let cloud = dir.open();
        let volume = cloud.test_volume(None).volume_id;
        let disk = DiskId::Volume(volume.clone());
        cloud.change(|model, now| Ok(model.hold_disk(now, &region(), &disk, dead_process())?)).unwrap();
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
fn a_failed_change_keeps_disks_that_the_state_knows() {
    let dir = Dir::new();
    let cloud = dir.open();
    let known = cloud.test_import(&raw_disk(dir.path(), None), "base").unwrap().root_snapshot().unwrap().clone();
    let unknown = bakehouse_protocol::SnapshotId::new("snap-0123456789abcdef0").unwrap();
    let damage = || fs::write(dir.path().join("state.json"), "{").unwrap();
    for (id, damage, stays) in [(&known, None, true), (&unknown, None, false), (&unknown, Some(&damage), true)] {
        let disk = cloud.snapshot_path(id);
        let _ = fs::remove_file(&disk);
        let mut made = Partial::create(&disk, &process::current()).unwrap();
        made.link_to(&disk).unwrap();
        if let Some(damage) = damage {
            damage();
        }
        cloud.finish(vec![(DiskId::Snapshot(id.clone()), made)], false);
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

/// Killed after the state was written, before the file was removed; or before the state with a new resource was
/// written.
#[test]
fn files_that_a_dead_process_left_are_removed_on_open() {
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
