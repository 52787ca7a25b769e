//! The disk that the state is on has no room.

use std::fs;

use serde_json::json;

use crate::common::{Fixture, image_in, sh};

/// Puts the state on a disk of its own of this many MiB, and imports the base there.
fn small(fixture: &mut Fixture, mib: u32) {
    let state = fixture.state();
    fs::create_dir_all(&state).unwrap();
    sh(&format!("mount -t tmpfs -o size={mib}m small {}", state.display()));
    fixture.own_mounts.insert(state);
}

/// What the base takes on disk, rounded up, in MiB.
fn base_mib(fixture: &Fixture) -> u32 {
    let disks = fixture.state().join("cloud/snapshots");
    sh(&format!("du -sm {}", disks.display())).split_whitespace().next().unwrap().parse().unwrap()
}

fn bring_in(fixture: &Fixture) {
    let raw = fixture.path().join("base.raw");
    fixture.run(["local", "import", raw.to_str().unwrap(), "--name", "base"]).exits(0);
}

#[test]
fn root_no_room_for_the_volume() {
    let Some(mut fixture) = Fixture::open("root_no_room_for_the_volume") else { return };
    let size = base_mib(&fixture);
    small(&mut fixture, size + 1);
    bring_in(&fixture);
    let run = fixture.build(&fixture.shell(&["true"])).exits(1).says(&["No space left on device"]);
    let state = fixture.state();
    assert!(run.stderr.contains(state.to_str().unwrap()), "the path is not named:\n{}", run.stderr);
    fixture.nothing_left(0);
}

#[test]
fn root_no_room_for_what_a_provisioner_writes() {
    let Some(mut fixture) = Fixture::open("root_no_room_for_what_a_provisioner_writes") else { return };
    let size = base_mib(&fixture);
    small(&mut fixture, size * 2 + 8);
    bring_in(&fixture);
    // The image has room for this; the disk under it has not.
    let template = fixture.shell(&["dd if=/dev/urandom of=/fill bs=1M count=40", "sync"]);
    let run = fixture.build(&template);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    fixture.nothing_left(0);
    // With free space again, builds succeed again.
    let options = json!({ "ami_name": "after" });
    let run = fixture.build(&fixture.template("t.json", options, json!([]))).exits(0);
    assert!(image_in(&run.stdout, "us-east-1").starts_with("ami-"));
    fixture.nothing_left(1);
}
