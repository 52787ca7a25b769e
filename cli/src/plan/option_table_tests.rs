//! The table of every option of `amazon-chroot`: what it changes in the spec, which calls of EC2 that changes, and
//! where the host's part is proved. It is made by planning a template with and without the option, and compared with
//! `docs/options.md`; `UPDATE_GOLDEN=1 cargo test -p bakehouse option_table` writes it anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use bakehouse_controller::mask::Mask;
use bakehouse_protocol::{BuildId, Region, Timestamp};
use bakehouse_runner::dry_run::dry_run;
use bakehouse_template::{Context, LoadRequest, TemplateSource, load};
use serde_json::{Value, json};

use super::{Assumed, PlanReport, offline, planned_build};

const NOW: Timestamp = Timestamp(1_795_382_529_195);

/// An option with a value, the options that it needs, and, if it is the host or another service that acts, the test
/// that shows it.
struct Sample {
    option: &'static str,
    value: Value,
    with: Value,
    test: &'static str,
}

fn sample(option: &'static str, value: Value) -> Sample {
    Sample { option, value, with: json!({}), test: "" }
}

fn with(option: &'static str, value: Value, with: Value) -> Sample {
    Sample { option, value, with, test: "" }
}

impl Sample {
    /// Also shown by this test, as the calls of a dry run do not.
    fn shown_by(self, test: &'static str) -> Self {
        Self { test, ..self }
    }
}

fn host(option: &'static str, value: Value, test: &'static str) -> Sample {
    Sample { option, value, with: json!({}), test }
}

fn scratch() -> Value {
    json!({
        "source_ami": null, "root_volume_size": 2, "root_device_name": "/dev/xvda", "ami_virtualization_type": "hvm",
        "ami_block_device_mappings": [{"device_name": "/dev/xvda"}], "pre_mount_commands": ["true"],
    })
}

fn samples() -> Vec<Sample> {
    let mapped = json!({"root_volume_size": 9, "ami_block_device_mappings": [{"device_name": "/dev/xvda"}]});
    let encrypted = json!({"encrypt_boot": true});
    let copied = json!({"ami_regions": ["eu-west-1"]});
    vec![
        sample("source_ami", json!("ami-0fedcba9876543210"))
            .shown_by("attributes_are_inherited_unless_the_template_sets_them"),
        with("source_ami_filter", json!({"owners": ["self"], "most_recent": true}), json!({"source_ami": null})),
        with("from_scratch", json!(true), scratch()),
        with(
            "ami_block_device_mappings",
            json!([{"device_name": "/dev/xvda"}, {"device_name": "/dev/xvdb", "volume_size": 1}]),
            json!({"root_volume_size": 9, "root_device_name": "/dev/xvda"}),
        ),
        with("root_device_name", json!("/dev/xvda"), mapped),
        sample("root_volume_size", json!(20)),
        sample("root_volume_type", json!("gp2")),
        sample("root_volume_tags", json!({"a": "b"})),
        sample("root_volume_tag", json!([{"key": "a", "value": "b"}])),
        sample("root_volume_encrypt_boot", json!(true)),
        with("root_volume_kms_key_id", json!("alias/a"), json!({"root_volume_encrypt_boot": true})),
        sample("device_path", json!("/dev/sdg")),
        host("nvme_device_path", json!("/dev/nvme9n1p"), "root_the_paths_of_a_template_lead_to_the_disk"),
        host("mount_partition", json!("2"), "root_ext4_runs_on_every_layout"),
        host("mount_path", json!("/mnt/image"), "root_mount_paths_may_exist_or_be_in_the_root_directory"),
        host("mount_options", json!(["noatime"]), "flags_are_separated_from_data"),
        host("pre_mount_commands", json!(["true"]), "root_host_commands_partition_a_disk_from_scratch"),
        host("post_mount_commands", json!(["true"]), "root_host_commands_see_packers_mounts_and_files"),
        host(
            "chroot_mounts",
            json!([["bind", "/dev", "/dev"]]),
            "root_copy_files_and_chroot_mounts_replace_the_defaults",
        ),
        host("copy_files", json!(["/etc/hosts"]), "root_copy_files_and_chroot_mounts_replace_the_defaults"),
        host("command_wrapper", json!("nice {{.Command}}"), "root_the_environment_is_exactly_as_documented"),
        with("ami_architecture", json!("arm64"), {
            let mut options = scratch();
            options["from_scratch"] = json!(true);
            options
        }),
        sample("boot_mode", json!("uefi")),
        with("uefi_data", json!("QU1aTlVFRkk="), json!({"boot_mode": "uefi"})),
        sample("tpm_support", json!("v2.0")),
        sample("ami_name", json!("other")),
        sample("ami_description", json!("of {{.BuildRegion}}")),
        sample("ami_virtualization_type", json!("paravirtual")),
        sample("ami_users", json!(["123456789012"])),
        sample("ami_groups", json!(["all"])),
        sample("ami_org_arns", json!(["arn:aws:organizations::111122223333:organization/o-abcdefghij"])),
        sample("ami_ou_arns", json!(["arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-ab12-cdefghij"])),
        sample("ami_product_codes", json!(["0123456789abcdefghijklmno"])),
        sample("ami_regions", json!(["eu-west-1"])),
        with("skip_region_validation", json!(true), copied.clone())
            .shown_by("regions_are_checked_unless_that_is_skipped"),
        sample("tags", json!({"a": "b"})),
        sample("tag", json!([{"key": "a", "value": "b"}])),
        sample("snapshot_tags", json!({"a": "b"})),
        sample("snapshot_tag", json!([{"key": "a", "value": "b"}])),
        sample("snapshot_users", json!(["123456789012"])),
        sample("snapshot_groups", json!(["all"])),
        sample("ena_support", json!(false)),
        sample("sriov_support", json!(false)),
        sample("force_deregister", json!(true)).shown_by("an_image_of_the_name_is_replaced_only_if_that_is_asked_for"),
        with("force_delete_snapshot", json!(true), json!({"force_deregister": true}))
            .shown_by("every_script_goes_as_its_golden_file_says"),
        sample("encrypt_boot", json!(true)),
        with("kms_key_id", json!("alias/a"), encrypted),
        with(
            "region_kms_key_ids",
            json!({"eu-west-1": "alias/a"}),
            json!({"encrypt_boot": true, "ami_regions": ["eu-west-1"]}),
        ),
        with("skip_save_build_region", json!(true), copied.clone()),
        with("snapshot_copy_duration_minutes", json!(60), copied),
        sample("imds_support", json!("v2.0")),
        sample("deprecate_at", json!("2027-06-01T00:00:00Z")),
        sample("deregistration_protection", json!({"with_cooldown": true})),
        sample("bakehouse_volume_initialization_rate", json!(200)),
        sample("bakehouse_volume_throughput", json!(250)),
        sample("bakehouse_deprecate_in", json!("24h")),
        sample("bakehouse_keep", json!(3)).shown_by("every_script_goes_as_its_golden_file_says"),
        sample("bakehouse_ssm_parameters", json!(["/images/web"])),
        sample("bakehouse_watermarks", json!(["hardened"])),
        sample("bakehouse_account_copies", json!([{"role_arn": "arn:aws:iam::444455556666:role/images"}]))
            .shown_by("every_script_goes_as_its_golden_file_says"),
        sample("region", json!("eu-west-1")),
        host("aws_polling", json!({"delay_seconds": 5}), "a_templates_polling_sets_interval_and_deadline"),
    ]
}

/// The access options, which are not in the spec because they hold secrets: each with the test of what it does.
const ACCESS: [(&str, &str); 13] = [
    ("access_key", "a_template_overrides_the_environment"),
    ("secret_key", "a_template_overrides_the_environment"),
    ("token", "a_template_overrides_the_environment"),
    ("profile", "profiles_and_files_are_read"),
    ("shared_credentials_file", "profiles_and_files_are_read"),
    ("assume_role", "a_role_is_assumed_as_the_template_says"),
    ("custom_endpoint_ec2", "a_template_overrides_the_environment"),
    ("mfa_code", "access"),
    ("vault_aws_engine", "temporary_and_lasting_keys_are_read"),
    ("insecure_skip_tls_verify", "a_certificate_is_not_checked_if_the_template_says_so"),
    ("max_retries", "access"),
    ("decode_authorization_messages", "the_encoded_text_is_found"),
    ("skip_credential_validation", "access"),
];

/// What a template leads to: its spec and the calls, as paths with values.
fn outcome(options: &Value) -> Result<(BTreeMap<String, Value>, BTreeSet<String>), String> {
    let template = json!({"builders": [options]}).to_string();
    let context = Context { now: NOW, working_directory: "/".into(), uuid_seed: 7, ..Context::default() };
    let source = TemplateSource::Text { name: "t.json".to_owned(), text: template };
    let loaded = load(&LoadRequest::new(source, context)).map_err(|problems| format!("{:?}", problems.errors))?;
    let spec = loaded.builds.into_iter().next().ok_or("no build")?;
    let mut paths = BTreeMap::new();
    flatten("", &serde_json::to_value(&spec).map_err(|error| error.to_string())?, &mut paths);
    let region = spec.region.clone().unwrap_or(Region::new("us-east-1").map_err(|error| error.to_string())?);
    let build = planned_build(spec.clone(), region.clone(), "t.json", BuildId::from_parts(NOW.0 / 1000, 1), NOW);
    let (source, plan) = pollster::block_on(offline(&build)).map_err(|fault| fault.message)?;
    let run = dry_run(build, plan).map_err(|error| error.to_string())?;
    let report = PlanReport::new(&spec, &region, source.as_ref(), Assumed::Source, run, &Mask::default());
    let calls = report.phases.into_iter().flat_map(|phase| phase.calls);
    let lines = calls.flat_map(|call| {
        let (action, region) = (call.action, call.region);
        let whole = format!("{action}\t{action}\t{region}");
        let each = move |(name, value): (String, String)| format!("{action}.{}\t{region}\t{value}", general(&name));
        call.parameters.into_iter().map(each).chain([whole]).collect::<Vec<_>>()
    });
    Ok((paths, lines.collect()))
}

/// A parameter without the numbers of lists and the keys of tags.
fn general(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').filter(|part| !part.bytes().all(|byte| byte.is_ascii_digit())).collect();
    match parts.iter().position(|part| part.ends_with("Tags")) {
        Some(tags) => parts[..=tags].join("."),
        None => parts.join("."),
    }
}

fn flatten(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                flatten(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, found);
            }
        }
        other => drop(found.insert(path.to_owned(), other.clone())),
    }
}

fn row(sample: &Sample) -> String {
    let mut base = json!({"type": "amazon-chroot", "source_ami": "ami-0123456789abcdef0", "ami_name": "web"});
    let members = base.as_object_mut().unwrap();
    members.extend(sample.with.as_object().unwrap().clone());
    let mut changed = base.clone();
    changed[sample.option] = sample.value.clone();
    let (spec, calls) = outcome(&changed).unwrap_or_else(|error| panic!("{}: {error}", sample.option));
    // What can't be read without the option has nothing to be compared with.
    let (old_spec, old_calls) = outcome(&base).unwrap_or_default();
    let paths: Vec<&str> = spec
        .iter()
        .filter(|(path, value)| !old_spec.is_empty() && old_spec.get(*path) != Some(value))
        .map(|(path, _)| path.as_str())
        .filter(|path| !["display_name"].contains(path))
        .collect();
    let parameter = |line: &String| line.split('\t').next().unwrap_or_default().to_owned();
    let differing: BTreeSet<String> = calls.symmetric_difference(&old_calls).map(parameter).collect();
    let mut differing: Vec<String> = differing.into_iter().filter(|name| !name.ends_with("ClientToken")).collect();
    if differing.len() > 6 {
        // A whole call, or a whole region, is told by its calls alone.
        let calls: BTreeSet<String> =
            differing.iter().map(|name| name.split('.').next().unwrap_or("").to_owned()).collect();
        differing = calls.into_iter().collect();
    }
    let list = |items: Vec<String>| match items.is_empty() {
        true => "–".to_owned(),
        false => items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", "),
    };
    let paths = if old_spec.is_empty() { vec!["source"] } else { paths };
    let proved = if sample.test.is_empty() { "this table's".to_owned() } else { format!("`{}`", sample.test) };
    let (paths, calls) = (list(paths.into_iter().map(str::to_owned).collect()), list(differing));
    assert!(paths != "–" || calls != "–", "{} changes nothing", sample.option);
    let ends = calls != "–" || !sample.test.is_empty();
    let calls = if ends { calls } else { "NOWHERE".to_owned() };
    format!("| `{}` | {paths} | {calls} | {proved} |", sample.option)
}

#[test]
fn option_table_is_as_the_document_says() {
    let mut text = String::from(
        "# Options, and where they end\n\nEvery option of `amazon-chroot`: the fields of the build's spec that it sets, and the \
         calls and parameters of EC2\nthat differ because of it. The table is made by planning a template with and without the \
         option\n(`cli/src/plan/option_table_tests.rs`) and held by that test; where the host or another service acts, the test \
         that\nshows it is named.\n\n| Option | Spec | Calls | Test |\n|---|---|---|---|\n",
    );
    for sample in samples() {
        let _ = writeln!(text, "{}", row(&sample));
    }
    for (option, test) in ACCESS {
        let _ = writeln!(text, "| `{option}` | access | – | `{test}` |");
    }
    let missing: Vec<&str> =
        bakehouse_template::builder_options().filter(|option| !text.contains(&format!("\n| `{option}` |"))).collect();
    assert_eq!(missing, [] as [&str; 0], "no row");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/options.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let should = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, should, "docs/options.md is made by this test");
}
