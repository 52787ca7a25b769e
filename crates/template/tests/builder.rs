//! The rules of the builder's options.

mod common;

use bakehouse_protocol::{
    DeferredTemplate, DeviceName, Region,
    spec::{Architecture, MountPartition, Source, Virtualization},
};
use common::{build, load_text, messages, mistake, warnings, with_options};

fn error_of(options: &str) -> (String, String) {
    mistake(&with_options(options))
}

fn expected(excerpt: &str, message: &str) -> (String, String) {
    (excerpt.to_owned(), message.to_owned())
}

#[test]
fn a_minimal_template_has_packers_defaults() {
    let spec = build(&with_options(""));
    assert_eq!(spec.name, "amazon-chroot");
    assert_eq!(spec.region, None);
    assert_eq!(spec.root_volume_size, None);
    let Source::Image(query) = &spec.source else { panic!("{:?}", spec.source) };
    assert_eq!(query.id.as_ref().unwrap().as_str(), "ami-01234567");
    assert_eq!(spec.image.name, "web 1");
    assert_eq!(spec.image.architecture, Architecture::X86_64);
    assert_eq!(spec.image.virtualization, None);
    assert_eq!(spec.chroot.mount_path.0, "/mnt/packer-amazon-chroot-volumes/{{.Device}}");
    assert_eq!(spec.chroot.command_wrapper.0, "{{.Command}}");
    assert_eq!(spec.chroot.mount_partition, None);
    assert_eq!(spec.chroot.copy_files, None);
    assert_eq!(spec.chroot.chroot_mounts, None);
    assert!(spec.provisioners.is_empty());
    assert_eq!(warnings(&with_options("")), [""; 0]);
}

#[test]
fn every_simple_option_is_in_the_spec() {
    let spec = build(&with_options(
        r#""name": "web", "region": "us-east-1", "root_volume_size": 12, "ami_description": "from {{.SourceAMI}}",
        "ami_virtualization_type": "hvm", "ami_architecture": "arm64", "ami_users": ["012345678901"],
        "ami_groups": ["all"], "ami_product_codes": ["abc"], "ami_regions": ["us-west-2", "us-east-1", "us-west-2"],
        "tags": {"B": "{{.BuildRegion}}", "A": "{{build_name}}/{{build_type}}"}, "device_path": "/dev/xvdf",
        "mount_path": "/mnt/{{.Device}}", "mount_partition": "2", "mount_options": ["noatime"],
        "pre_mount_commands": ["blkid {{.Device}}"], "post_mount_commands": ["ls {{.MountPath}}"],
        "chroot_mounts": [["proc", "proc", "/proc"]], "copy_files": [], "command_wrapper": "nice {{.Command}}""#,
    ));
    assert_eq!(spec.name, "web");
    assert_eq!(spec.region, Some(Region::new("us-east-1").unwrap()));
    assert_eq!(spec.root_volume_size, Some(12));
    assert_eq!(spec.image.description.0, "from {{.SourceAMI}}");
    assert_eq!(spec.image.virtualization, Some(Virtualization::Hvm));
    assert_eq!(spec.image.architecture, Architecture::Arm64);
    assert_eq!(spec.image.users, ["012345678901"]);
    assert_eq!(spec.image.groups, ["all"]);
    assert_eq!(spec.image.product_codes, ["abc"]);
    assert_eq!(spec.image.regions, [Region::new("us-west-2").unwrap()]);
    let tag = |key: &str, value: &str| (DeferredTemplate(key.to_owned()), DeferredTemplate(value.to_owned()));
    assert_eq!(spec.image.tags, [tag("B", "{{.BuildRegion}}"), tag("A", "web/amazon-chroot")]);
    assert_eq!(spec.chroot.device_path, Some(DeviceName::new("/dev/sdf").unwrap()));
    assert_eq!(spec.chroot.mount_path.0, "/mnt/{{.Device}}");
    assert_eq!(spec.chroot.mount_partition, Some(MountPartition::Number(2)));
    assert_eq!(spec.chroot.mount_options, ["noatime"]);
    assert_eq!(spec.chroot.pre_mount_commands, [DeferredTemplate("blkid {{.Device}}".into())]);
    assert_eq!(spec.chroot.post_mount_commands, [DeferredTemplate("ls {{.MountPath}}".into())]);
    assert_eq!(spec.chroot.chroot_mounts.unwrap()[0].target, "/proc");
    assert_eq!(spec.chroot.copy_files, Some(vec![]));
    assert_eq!(spec.chroot.command_wrapper.0, "nice {{.Command}}");
}

#[test]
fn invalid_values() {
    for (options, excerpt, message) in [
        (r#""region": "here""#, "\"here\"", "\"here\" is not a region"),
        (r#""ami_regions": ["us-east-1", "Us-West-2"]"#, "\"Us-West-2\"", "\"Us-West-2\" is not a region"),
        (r#""ami_users": ["me"]"#, "\"me\"", "\"me\" is not an account id"),
        (r#""ami_groups": ["everybody"]"#, "\"everybody\"", "there is no group \"everybody\""),
        (r#""ami_architecture": "amd64""#, "\"amd64\"", "`ami_architecture` cannot be \"amd64\""),
        (r#""ami_virtualization_type": "HVM""#, "\"HVM\"", "`ami_virtualization_type` cannot be \"HVM\""),
        (r#""root_volume_size": -1"#, "-1", "`root_volume_size` is -1"),
        (r#""root_volume_size": 70000"#, "70000", "`root_volume_size` is 70000"),
        (
            r#""root_device_name": "/dev/xvda""#,
            "\"/dev/xvda\"",
            "`root_device_name` is set without `ami_block_device_mappings`",
        ),
        (r#""mount_partition": "first""#, "\"first\"", "\"first\" is not the number of a partition"),
        (r#""device_path": "/dev/loop0""#, "\"/dev/loop0\"", "\"/dev/loop0\" is not an attachment point"),
        (r#""mount_path": "//""#, "\"//\"", "`mount_path` is the host's root directory"),
        (r#""mount_path": "mnt""#, "\"mnt\"", "`mount_path` \"mnt\" is not absolute"),
        (r#""chroot_mounts": [["proc", "proc"]]"#, "[\"proc\", \"proc\"]", "this mount has 2 elements instead of 3"),
        (
            r#""chroot_mounts": [["proc", "proc", "proc"]]"#,
            "\"proc\"",
            "the mount's target \"proc\" is not an absolute path",
        ),
        (r#""chroot_mounts": ["proc"]"#, "\"proc\"", "this mount has 1 elements instead of 3"),
        (r#""copy_files": ["/etc/../x"]"#, "\"/etc/../x\"", "the file \"/etc/../x\" contains \"..\""),
        (r#""command_wrapper": "sudo""#, "\"sudo\"", "`command_wrapper` does not contain {{.Command}}"),
        (r#""access_key": "A""#, "\"A\"", "`access_key` is set without `secret_key`"),
        (r#""secret_key": "A""#, "\"A\"", "`secret_key` is set without `access_key`"),
        (r#""tags": {"aws:x": "1"}"#, "\"aws:x\"", "the key of a tag cannot start with aws: (\"aws:x\")"),
        (r#""tags": {"": "1"}"#, "\"\"", "the key of a tag is empty or too long"),
        (r#""tags": ["a"]"#, "[\"a\"]", "expected an object, found a list"),
        (r#""tags": {"a": {}}"#, "{}", "expected a string, found an object"),
        (r#""source_ami_filter": []"#, "[]", "expected an object, found a list"),
        (r#""from_scratch": "yes""#, "\"yes\"", "\"yes\" is neither true nor false"),
        (r#""mount_path": ["a"]"#, "[\"a\"]", "expected a string, found a list"),
        (r#""_comment": "x""#, "\"_comment\"", "`_comment` is not an option of amazon-chroot"),
        (r#""ssh_username": "x""#, "\"ssh_username\"", "`ssh_username` is not an option of amazon-chroot"),
        (r#""Mount_Path": "/a", "mount_path": "/b""#, "\"mount_path\"", "`mount_path` is set twice"),
        (r#""tags": {"a": "1", "a": "2"}"#, "\"a\"", "the key \"a\" is set twice"),
        (r#""ami_description": "{{.Nope}}""#, ".Nope", ".Nope is not known here"),
        (r#""tags": {"a": "{{.SourceAMI.Name}}"}"#, ".SourceAMI.Name", ".SourceAMI has no field .Name"),
        (r#""pre_mount_commands": ["a {{.MountPath}}"]"#, ".MountPath", ".MountPath is not known here"),
        (r#""region": "{{.BuildRegion}}""#, ".BuildRegion", ".BuildRegion is not known here"),
        (r#""region": "{{env `R`}}""#, "env", "`env` cannot be called in a builder"),
        (r#""region": "{{vault `a` `b`}}""#, "vault", "`vault` cannot be called in a builder"),
        (r#""region": "{{sed `a` `b`}}""#, "sed", "the function `sed` is not there any more"),
        (r#""region": "{{build `ID`}}""#, "build", "`build` cannot be called in a builder"),
        (
            r#""region": "{{split \"a\" \"-\" 4}}""#,
            r#"split \"a\" \"-\" 4"#,
            "split: there is no part 4, only parts 0 to 0",
        ),
        (r#""region": "a {{ b""#, "{{", "this template cannot be read: this {{ is never closed with }}"),
        (
            r#""ami_description": "{{user .SourceAMI}}""#,
            "user",
            "`user` cannot take an argument that is known only while the build runs",
        ),
        (
            r#""source_ami_filter": {"filters": {"name": "a\"b"}}"#,
            r#""a\"b""#,
            "these values cannot be read: there is a quote inside a value",
        ),
        (r#""source_ami_filter": {"filter": {}}"#, "\"filter\"", "`filter` is not an option of source_ami_filter"),
    ] {
        assert_eq!(error_of(options), expected(excerpt, message), "{options}");
    }
}

#[test]
fn the_name_is_checked_after_rendering() {
    let named = |name: &str| {
        format!(r#"{{"builders": [{{"type": "amazon-chroot", "source_ami": "ami-01234567", "ami_name": "{name}"}}]}}"#)
    };
    assert_eq!(build(&named("web {{isotime | clean_resource_name}}")).image.name, "web 2026-11-22T21-22-09Z");
    assert_eq!(build(&named("web-{{timestamp}}")).image.name, "web-1795382529");
    assert_eq!(build(&named("{{uuid}}")).image.name.len(), 36);
    assert_eq!(build(&named(&"a".repeat(128))).image.name.len(), 128);
    assert_eq!(mistake(&named("{{isotime}}")).1, "`ami_name` \"2026-11-22T21:22:09Z\" contains \"::\"");
    assert_eq!(mistake(&named("ab")).1, "`ami_name` \"ab\" has 2 bytes");
    assert_eq!(mistake(&named("b\u{e4}ckerei")).1, "`ami_name` \"b\u{e4}ckerei\" contains \"\u{e4}\"");
    assert!(mistake(&named(&"a".repeat(129))).1.ends_with("has 129 bytes"));
    let without = r#"{"builders": [{"type": "amazon-chroot", "source_ami": "ami-01234567"}]}"#;
    assert_eq!(mistake(without), expected("\"amazon-chroot\"", "`ami_name` is missing"));
}

#[test]
fn sources() {
    let from = |source: &str| format!(r#"{{"builders": [{{"type": "amazon-chroot", "ami_name": "web"{source}}}]}}"#);
    assert_eq!(mistake(&from("")).1, "`source_ami` is missing");
    assert_eq!(mistake(&from(r#", "source_ami": "ami-1""#)).1, "\"ami-1\" is not an image id (ami-…)");
    assert_eq!(mistake(&from(r#", "source_ami_filter": {}"#)).1, "`source_ami_filter` has neither filters nor owners");
    let filter = r#", "source_ami_filter": {"filters": {"name": "debian-12-*, debian-13-*", "root-device-type": "ebs"},
        "owners": ["136693071363"], "most_recent": true, "include_deprecated": "true"}, "source_ami": "ami-01234567""#;
    let Source::Image(query) = build(&from(filter)).source else { panic!() };
    assert_eq!(query.filters["name"], ["debian-12-*", "debian-13-*"]);
    assert_eq!(query.filters["root-device-type"], ["ebs"]);
    assert_eq!(query.owners, ["136693071363"]);
    assert!(query.most_recent && query.include_deprecated && query.id.is_some());
    let nobody = from(r#", "source_ami_filter": {"filters": {"name": "debian"}}"#);
    assert_eq!(warnings(&nobody), ["`source_ami_filter` sets no owners: anybody's public image can match"]);
}

#[test]
fn from_scratch_requires_five_options() {
    let scratch = |more: &str| {
        format!(r#"{{"builders": [{{"type": "amazon-chroot", "ami_name": "web", "from_scratch": true{more}}}]}}"#)
    };
    let missing: Vec<String> =
        messages(&load_text(&scratch("")).unwrap_err()).into_iter().map(|(_, message)| message).collect();
    assert_eq!(
        missing,
        [
            "`root_volume_size` is missing",
            "`pre_mount_commands` is missing",
            "`ami_virtualization_type` is missing",
            "`root_device_name` is missing",
            "`ami_block_device_mappings` is missing"
        ]
    );
    let all = r#", "root_volume_size": "4", "pre_mount_commands": ["mkfs.ext4 {{.Device}}"],
        "ami_virtualization_type": "hvm", "root_device_name": "/dev/xvda",
        "ami_block_device_mappings": {"device_name": "/dev/xvda", "volume_type": "gp3", "iops": 4000,
        "throughput": 250, "delete_on_termination": true}"#;
    let spec = build(&scratch(all));
    assert_eq!(spec.source, Source::Scratch { size: 4 });
    assert_eq!(spec.image.root_device_name.as_deref(), Some("/dev/xvda"));
    let ebs = spec.image.block_device_mappings[0].ebs.as_ref().unwrap();
    assert_eq!((ebs.iops, ebs.throughput), (Some(4000), Some(250)));
    assert_eq!(ebs.delete_on_termination, Some(true));
    assert_eq!(warnings(&scratch(all)), [""; 0]);
    let both = format!("{all}, \"source_ami\": \"ami-01234567\"");
    assert_eq!(warnings(&scratch(&both)), ["`source_ami` is not used, because from_scratch is true"]);
}

#[test]
fn mappings() {
    let with = |mappings: &str| {
        with_options(&format!(
            r#""root_device_name": "/dev/xvda", "root_volume_size": 8, "ami_block_device_mappings": [{{"device_name": "/dev/xvda"}}, {mappings}]"#
        ))
    };
    for (mapping, message) in [
        ("{}", "this mapping has no device_name"),
        (r#"{"device_name": "/dev/xvda"}"#, "two mappings have the name /dev/xvda"),
        (r#"{"device_name": "/dev/sdb", "volume_type": "gp4"}"#, "there is no volume type \"gp4\""),
        (r#"{"device_name": "/dev/sdb", "virtual_name": "disk"}"#, "`virtual_name` cannot be \"disk\""),
        (r#"{"device_name": "/dev/sdb", "snapshot_id": "x"}"#, "\"x\" is not a snapshot id (snap-…)"),
        (
            r#"{"device_name": "/dev/sdb", "encrypted": "", "kms_key_id": "alias/web"}"#,
            "`kms_key_id` is set, but `encrypted` is not true",
        ),
        ("5", "expected an object, found a number"),
    ] {
        assert_eq!(mistake(&with(mapping)).1, message, "{mapping}");
    }
    let replace = "these mappings replace all of the source's";
    let idle = r#"{"device_name": "/dev/sdb", "no_device": true, "volume_size": 5}"#;
    assert_eq!(warnings(&with(idle)), [replace, "`volume_size` has no effect together with no_device"]);
    let gp2 = r#"{"device_name": "/dev/sdb", "volume_type": "gp2", "iops": 5, "throughput": 5}"#;
    assert_eq!(
        warnings(&with(gp2)),
        [
            replace,
            "`iops` has no effect without volume_type io1, io2, gp3",
            "`throughput` has no effect without volume_type gp3"
        ]
    );
    let lonely = with_options(r#""ami_block_device_mappings": [{"device_name": "/dev/sdb"}]"#);
    assert_eq!(mistake(&lonely).1, "`root_device_name` is missing");
    let sizeless =
        with_options(r#""root_device_name": "/dev/sdb", "ami_block_device_mappings": [{"device_name": "/dev/sdb"}]"#);
    assert_eq!(mistake(&sizeless).1, "`root_volume_size` is missing");
    let rootless = with_options(
        r#""root_device_name": "/dev/sda", "root_volume_size": 8, "ami_block_device_mappings": [{"device_name": "/dev/sdb"}]"#,
    );
    assert_eq!(mistake(&rootless).1, "no mapping has the root's name /dev/sda");
}

#[test]
fn weak_typing_is_like_packers() {
    let spec = build(&with_options(
        r#""root_volume_size": "0x10", "mount_partition": 0, "ami_users": 123456789012, "mount_options": "a,b",
        "tags": [{"a": 1}, {"b": 1.50, "c": null}], "ami_description": null, "chroot_mounts": []"#,
    ));
    assert_eq!(spec.root_volume_size, Some(16));
    assert_eq!(spec.chroot.mount_partition, Some(MountPartition::WholeDisk));
    assert_eq!(spec.image.users, ["123456789012"]);
    assert_eq!(spec.chroot.mount_options, ["a", "b"]);
    let tags: Vec<&str> = spec.image.tags.iter().map(|(_, value)| value.0.as_str()).collect();
    assert_eq!(tags, ["1", "1.5", ""]);
    assert_eq!(spec.chroot.chroot_mounts, None);
    assert_eq!(build(&with_options(r#""root_volume_size": 12.7"#)).root_volume_size, Some(12));
    assert_eq!(build(&with_options(r#""root_volume_size": """#)).root_volume_size, None);
    assert_eq!(warnings(&with_options(r#""tags": {"a": true}"#)), ["true becomes the string \"1\" here"]);
    assert_eq!(
        warnings(&with_options(r#""mount_options": "a, b""#)),
        ["a single string is split at its commas: this is 2 elements"]
    );
}

#[test]
fn option_names_ignore_case_but_type_does_not() {
    assert_eq!(build(&with_options(r#""Mount_Path": "/x""#)).chroot.mount_path.0, "/x");
    let shouted = r#"{"BUILDERS": [{"Type": "amazon-chroot"}]}"#;
    assert_eq!(mistake(shouted).1, "this builder has no type");
}

#[test]
fn deferred_templates_are_evaluated_as_far_as_possible() {
    let template = r#"{"variables": {"team": "ops {{.BuildRegion}}", "os": "Debian"}, "builders": [{"type": "amazon-chroot",
        "ami_name": "web", "source_ami": "ami-01234567", "tags": {
        "a": "{{user `team`}}", "b": "{{if eq .SourceAMITags.OS (user `os`)}}same{{end}}", "c": "{{isotime \"2006\"}}",
        "d": "{{.SourceAMIName | upper}}", "{{user `os`}}": "{{index .SourceAMITags \"Name\"}}"}}]}"#;
    let tags = build(template).image.tags;
    let values: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (key.0.as_str(), value.0.as_str())).collect();
    assert_eq!(
        values,
        [
            ("a", "ops {{.BuildRegion}}"),
            ("b", "{{if eq .SourceAMITags.OS (\"Debian\")}}same{{end}}"),
            ("c", "2026"),
            ("d", "{{.SourceAMIName | upper}}"),
            ("Debian", "{{index .SourceAMITags \"Name\"}}"),
        ]
    );
    let unknown = template.replace(".BuildRegion", ".BuildRegio");
    assert_eq!(mistake(&unknown), expected("\"{{user `team`}}\"", ".BuildRegio is not known here"));
}
