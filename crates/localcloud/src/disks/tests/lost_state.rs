//! A state that is damaged or lost, and disks that it does not know.

use std::{fs, path::PathBuf};

use bakehouse_protocol::Region;
use pollster::FutureExt as _;

use super::fixture::{Dir, raw_disk, region, settings, zone};
use crate::{
    Ec2,
    disks::{LocalCloud, LocalError, Settings, changed_bytes},
    request::{CopyImage, CreateSnapshot, CreateVolume, DeleteVolume},
    resource::Tags,
};

/// A directory whose state has been lost, and the disks of a snapshot and of a volume in it.
fn lost_state() -> (Dir, Vec<PathBuf>) {
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
fn unknown_disks_are_kept_until_their_removal_is_requested() {
    let (dir, disks) = lost_state();
    // Another process has another seed.
    let cloud = LocalCloud::open(dir.path(), Settings { seed: 8, ..settings() }).unwrap();
    // Neither a change nor a sweep removes them.
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

/// Runs a hint's last line in a shell.
fn run_hint(error: &LocalError) {
    let hint = error.hint().unwrap();
    let command = hint.lines().last().unwrap();
    assert!(std::process::Command::new("sh").args(["-c", command]).status().unwrap().success(), "{hint}");
}

#[test]
fn the_hint_of_a_lost_state_restores_it() {
    for what in ["damaged", "gone"] {
        let dir = Dir(tempfile::Builder::new().prefix("it's a state ").tempdir().unwrap());
        let raw = raw_disk(dir.path(), None);
        let cloud = dir.open();
        let old = cloud.test_import(&raw, "old").unwrap();
        let new = cloud.test_import(&raw, "new").unwrap();
        let state = dir.path().join("state.json");
        if what == "gone" { fs::remove_file(state) } else { fs::write(state, "{") }.unwrap();

        // The process that has it open reports the same as one that opens it.
        let error = cloud.everything().unwrap_err();
        assert_eq!(error.hint(), LocalCloud::open(dir.path(), settings()).unwrap_err().hint(), "{what}");
        drop(cloud);
        run_hint(&error);

        let cloud = LocalCloud::open(dir.path(), Settings { seed: 8, ..settings() }).unwrap();
        assert!(cloud.find_image(&old.image_id).is_ok(), "{what}");
        assert!(cloud.find_image(&new.image_id).is_err(), "{what}");
        let lost = cloud.snapshot_path(new.root_snapshot().unwrap());
        assert_eq!(cloud.unknown_disks().unwrap(), std::slice::from_ref(&lost), "{what}");
        // The lost resources' ids are not used again.
        let third = cloud.test_import(&raw, "third").unwrap();
        assert_ne!(third.image_id, new.image_id, "{what}");
        assert_ne!(third.root_snapshot(), new.root_snapshot(), "{what}");
        assert_eq!(cloud.unknown_disks().unwrap(), [lost], "{what}");
    }
}

#[test]
fn with_both_states_damaged_the_disks_stay() {
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

/// As after an older state was restored: disks that it knows were removed since.
#[test]
fn a_missing_disk_is_named_and_its_image_can_be_removed() {
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
    assert_eq!(cloud.create_volume(&region(), from).block_on().unwrap_err().message, gone);
    let there = Region::new("eu-west-1").unwrap();
    let copy = CopyImage::new("copy", base.image_id.clone(), region());
    assert_eq!(cloud.copy_image(&there, copy).block_on().unwrap_err().message, gone);
    let error = cloud.export(&base.image_id, &dir.path().join("out.raw")).unwrap_err();
    assert_eq!(error.to_string(), gone);
    assert!(error.hint().unwrap().contains("local rm"));
    let request = CreateSnapshot { volume_id: volume.clone(), description: String::new(), tags: Tags::new() };
    let error = cloud.create_snapshot(&region(), request).block_on().unwrap_err().message;
    assert_eq!(error, format!("the disk {} is gone", cloud.volume_path(&volume).display()));

    cloud.remove(&base.image_id).unwrap();
    cloud.delete_volume(&region(), DeleteVolume { volume_id: volume }).block_on().unwrap();
    assert!(cloud.everything().unwrap().iter().all(|it| it.images.is_empty() && it.snapshots.is_empty()));
}
