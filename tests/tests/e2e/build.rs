//! A build that uses most options of a template, and what is in its image.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use serde_json::{Value, json};

use crate::common::{Fixture, Inside, SECRET, base_disk, image_in};

const REGIONS: [&str; 3] = ["us-east-1", "eu-central-1", "ap-southeast-2"];

fn mode(path: std::path::PathBuf) -> u32 {
    fs::metadata(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o7777
}

#[test]
fn root_a_template_with_most_options() {
    let Some(fixture) = Fixture::open("root_a_template_with_most_options") else { return };
    let upload = fixture.file("motd", "welcome\n");
    let script = fixture.file("finish.sh", "#!/bin/sh\nenv | sort > /script.env\necho \"$0\" > /script.path\n");
    let downloaded = fixture.path().join("from-image");
    let template = fixture.template(
        "web.json",
        json!({
            "ami_name": "web-{{uuid}}",
            "ami_regions": [REGIONS[1], REGIONS[2]],
            "tags": { "Base": "{{.SourceAMI}}", "BaseName": "{{.SourceAMIName}}", "Where": "{{.BuildRegion}}" },
        }),
        json!([
            { "type": "shell", "inline": ["env > /inline.env", "umask 077; echo mine > /opt/private", "echo \"a b\" >&2"],
              "environment_vars": ["GREETING=hello world", "QUOTED=it's $HOME"] },
            { "type": "file", "source": upload, "destination": "/etc/motd" },
            { "type": "shell", "script": script, "environment_vars": ["STEP=two", "LANG=C"] },
            { "type": "file", "source": "/opt/private", "destination": downloaded, "direction": "download" },
        ]),
    );

    let run = fixture.build(&template).exits(0).says(&["provisioning", "a b", "Baked in"]);
    // The snapshot, the image, and the image of each region.
    assert_eq!(run.stdout.lines().count(), 5, "{}", run.stdout);
    assert_eq!(fs::read_to_string(&downloaded).unwrap(), "mine\n");

    // The list agrees with what was printed.
    let images = fixture.images();
    let printed: BTreeSet<(&str, &str)> =
        REGIONS.iter().map(|region| (*region, image_in(&run.stdout, region))).collect();
    let text = |image: &'_ Value, key: &str| image[key].as_str().unwrap_or_default().to_owned();
    let listed: BTreeSet<(String, String)> = images
        .iter()
        .filter(|image| text(image, "name").starts_with("web-"))
        .map(|image| (text(image, "region"), text(image, "id")))
        .collect();
    assert_eq!(listed, printed.iter().map(|(region, id)| ((*region).to_owned(), (*id).to_owned())).collect());
    assert!(images.iter().all(|image| image["state"] == "available"), "{images:?}");

    // So does the record, and the tags in each region say where it came from.
    let shown = fixture.last();
    assert_eq!(shown["state"], "succeeded");
    let phases: Vec<&str> = shown["phases"].as_array().unwrap().iter().filter_map(|p| p["phase"].as_str()).collect();
    assert_eq!(
        phases,
        [
            "accepted",
            "resolving",
            "queued",
            "creating",
            "attaching",
            "provisioning",
            "snapshotting",
            "registering",
            "copying",
            "finishing"
        ]
    );
    let base = images.iter().find(|image| image["name"] == "base").unwrap();
    let state = fs::read_to_string(fixture.state().join("cloud/state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    for (region, id) in &printed {
        let tags = &state["model"]["regions"][region]["images"][id]["facts"]["tags"];
        assert_eq!((&tags["Base"], &tags["BaseName"]), (&base["id"], &json!("base")), "{region}: {tags}");
        assert_eq!(tags["Where"], json!(region), "{tags}");
    }

    for (_, id) in &printed {
        let image = fixture.look_into(id);
        assert_eq!(image.read("/etc/motd"), "welcome\n");
        assert_eq!(image.read("/opt/private"), "mine\n");
        assert_eq!(mode(image.at("/opt/private")), 0o600);
        assert_eq!(mode(image.at("/etc/motd")), 0o644);
        environment_is(
            &image.read("/inline.env"),
            &[("GREETING", "hello world"), ("LANG", "C.UTF-8"), ("QUOTED", "it's $HOME")],
        );
        environment_is(&image.read("/script.env"), &[("LANG", "C"), ("STEP", "two")]);
        nothing_of_ours(&image, &image.read("/script.path"));
    }
    fixture.nothing_left(3);
}

/// Exactly what is promised: the template's own, PATH, HOME, LANG, TERM and the PACKER_ variables.
#[track_caller]
fn environment_is(text: &str, own: &[(&str, &str)]) {
    assert!(!text.contains(SECRET), "{text}");
    let promised = [
        ("HOME", "/root"),
        ("PACKER_BUILDER_TYPE", "amazon-chroot"),
        ("PACKER_BUILD_NAME", "amazon-chroot"),
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("TERM", "dumb"),
    ];
    // The shell inside sets these itself.
    let set_by_shell = ["PWD", "SHLVL", "OLDPWD", "_"];
    let found: BTreeSet<(&str, &str)> =
        text.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| !set_by_shell.contains(name)).collect();
    assert_eq!(found, promised.iter().chain(own).copied().collect());
}

/// The image has what the template put there, and nothing that Bakehouse needed during the build.
fn nothing_of_ours(image: &Inside, script: &str) {
    for path in ["/etc/resolv.conf", "/usr/sbin/policy-rc.d", script.trim()] {
        assert!(fs::symlink_metadata(image.at(path)).is_err(), "{path} is left in the image");
    }
    for dir in ["/tmp", "/dev", "/proc", "/sys", "/run", "/usr/sbin"] {
        let left: Vec<_> = fs::read_dir(image.at(dir)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{dir}: {left:?}");
    }
}

#[test]
fn root_resolv_conf_is_restored() {
    let Some(fixture) = Fixture::open("root_resolv_conf_is_restored") else { return };
    let stub = Path::new("../run/resolve/stub.conf");
    type Make = fn(&Path);
    let makes: [(&str, Make); 3] = [
        ("file", |path| fs::write(path, "nameserver 192.0.2.1\n").unwrap()),
        ("dangling", |path| symlink("../run/resolve/stub.conf", path).unwrap()),
        ("absolute", |path| symlink("/run/resolve/stub.conf", path).unwrap()),
    ];
    let raw = fixture.path().join("variant.raw");
    for (name, make) in makes {
        base_disk(fixture.path(), &raw, |tree| make(&tree.join("etc/resolv.conf")));
        fixture.run(["local", "import", raw.to_str().unwrap(), "--name", name]).exits(0);
        let options = json!({
            "ami_name": format!("{name}-child"),
            "source_ami_filter": { "filters": { "name": name } },
        });
        let inline = json!([{ "type": "shell", "inline": ["cat /etc/resolv.conf > /seen"] }]);
        fixture.build(&fixture.template("t.json", options, inline)).exits(0);
        let image = fixture.look_into(&format!("{name}-child"));
        // While it ran, it was the host's.
        assert_eq!(image.read("/seen"), fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), "{name}");
        let path = image.at("/etc/resolv.conf");
        match name {
            "file" => assert_eq!(fs::read_to_string(path).unwrap(), "nameserver 192.0.2.1\n"),
            "dangling" => assert_eq!(fs::read_link(path).unwrap(), stub),
            _ => assert_eq!(fs::read_link(path).unwrap(), Path::new("/run/resolve/stub.conf")),
        }
        assert!(fs::symlink_metadata(image.at("/run/resolve")).is_err(), "{name}");
    }
    fixture.nothing_left(6);
}
