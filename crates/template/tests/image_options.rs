//! The builder's options for the image, its copies and the work volume, beyond those of `builder.rs`.

#![allow(clippy::expect_used)] // A mistake in a test may panic.

mod common;

use std::collections::BTreeMap;

use bakehouse_protocol::{
    DeferredTemplate, Millis, Region,
    access::{Secret, VaultAwsEngine},
    spec::{
        AccountCopies, CopyRole, Copying, Deprecation, DeregistrationProtection, Encryption, ImageAttributes,
        Lifecycle, MountPartition, Polling, Replacement, Sharing, VolumeSpec,
    },
};
use common::{build, load_text, mistake, warnings, with_options};

fn region(name: &str) -> Region {
    Region::new(name).expect(name)
}

fn tag(key: &str, value: &str) -> (DeferredTemplate, DeferredTemplate) {
    (DeferredTemplate(key.to_owned()), DeferredTemplate(value.to_owned()))
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&it| it.to_owned()).collect()
}

#[test]
fn the_work_volume() {
    let spec = build(&with_options(
        r#""root_volume_type": "gp3", "root_volume_tags": {"a": "1", "b": "{{.BuildRegion}}"},
        "root_volume_tag": {"key": "a", "value": "2"}, "root_volume_encrypt_boot": "true",
        "root_volume_kms_key_id": "alias/web", "bakehouse_volume_initialization_rate": "200",
        "bakehouse_volume_throughput": 500"#,
    ));
    let expected = VolumeSpec {
        volume_type: Some("gp3".into()),
        tags: vec![tag("b", "{{.BuildRegion}}"), tag("a", "2")],
        encrypted: Some(true),
        kms_key_id: Some("alias/web".into()),
        initialization_rate: Some(200),
        throughput: Some(500),
    };
    assert_eq!(spec.volume, expected);
}

#[test]
fn who_may_use_the_image() {
    let spec = build(&with_options(
        r#""ami_users": ["", "123456789012", "123456789012"],
        "ami_org_arns": ["arn:aws:organizations::123456789012:organization/o-abc"],
        "ami_ou_arns": "arn:aws:organizations::123456789012:ou/o-abc/ou-x", "snapshot_users": 210987654321,
        "snapshot_groups": ["all"]"#,
    ));
    assert_eq!(spec.image.users, ["123456789012"]);
    let expected = Sharing {
        org_arns: strings(&["arn:aws:organizations::123456789012:organization/o-abc"]),
        ou_arns: strings(&["arn:aws:organizations::123456789012:ou/o-abc/ou-x"]),
        snapshot_users: strings(&["210987654321"]),
        snapshot_groups: strings(&["all"]),
    };
    assert_eq!(spec.image.sharing, expected);
}

#[test]
fn empty_elements_are_left_out_and_told() {
    let template = with_options(r#""ami_users": ["", "123456789012"], "ami_regions": ["{{user `nobody`}}"]"#);
    assert_eq!(
        warnings(&template),
        [
            "an element of `ami_users` is empty and is left out",
            "an element of `ami_regions` is empty and is left out",
            "the variable `nobody` is not declared, so this is empty"
        ]
    );
    assert!(build(&template).image.regions.is_empty());
}

#[test]
fn tags_of_snapshots_and_single_tags() {
    let spec = build(&with_options(
        r#""tags": {"a": "1"}, "tag": [{"key": "a", "value": "2"}, {"key": "c", "value": ""}],
        "snapshot_tags": {"s": "1"}, "snapshot_tag": [{"key": "t", "value": "{{.SourceAMI}}"}]"#,
    ));
    assert_eq!(spec.image.tags, [tag("a", "2"), tag("c", "")]);
    assert_eq!(spec.image.snapshot_tags, [tag("s", "1"), tag("t", "{{.SourceAMI}}")]);
}

#[test]
fn what_is_declared_of_the_image() {
    let spec = build(&with_options(
        r#""ena_support": "true", "sriov_support": false, "boot_mode": "uefi", "uefi_data": "QU1aTlVFRkk=",
        "tpm_support": "v2.0", "imds_support": "v2.0", "bakehouse_watermarks": ["gold"]"#,
    ));
    let expected = ImageAttributes {
        ena_support: Some(true),
        sriov_support: Some(false),
        boot_mode: Some("uefi".into()),
        uefi_data: Some("QU1aTlVFRkk=".into()),
        tpm_support: Some("v2.0".into()),
        imds_support: Some("v2.0".into()),
        watermarks: strings(&["gold"]),
    };
    assert_eq!(spec.image.attributes, expected);
    let unset = build(&with_options(r#""ena_support": "", "encrypt_boot": "", "sriov_support": 0, "boot_mode": """#));
    assert_eq!(unset.image.attributes, ImageAttributes::default());
    assert_eq!(unset.image.encryption, Encryption::default());
    assert_eq!(build(&with_options(r#""ena_support": 2"#)).image.attributes.ena_support, Some(false));
}

#[test]
fn encryption() {
    let spec = build(&with_options(
        r#""region": "us-east-1", "encrypt_boot": true, "kms_key_id": "1234abcd-12ab-34cd-56ef-1234567890ab",
        "ami_regions": ["eu-west-1", "us-east-1"],
        "region_kms_key_ids": {"eu-west-1": "", "us-east-1": "alias/web"}"#,
    ));
    let expected = Encryption {
        encrypt_boot: Some(true),
        kms_key_id: Some("1234abcd-12ab-34cd-56ef-1234567890ab".into()),
        region_kms_key_ids: BTreeMap::from([
            (region("eu-west-1"), String::new()),
            (region("us-east-1"), "alias/web".into()),
        ]),
    };
    assert_eq!(spec.image.encryption, expected);
    assert_eq!(spec.image.regions, [region("eu-west-1")]);
}

#[test]
fn copies_and_what_they_replace() {
    let spec = build(&with_options(
        r#""ami_regions": ["eu-west-1"], "skip_save_build_region": true, "skip_region_validation": true,
        "snapshot_copy_duration_minutes": 45, "force_deregister": true, "force_delete_snapshot": true,
        "bakehouse_keep": 3"#,
    ));
    let copying = Copying {
        skip_save_build_region: true,
        skip_region_validation: true,
        snapshot_copy_duration_minutes: Some(45),
    };
    assert_eq!(spec.image.copying, copying);
    let replacement = Replacement { force_deregister: true, force_delete_snapshot: true, keep: Some(3) };
    assert_eq!(spec.image.replacement, replacement);
}

#[test]
fn what_happens_to_the_image_later() {
    let spec = build(&with_options(
        r#""deprecate_at": "2030-01-31T00:00:00+01:00", "deregistration_protection": {"with_cooldown": true},
        "bakehouse_ssm_parameters": ["/golden/web", "/{{.BuildRegion}}/web"]"#,
    ));
    let expected = Lifecycle {
        deprecation: Some(Deprecation::At("2030-01-31T00:00:00+01:00".into())),
        deregistration_protection: Some(DeregistrationProtection { with_cooldown: true }),
        parameters: ["/golden/web", "/{{.BuildRegion}}/web"].map(|it| DeferredTemplate(it.into())).into(),
    };
    assert_eq!(spec.image.lifecycle, expected);
    let spec =
        build(&with_options(r#""bakehouse_deprecate_in": "2160h", "deregistration_protection": {"enabled": false}"#));
    let deprecation = Some(Deprecation::In(Millis::minutes(2160 * 60)));
    assert_eq!(spec.image.lifecycle, Lifecycle { deprecation, ..Lifecycle::default() });
}

#[test]
fn the_device_and_its_partition() {
    let partition = |options: &str| build(&with_options(options)).chroot.mount_partition;
    let nvme = |path: &str, rest: &str| partition(&format!(r#""nvme_device_path": "{path}"{rest}"#));
    assert_eq!(nvme("/dev/nvme3n1p1", r#", "mount_partition": 0"#), Some(MountPartition::Number(1)));
    assert_eq!(nvme("/dev/nvme3n1p", r#", "mount_partition": "2""#), Some(MountPartition::Number(2)));
    assert_eq!(nvme("/dev/nvme3n1", r#", "mount_partition": "0""#), Some(MountPartition::WholeDisk));
    assert_eq!(nvme("/dev/nvme3n1p", ""), None);
    let spec = build(&with_options(r#""nvme_device_path": "/dev/nvme3n1p""#));
    assert_eq!(spec.chroot.nvme_device_path.as_deref(), Some("/dev/nvme3n1p"));
}

#[test]
fn access() {
    let loaded = load_text(&with_options(
        r#""max_retries": 7, "insecure_skip_tls_verify": false,
        "decode_authorization_messages": true, "skip_credential_validation": "1",
        "vault_aws_engine": {"name": "web", "role_arn": "arn:aws:iam::111122223333:role/x", "ttl": "1h"},
        "aws_polling": {"delay_seconds": 5, "max_attempts": "40"},
        "assume_role": {"role_arn": "arn:aws:iam::111122223333:role/bake", "tags": {"team": "web"},
        "transitive_tag_keys": ["team"]}"#,
    ))
    .unwrap();
    let access = &loaded.access[0];
    assert_eq!(access.max_retries, Some(7));
    let with_code = load_text(&with_options(r#""profile": "bake", "mfa_code": "012345""#)).unwrap();
    let unverified = load_text(&with_options(r#""insecure_skip_tls_verify": true"#)).unwrap();
    assert!(unverified.access[0].insecure_skip_tls_verify && unverified.warnings.len() == 1);
    assert_eq!(with_code.access[0].mfa_code, Some(Secret::new("012345")));
    assert!(access.decode_authorization_messages);
    let vault = VaultAwsEngine {
        name: "web".into(),
        engine_name: "aws".into(),
        role_arn: Some("arn:aws:iam::111122223333:role/x".into()),
        ttl: Some("1h".into()),
    };
    assert_eq!(access.vault_aws_engine, Some(vault));
    assert_eq!(access.assume_role.as_ref().unwrap().transitive_tag_keys, ["team"]);
    assert_eq!(loaded.builds[0].polling, Polling { delay_seconds: Some(5), max_attempts: Some(40) });
    assert_eq!(with_code.sensitive, ["012345"]);
}

#[test]
fn a_mapping_may_be_encrypted() {
    let mappings = r#""root_device_name": "/dev/xvda", "root_volume_size": 8, "ami_block_device_mappings":
        [{"device_name": "/dev/xvda"}, {"device_name": "/dev/sdb", "encrypted": true, "kms_key_id": "alias/web"},
        {"device_name": "/dev/sdc", "encrypted": true, "snapshot_id": "snap-01234567"}]"#;
    let spec = build(&with_options(mappings));
    let ebs: Vec<_> = spec.image.block_device_mappings.iter().filter_map(|mapping| mapping.ebs.as_ref()).collect();
    assert_eq!((ebs[1].encrypted, ebs[1].kms_key_id.as_deref()), (Some(true), Some("alias/web")));
    assert_eq!((ebs[2].encrypted, ebs[0].encrypted), (None, None));
    assert!(
        warnings(&with_options(mappings))
            .contains(&"`encrypted` has no effect with a snapshot, which decides it".into())
    );
}

#[test]
fn options_that_are_probably_not_meant() {
    for (options, warning) in [
        (r#""deprecate_at": "2020-01-31T00:00:00Z""#, "2020-01-31T00:00:00Z is in the past"),
        (
            r#""force_delete_snapshot": true"#,
            "`force_delete_snapshot` has an effect only with `force_deregister` or -force",
        ),
        (
            r#""root_volume_kms_key_id": "alias/web""#,
            "`root_volume_kms_key_id` has an effect only if the source is encrypted",
        ),
        (
            r#""skip_metadata_api_check": true"#,
            "`skip_metadata_api_check` has no effect: Packer does not use it either",
        ),
        (r#""enhanced_networking": true"#, "`enhanced_networking` is the old name of `ena_support`"),
    ] {
        assert_eq!(warnings(&with_options(options)), [warning], "{options}");
    }
}

#[test]
fn invalid_combinations_and_values() {
    let shared = "an image that is shared (`ami_users`) cannot be encrypted with a default key";
    for (options, message) in [
        (r#""kms_key_id": "alias/a""#, "`kms_key_id` is set, but `encrypt_boot` is not true"),
        (r#""encrypt_boot": true, "kms_key_id": "web key""#, "\"web key\" is not a KMS key"),
        (r#""encrypt_boot": true, "ami_users": ["123456789012"]"#, shared),
        (
            r#""encrypt_boot": true, "ami_users": ["123456789012"], "kms_key_id": "alias/a", "ami_regions": ["eu-west-1"],
            "region_kms_key_ids": {"eu-west-1": ""}"#,
            shared,
        ),
        (
            r#""encrypt_boot": true, "ami_regions": ["eu-west-1", "us-east-1"], "region_kms_key_ids": {"eu-west-1": ""}"#,
            "`region_kms_key_ids` has no key for us-east-1",
        ),
        (
            r#""encrypt_boot": true, "region_kms_key_ids": {"eu-west-1": ""}"#,
            "`region_kms_key_ids` has a key for eu-west-1, which is not in `ami_regions`",
        ),
        (
            r#""root_volume_encrypt_boot": false, "root_volume_kms_key_id": "alias/a""#,
            "`root_volume_kms_key_id` is set, but `root_volume_encrypt_boot` is false",
        ),
        (r#""root_volume_type": "ssd""#, "`root_volume_type` cannot be \"ssd\""),
        (
            r#""root_volume_type": "gp2", "bakehouse_volume_throughput": 200"#,
            "`bakehouse_volume_throughput` requires a volume of the type gp3",
        ),
        (r#""bakehouse_volume_initialization_rate": 50"#, "`bakehouse_volume_initialization_rate` is 50"),
        (
            r#""ami_virtualization_type": "paravirtual", "ena_support": true"#,
            "`ena_support` requires the virtualization type hvm",
        ),
        (r#""uefi_data": "QUJD""#, "`uefi_data` requires an image that boots by UEFI"),
        (r#""boot_mode": "uefi", "uefi_data": "?""#, "`uefi_data` is not base64"),
        (r#""boot_mode": "UEFI""#, "`boot_mode` cannot be \"UEFI\""),
        (r#""tpm_support": "v1.2""#, "`tpm_support` cannot be \"v1.2\""),
        (r#""boot_mode": "legacy-bios", "tpm_support": "v2.0""#, "`tpm_support` requires UEFI"),
        (r#""imds_support": "v1.0""#, "`imds_support` cannot be \"v1.0\""),
        (r#""deprecate_at": "2030-01-31""#, "\"2030-01-31\" is not a time in RFC 3339"),
        (r#""deprecate_at": "2060-01-31T00:00:00Z""#, "2060-01-31T00:00:00Z is more than ten years from now"),
        (
            r#""deprecate_at": "2030-01-31T00:00:00Z", "bakehouse_deprecate_in": "1h""#,
            "`bakehouse_deprecate_in` cannot be combined with `deprecate_at`",
        ),
        (r#""snapshot_copy_duration_minutes": 20"#, "`snapshot_copy_duration_minutes` is 20"),
        (r#""skip_save_build_region": true"#, "`skip_save_build_region` leaves no image, as there are no copies"),
        (r#""tag": {"value": "x"}"#, "this tag has no key"),
        (r#""tag": {"key": "x"}"#, "this tag has no value"),
        (
            r#""tag": {"name": "x", "key": "k", "value": "v"}"#,
            "`name` is not an option of tag, snapshot_tag, root_volume_tag",
        ),
        (r#""ami_org_arns": ["o-abc"]"#, "\"o-abc\" is not an ARN for `ami_org_arns`"),
        (r#""snapshot_groups": ["some"]"#, "there is no group \"some\""),
        (r#""nvme_device_path": "nvme1n1""#, "\"nvme1n1\" is not the path of a device"),
        (
            r#""nvme_device_path": "/dev/nvme1n1p1", "mount_partition": 2"#,
            "`mount_partition` is 2, but `nvme_device_path` leads to partition 1",
        ),
        (r#""mfa_code": "12""#, "`mfa_code` is not a token code"),
        (
            r#""mfa_code": "012345", "access_key": "A", "secret_key": "B""#,
            "`mfa_code` is set together with `access_key`",
        ),
        (r#""vault_aws_engine": {"engine_name": "x"}"#, "`vault_aws_engine` has no `name`"),
        (r#""vault_aws_engine": {"name": "x", "ttl": "1h"}"#, "`ttl` requires `role_arn`"),
        (
            r#""access_key": "A", "secret_key": "B", "vault_aws_engine": {"name": "x"}"#,
            "`vault_aws_engine` is set together with `access_key`",
        ),
        (
            r#""assume_role": {"role_arn": "arn:aws:iam::111122223333:role/x", "transitive_tag_keys": ["a"]}"#,
            "`tags` has no tag \"a\"",
        ),
        (r#""bakehouse_watermarks": ["a", "b", "c", "d", "e", "f"]"#, "there are 6 watermarks"),
        (r#""bakehouse_ssm_parameters": ["a b"]"#, "\"a b\" cannot be the name of a parameter"),
        (r#""bakehouse_kept": 3"#, "`bakehouse_kept` is not an option of amazon-chroot"),
        (r#""ena_support": 3"#, "3 is neither true nor false"),
    ] {
        assert_eq!(mistake(&with_options(options)).1, message, "{options}");
    }
    let tags = |count: usize| {
        let tags: Vec<_> = (0..count).map(|n| format!(r#""k{n}": "v""#)).collect();
        with_options(&format!(r#""tags": {{{}}}"#, tags.join(", ")))
    };
    assert_eq!(mistake(&tags(47)).1, "there are 47 tags");
    build(&tags(46));
    let scratch = r#""from_scratch": true, "root_volume_size": 2, "pre_mount_commands": ["x"],
        "ami_virtualization_type": "hvm", "root_device_name": "/dev/xvda",
        "ami_block_device_mappings": [{"device_name": "/dev/xvda"}], "root_volume_type": "io1""#;
    assert_eq!(mistake(&with_options(scratch)).1, "a volume from scratch cannot be of the type io1");
}

#[test]
fn copies_that_other_accounts_own() {
    let spec = build(&with_options(
        r#""bakehouse_account_copies": [
            {"role_arn": "arn:aws:iam::444455556666:role/images", "external_id": "outside", "session_name": "web",
             "regions": ["us-east-1", "eu-west-1", "us-east-1"], "kms_key_id": "alias/theirs"},
            {"role_arn": "arn:aws:iam::444455556666:role/far", "regions": "ap-southeast-2"},
            {"role_arn": "arn:aws-cn:iam::777788889999:role/team/images"}]"#,
    ));
    let role = |arn: &str| CopyRole { arn: arn.parse().expect(arn), external_id: None, session_name: None };
    let first = CopyRole {
        external_id: Some("outside".into()),
        session_name: Some("web".into()),
        ..role("arn:aws:iam::444455556666:role/images")
    };
    let expected = [
        AccountCopies {
            role: first,
            regions: vec![region("us-east-1"), region("eu-west-1")],
            kms_key_id: Some("alias/theirs".into()),
        },
        AccountCopies {
            role: role("arn:aws:iam::444455556666:role/far"),
            regions: vec![region("ap-southeast-2")],
            kms_key_id: None,
        },
        AccountCopies {
            role: role("arn:aws-cn:iam::777788889999:role/team/images"),
            regions: vec![],
            kms_key_id: None,
        },
    ];
    assert_eq!(spec.image.account_copies, expected);
    // There is an image somewhere.
    build(&with_options(
        r#""skip_save_build_region": true, "bakehouse_account_copies": [
            {"role_arn": "arn:aws:iam::444455556666:role/images", "regions": ["eu-west-1"]}]"#,
    ));
}

#[test]
fn mistakes_in_copies_for_other_accounts_have_their_place() {
    let at = |blocks: &str| {
        let (place, message) = mistake(&with_options(&format!(r#""bakehouse_account_copies": [{blocks}]"#)));
        format!("{place}: {message}")
    };
    assert_eq!(at(r#"{"external_id": "outside"}"#), "{: this copy has no role_arn");
    assert_eq!(
        at(r#"{"role_arn": "arn:aws:iam::4444:role/images"}"#),
        r#""arn:aws:iam::4444:role/images": "arn:aws:iam::4444:role/images" is not the ARN of a role"#
    );
    let with = |option: &str| at(&format!(r#"{{"role_arn": "arn:aws:iam::444455556666:role/images", {option}}}"#));
    assert_eq!(with(r#""regions": ["europe"]"#), r#""europe": "europe" is not a region"#);
    assert_eq!(with(r#""external_id": "x""#), r#""x": STS does not take this `external_id`"#);
    assert_eq!(with(r#""session_name": "two words""#), r#""two words": STS does not take this `session_name`"#);
    assert_eq!(with(r#""kms_key_id": "no key""#), r#""no key": "no key" is not a KMS key"#);
    let block = r#"{"role_arn": "arn:aws:iam::444455556666:role/images"}"#;
    let twice = ": the account 444455556666 gets two copies in one region";
    assert_eq!(at(&format!("{block}, {block}")), format!("\"arn:aws:iam::444455556666:role/images\"{twice}"));
    let there =
        |role: &str| format!(r#"{{"role_arn": "arn:aws:iam::444455556666:role/{role}", "regions": "eu-west-1"}}"#);
    assert_eq!(at(&format!("{}, {}", there("a"), there("b"))), format!("\"arn:aws:iam::444455556666:role/b\"{twice}"));
}

#[test]
fn an_image_with_a_default_key_is_not_copied_by_another_account() {
    let copies = r#""bakehouse_account_copies": [{"role_arn": "arn:aws:iam::444455556666:role/images"}]"#;
    assert_eq!(
        mistake(&with_options(&format!(r#"{copies}, "encrypt_boot": true"#))).1,
        "an image that is shared (`bakehouse_account_copies`) cannot be encrypted with a default key"
    );
    // What stays in other regions of the account is not copied by others.
    build(&with_options(&format!(
        r#"{copies}, "encrypt_boot": true, "kms_key_id": "alias/ours", "ami_regions": ["eu-west-1"],
        "region_kms_key_ids": {{"eu-west-1": ""}}"#
    )));
}
