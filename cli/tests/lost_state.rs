//! What becomes of images when the embedded cloud's state is damaged or lost.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use std::{os::unix::fs::MetadataExt as _, path::PathBuf, process::Command};

use common::User;
use insta::assert_snapshot;

/// A user with one image, and the file that its disk is in.
fn user_with_an_image() -> (User, PathBuf) {
    let user = User::new().with("disk.raw", "disk");
    assert!(user.sees(&["local", "import", "disk.raw", "--name", "base"]).starts_with("exit 0"));
    let mut disks = std::fs::read_dir(user.path().join("state/cloud/snapshots")).unwrap();
    let disk = disks.next().unwrap().unwrap().path();
    (user, disk)
}

#[test]
fn a_damaged_state_of_the_embedded_cloud_is_put_back_by_the_command_in_the_hint() {
    let (user, _) = user_with_an_image();
    let state = user.path().join("state/cloud/state.json");
    // One more change, so that the image is in the state before it.
    assert!(user.sees(&["local", "import", "disk.raw", "--name", "another"]).starts_with("exit 0"));
    std::fs::write(&state, "{").unwrap();
    let seen = user.sees(&["sweep"]);
    assert_snapshot!(seen, @r"
    exit 1
    --- stdout

    --- stderr
    error: can't open the embedded cloud in [DIR]/state/cloud
      because: reading [DIR]/state/cloud/state.json
      because: EOF while parsing an object at line 1 column 1
    hint: the state before the last change is kept beside it. This restores it; disks that it does not know stay, and `bakehouse sweep` lists them:
      mv [DIR]/state/cloud/state.json [DIR]/state/cloud/state.json.damaged && cp [DIR]/state/cloud/state.json.1 [DIR]/state/cloud/state.json
    ");
    let hint = seen.lines().last().unwrap().replace("[DIR]", &user.path().display().to_string());
    assert!(Command::new("sh").args(["-c", &hint]).status().unwrap().success());
    let listed = user.sees(&["local", "images"]);
    assert!(listed.contains(" base ") && !listed.contains("another"), "{listed}");

    std::fs::remove_file(&state).unwrap();
    let seen = user.sees(&["local", "images"]);
    assert!(seen.contains("state.json is gone") && seen.contains("  cp [DIR]/state/cloud/state.json.1 "), "{seen}");
}

#[test]
fn root_disks_that_the_state_does_not_know_go_when_they_are_asked_away_and_not_before() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP root_disks_that_the_state_does_not_know_go_when_they_are_asked_away_and_not_before: not root");
        return;
    }
    let (user, disk) = user_with_an_image();
    for name in ["state.json", "state.json.1"] {
        std::fs::remove_file(user.path().join("state/cloud").join(name)).unwrap();
    }
    // How much room it takes depends on the file system.
    let used = disk.metadata().unwrap().blocks() / 2;
    let blank = |seen: String| {
        let seen = seen.replace(disk.file_stem().unwrap().to_str().unwrap(), "[SNAP]");
        seen.replace(&format!("{used}.0 KiB"), "[SIZE]")
    };
    let all = [&["local", "images"][..], &["sweep"], &["sweep", "--yes"]].map(|command| blank(user.sees(command)));
    assert_snapshot!(all.join("\n\n"), @r"
    exit 0
    --- stdout

    --- stderr
    note: no images yet: `bakehouse local import` brings a disk in, a build with from_scratch makes one
    note: 1 disk in [DIR]/state/cloud that the state there does not know: kept, and listed by `bakehouse sweep`

    exit 0
    --- stdout
    unknown disk [DIR]/state/cloud/snapshots/[SNAP].raw ([SIZE])
    --- stderr
    note: 1 disk that the embedded cloud's state does not know: kept. `bakehouse local import DISK --name NAME` makes an image of one; `bakehouse sweep --yes --unknown-disks` removes them all
    nothing is left of killed runs in [DIR]/state

    exit 0
    --- stdout
    unknown disk [DIR]/state/cloud/snapshots/[SNAP].raw ([SIZE])
    --- stderr
    note: 1 disk that the embedded cloud's state does not know: kept. `bakehouse local import DISK --name NAME` makes an image of one; `bakehouse sweep --yes --unknown-disks` removes them all
    nothing was left of killed runs
    ");
    assert!(disk.exists());
    assert!(user.sees(&["sweep", "--unknown-disks"]).starts_with("exit 2"));
    let again = user.sees(&["local", "import", disk.to_str().unwrap(), "--name", "again"]);
    assert!(again.starts_with("exit 0"), "{again}");

    let gone = user.sees(&["sweep", "--yes", "--unknown-disks"]);
    assert!(gone.starts_with("exit 0") && gone.contains("removed disk"), "{gone}");
    assert!(!disk.exists());
    assert!(user.sees(&["local", "export", "again", "out.raw"]).starts_with("exit 0"));
    assert!(!user.sees(&["local", "images"]).contains("unknown"));
}
