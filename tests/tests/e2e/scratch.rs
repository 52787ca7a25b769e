//! Disks made from nothing, and disks made larger.

use std::{fs, os::unix::fs::FileExt as _, path::Path};

use serde_json::json;

use crate::common::{Fixture, ROOT_OFFSET, image_in, sh};

/// How many bytes the ext4 file system on a disk spans, as its superblock says (`s_blocks_count_lo`,
/// `s_log_block_size`).
fn ext4_bytes(disk: &Path) -> u64 {
    let mut superblock = [0; 1024];
    fs::File::open(disk).unwrap().read_exact_at(&mut superblock, ROOT_OFFSET + 1024).unwrap();
    let word = |at: usize| u32::from_le_bytes(superblock[at..at + 4].try_into().unwrap());
    assert_eq!(superblock[0x38..0x3a], [0x53, 0xef], "no ext file system");
    u64::from(word(4)) * (1024 << word(0x18))
}

#[test]
fn root_an_image_is_made_from_scratch() {
    let Some(fixture) = Fixture::bare("root_an_image_is_made_from_scratch") else { return };
    let template = fixture.template(
        "scratch.json",
        json!({
            "source_ami_filter": null,
            "ami_name": "scratch",
            "from_scratch": true,
            "ami_virtualization_type": "hvm",
            "ami_architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" },
            "root_volume_size": 1,
            "root_device_name": "/dev/xvda",
            "ami_block_device_mappings": [
                { "device_name": "/dev/xvda", "volume_type": "gp3", "delete_on_termination": true }
            ],
            "pre_mount_commands": [
                "printf 'label: gpt\\nstart=2048, type=L\\n' | sfdisk --quiet --no-reread --no-tell-kernel {{.Device}}",
                "partx --update {{.Device}}",
                "for try in 1 2 3 4 5 6 7 8 9 10; do test -b {{.Device}}p1 && break; sleep 0.1; done",
                "mkfs.ext4 -q -F -L fresh {{.Device}}p1",
            ],
            "post_mount_commands": [
                "mkdir -p {{.MountPath}}/bin {{.MountPath}}/etc {{.MountPath}}/tmp",
                "cp $(command -v busybox) {{.MountPath}}/bin/busybox",
                "ln -s busybox {{.MountPath}}/bin/sh",
            ],
        }),
        json!([{ "type": "shell", "inline": ["echo from nothing > /made"] }]),
    );
    let run = fixture.build(&template).exits(0);
    let id = image_in(&run.stdout, "us-east-1");
    assert_eq!(fixture.look_into(id).read("/made"), "from nothing\n");
    let disk = fixture.path().join("out.raw");
    assert!(ext4_bytes(&disk) > 900 << 20);
    let table = sh(&format!("sfdisk --dump {}", disk.display()));
    assert!(table.contains("label: gpt") && table.contains("start=        2048"), "{table}");
    // There is no base to be counted.
    assert_eq!(fixture.images().len(), 1);
    fixture.run(["local", "import", disk.to_str().unwrap(), "--name", "base"]).exits(0);
    fixture.nothing_left(1);
}

#[test]
fn root_a_failed_pre_mount_command_is_reported_and_undone() {
    let Some(fixture) = Fixture::open("root_a_failed_pre_mount_command_is_reported_and_undone") else { return };
    let options = json!({ "pre_mount_commands": ["echo about to break; false {{.Device}}"] });
    let template = fixture.template("t.json", options, json!([]));
    fixture.build(&template).exits(1).says(&["about to break", "false /dev/"]);
    fixture.nothing_left(0);
}

#[test]
fn root_a_larger_root_volume_grows_the_file_system() {
    let Some(fixture) = Fixture::open("root_a_larger_root_volume_grows_the_file_system") else { return };
    let inline = json!([{ "type": "shell", "inline": ["df -k / | tail -n 1 > /df"] }]);
    for (name, size) in [("same", 1u64), ("more", 3)] {
        let options = json!({ "ami_name": name, "root_volume_size": size });
        let run = fixture.build(&fixture.template("t.json", options, inline.clone())).exits(0);
        let image = fixture.look_into(image_in(&run.stdout, "us-east-1"));
        // Device, blocks of 1 KiB, …
        let blocks: u64 = image.read("/df").split_whitespace().nth(1).unwrap().parse().unwrap();
        let raw = fixture.path().join("out.raw");
        let (disk, spans) = (fs::metadata(&raw).unwrap().len(), ext4_bytes(&raw));
        assert_eq!(disk, size << 30);
        if name == "more" {
            assert!(blocks > (size << 20) * 9 / 10, "df says {blocks} KiB");
            assert!(spans > disk - (8 << 20) && spans < disk, "{spans} of {disk} bytes");
        } else {
            assert!(spans <= disk);
        }
    }
    let sizes: Vec<u64> = fixture.images().iter().filter_map(|image| image["gib"].as_u64()).collect();
    assert_eq!(sizes, [1, 1, 3]);
    fixture.nothing_left(2);
}

/// A volume can be attached only where it is, so each region has a host of its own.
#[test]
fn root_each_builder_is_built_in_the_region_that_it_names() {
    let Some(fixture) = Fixture::open("root_each_builder_is_built_in_the_region_that_it_names") else { return };
    let raw = fixture.path().join("base.raw");
    fixture.run(["local", "import", raw.to_str().unwrap(), "--name", "base", "--region", "eu-central-1"]).exits(0);
    let inline = json!([{ "type": "shell", "inline": ["echo {{build `BuildRegion`}} > /region"] }]);
    let path = fixture.template("t.json", json!({ "name": "here" }), inline);
    let mut template: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut there = template["builders"][0].clone();
    (there["name"], there["region"]) = ("there".into(), "eu-central-1".into());
    template["builders"].as_array_mut().unwrap().push(there);
    let run = fixture.build(&fixture.file("t.json", &template.to_string())).exits(0);
    for region in ["us-east-1", "eu-central-1"] {
        assert_eq!(fixture.look_into(image_in(&run.stdout, region)).read("/region"), format!("{region}\n"));
    }
    fixture.nothing_left(3);
}
