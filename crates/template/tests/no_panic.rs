//! No template causes a panic, and every error has a location in the text.

mod common;

use common::load_text;
use proptest::prelude::*;

/// JSON values made of the names and values that templates use.
fn json() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "amazon-chroot",
        "shell",
        "file",
        "shell-local",
        "ansible",
        "manifest",
        "#!/bin/sh",
        "%s=%é",
        "{{.CreateTime}} {{clean_ami_name `é`}}",
        "{{build `PackerRunUUID`}}",
        "ami-01234567",
        "/dev/sdf",
        "us-east-1",
        "{{user `a`}}",
        "{{.Device}}",
        "a,b",
        "{{",
        "{{build `SourceAMI`}}",
        "é\\u00e9\\ud83d\\ude00 {{nope}}",
        "",
        "5m",
        "true",
        "{{range .X}}",
        "{{isotime}}",
        "\\\"{{.A}}\\n{{upper 1}}",
        "{{`{{`}}",
    ]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|n| n.to_string()),
        Just("1.5e3".to_owned()),
        word.prop_map(|word| format!("\"{word}\"")),
    ];
    let key = prop::sample::select(vec![
        "type",
        "name",
        "ami_name",
        "source_ami",
        "source_ami_filter",
        "filters",
        "owners",
        "tags",
        "chroot_mounts",
        "inline",
        "scripts",
        "environment_vars",
        "timeout",
        "max_retries",
        "ami_block_device_mappings",
        "device_name",
        "root_device_name",
        "from_scratch",
        "variables",
        "builders",
        "provisioners",
        "source",
        "destination",
        "iops",
        "valid_exit_codes",
        "mount_path",
        "Mount_Path",
        "ami_users",
        "tag",
        "key",
        "value",
        "kms_key_id",
        "encrypt_boot",
        "region_kms_key_ids",
        "ami_regions",
        "deprecate_at",
        "uefi_data",
        "nvme_device_path",
        "mount_partition",
        "vault_aws_engine",
        "bakehouse_account_copies",
        "post-processors",
        "error-cleanup-provisioner",
        "only",
        "override",
        "command",
        "execute_command",
        "env_var_format",
        "inline_shebang",
        "playbook_file",
        "galaxy_file",
        "content",
        "custom_data",
        "unheard_of",
    ]);
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((key.clone(), inner), 0..7).prop_map(|pairs| {
                let pairs: Vec<String> = pairs.into_iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

fn check(text: &str) {
    match load_text(text) {
        Ok(loaded) => assert!(!loaded.builds.is_empty()),
        Err(problems) => {
            assert!(!problems.errors.is_empty());
            for error in &problems.errors {
                assert!(error.position().is_none() || error.excerpt().is_some(), "{error:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_text(text in "\\PC*") {
        check(&text);
    }

    #[test]
    fn any_json(text in json()) {
        check(&text);
    }

    #[test]
    fn any_builder(options in json(), steps in json(), variables in json()) {
        let inner = options.strip_prefix('{').and_then(|o| o.strip_suffix('}')).filter(|o| !o.is_empty());
        let options = inner.map_or(String::new(), |inner| format!(",{inner}"));
        check(&format!(
            r#"{{"variables":{variables},"builders":[{{"type":"amazon-chroot","source_ami":"ami-01234567"{options}}}],
            "provisioners":[{steps},{{"type":"shell"{options}}},{{"type":"file"{options}}}]}}"#
        ));
    }
}
