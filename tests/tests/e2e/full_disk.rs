//! The disk that the state is on has no room.

use std::fs;

use serde_json::json;

use crate::common::{Kitchen, image_in, sh};

/// Puts the state on a disk of its own with so many MiB, imports the base there.
fn small(kitchen: &mut Kitchen, mib: u32) {
    let state = kitchen.state();
    fs::create_dir_all(&state).unwrap();
    sh(&format!("mount -t tmpfs -o size={mib}m small {}", state.display()));
    kitchen.own_mounts.insert(state);
}

/// What the base takes on disk, rounded up, in MiB.
fn base_mib(kitchen: &Kitchen) -> u32 {
    let disks = kitchen.state().join("cloud/snapshots");
    sh(&format!("du -sm {}", disks.display())).split_whitespace().next().unwrap().parse().unwrap()
}

fn bring_in(kitchen: &Kitchen) {
    let raw = kitchen.path().join("base.raw");
    kitchen.run(["local", "import", raw.to_str().unwrap(), "--name", "base"]).exits(0);
}

#[test]
fn root_no_room_for_the_volume() {
    let Some(mut kitchen) = Kitchen::open("root_no_room_for_the_volume") else { return };
    let size = base_mib(&kitchen);
    small(&mut kitchen, size + 1);
    bring_in(&kitchen);
    let run = kitchen.build(&kitchen.shell(&["true"])).exits(1).says(&["No space left on device"]);
    let state = kitchen.state();
    assert!(run.stderr.contains(state.to_str().unwrap()), "the path is not named:\n{}", run.stderr);
    kitchen.nothing_left(0);
}

#[test]
fn root_no_room_for_what_a_provisioner_writes() {
    let Some(mut kitchen) = Kitchen::open("root_no_room_for_what_a_provisioner_writes") else { return };
    let size = base_mib(&kitchen);
    small(&mut kitchen, size * 2 + 8);
    bring_in(&kitchen);
    // The image has room for this; the disk under it has not.
    let template = kitchen.shell(&["dd if=/dev/urandom of=/fill bs=1M count=40", "sync"]);
    let run = kitchen.build(&template);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    kitchen.nothing_left(0);
    // With room again, all is well again.
    let options = json!({ "ami_name": "after" });
    let run = kitchen.build(&kitchen.template("t.json", options, json!([]))).exits(0);
    assert!(image_in(&run.stdout, "us-east-1").starts_with("ami-"));
    kitchen.nothing_left(1);
}
