//! No template causes a panic, and every error has a location in the text.

mod common;

use bakehouse_template::{Loaded, Problems};
use common::{Fixture, load_text};
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
    check_result(load_text(text));
}

fn check_result(result: Result<Loaded, Problems>) {
    match result {
        Ok(loaded) => assert!(!loaded.builds.is_empty() || !loaded.skipped.is_empty()),
        Err(problems) => {
            assert!(!problems.errors.is_empty());
            for error in &problems.errors {
                assert!(error.position().is_none() || error.excerpt().is_some(), "{error:?}");
            }
        }
    }
}

/// Bodies in HCL made of the blocks, names and expressions that templates use.
fn hcl() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "true",
        "null",
        "\"web\"",
        "\"source.amazon-chroot.web\"",
        "\"a ${var.x} \\u00e9 {{timestamp}} $${b}\"",
        "\"{{\"",
        "\"${local.x}\"",
        "var.x",
        "local.y.z[0]",
        "data.amazon-ami.b.id",
        "build.SourceAMI",
        "source.name",
        "tag.value",
        "timestamp()",
        "[for a in local.x : a]",
        "try(var.y, 1)",
        "<<-E\n  a ${var.x}\n    é {{.X}}\n  E\n",
        "string",
    ]);
    let expression = leaf.prop_map(str::to_owned).prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(", "))),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| {
                let entries: Vec<String> =
                    list.iter().enumerate().map(|(n, value)| format!("k{n} = {value}")).collect();
                format!("{{\n{}\n}}", entries.join("\n"))
            }),
            inner.prop_map(|inner| format!("upper({inner})")),
        ]
    });
    let name = prop::sample::select(vec![
        "ami_name",
        "source_ami",
        "tags",
        "inline",
        "for_each",
        "iterator",
        "labels",
        "sources",
        "name",
        "only",
        "except",
        "override",
        "type",
        "default",
        "sensitive",
        "expression",
        "x",
        "y",
        "owners",
        "filters",
        "required_version",
    ]);
    let block = prop::sample::select(vec![
        "source \"amazon-chroot\" \"web\"",
        "source \"amazon-chroot.web\"",
        "build",
        "provisioner \"shell\"",
        "post-processors",
        "post-processor \"manifest\"",
        "variable \"x\"",
        "variables",
        "locals",
        "local \"x\"",
        "data \"amazon-ami\" \"b\"",
        "dynamic \"tag\"",
        "dynamic \"provisioner\"",
        "dynamic \"source\"",
        "content",
        "tag",
        "source_ami_filter",
        "validation",
        "packer",
        "nothing",
    ]);
    let attribute = (name, expression).prop_map(|(name, value)| format!("{name} = {value}\n"));
    let body = prop::collection::vec(attribute.clone(), 0..5).prop_map(|lines| lines.concat());
    body.prop_recursive(4, 40, 5, move |inner| {
        let part = (block.clone(), inner).prop_map(|(head, body)| format!("{head} {{\n{body}}}\n"));
        prop::collection::vec(prop_oneof![3 => part, 1 => attribute.clone()], 0..6).prop_map(|parts| parts.concat())
    })
}

proptest! {
    #[test]
    fn any_text_in_hcl(text in "\\PC*") {
        check_result(Fixture::hcl(&text).load());
        check_result(Fixture::new("").template("web.pkr.json", &text).load());
    }

    #[test]
    fn any_hcl(text in hcl()) {
        check_result(Fixture::hcl(&text).load());
    }

    #[test]
    fn any_json_as_hcl(text in json()) {
        check_result(Fixture::new("").template("web.pkr.json", &text).load());
    }

    #[test]
    fn any_variable_file(file in hcl(), json in json(), value in "\\PC*") {
        let template = "variable \"x\" {\n  type = list(any)\n}\nvariable \"y\" {\n  default = {}\n}\n";
        let fixture = Fixture::hcl(template).var_file("a.hcl", &file).var_file("b.json", &json);
        check_result(fixture.var("x", &value).load());
    }

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
