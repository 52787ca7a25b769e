//! A real Debian system: apt in the chroot, and a package that wants to start its daemon.

use std::fs;

use serde_json::json;

use crate::common::{Fixture, Inside, image_in};

#[test]
fn root_apt_installs_a_service_that_is_not_started() {
    let test = "root_apt_installs_a_service_that_is_not_started";
    let Some(base) = std::env::var_os("BAKEHOUSE_TEST_BASE") else {
        println!("SKIP {test}: no Debian base in BAKEHOUSE_TEST_BASE (`cargo xtask base` makes one)");
        return;
    };
    let Some(fixture) = Fixture::bare(test) else { return };
    fixture.run(["local", "import", base.to_str().unwrap(), "--name", "base"]).exits(0);
    let provisioners = json!([{
        "type": "shell",
        "environment_vars": ["DEBIAN_FRONTEND=noninteractive"],
        "inline": [
            "apt-get update",
            "apt-get install -y --no-install-recommends cron",
            // One that the package would have started, and one that nobody can keep from starting.
            "if pidof cron; then echo cron is running; exit 1; fi",
            "/usr/sbin/cron",
        ],
    }]);
    // Default mounts at the default place, as with Packer.
    let options = json!({ "mount_path": null, "ami_name": "cron", "root_volume_size": 3 });
    let run = fixture.build(&fixture.template("t.json", options, provisioners)).exits(0);
    assert!(run.stderr.contains("policy-rc.d"), "nothing has tried to start it:\n{}", run.stderr);
    let disk = fixture.export(image_in(&run.stdout, "us-east-1"));
    let image = Inside::new(fixture.path(), &disk, "usr/sbin var/lib/dpkg/status");
    assert!(image.at("/usr/sbin/cron").exists());
    assert!(image.read("/var/lib/dpkg/status").contains("Package: cron\nStatus: install ok installed"));
    assert!(fs::symlink_metadata(image.at("/usr/sbin/policy-rc.d")).is_err());
    fixture.nothing_left(1);
}
