//! Policies of whole templates, to be read: every line of them is a claim.

use std::{collections::BTreeMap, path::Path};

use bakehouse_controller::policy::{ArnScope, Caller, least_policy};
use bakehouse_protocol::{BuildSpec, Timestamp};
use bakehouse_template::{Context, LoadRequest, TemplateSource, load};

fn specs(template: TemplateSource, directory: &Path) -> Vec<BuildSpec> {
    let context = Context {
        now: Timestamp(1_795_382_529_195),
        environment: BTreeMap::new(),
        working_directory: directory.to_owned(),
        uuid_seed: 7,
        root: "/".into(),
    };
    load(&LoadRequest::new(template, context)).unwrap().builds
}

fn example(name: &str) -> Vec<BuildSpec> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize().unwrap();
    specs(TemplateSource::Path(examples.join(name)), &examples)
}

fn text(template: &str) -> Vec<BuildSpec> {
    specs(TemplateSource::Text { name: "t.json".to_owned(), text: template.to_owned() }, Path::new("/"))
}

fn controller() -> Caller {
    Caller::Controller { stack: "bakehouse".to_owned() }
}

fn shown(specs: &[BuildSpec], who: &Caller, place: &ArnScope) -> String {
    serde_json::to_string_pretty(&least_policy(specs, who, place)).unwrap()
}

fn known() -> ArnScope {
    let region = Some("us-east-1".parse().unwrap());
    ArnScope { account: Some("123456789012".to_owned()), region, ..ArnScope::default() }
}

#[test]
fn an_image_from_scratch() {
    insta::assert_snapshot!(shown(&example("base.json"), &Caller::Instance { instance: None }, &ArnScope::default()));
}

#[test]
fn a_child_with_copies_by_the_controller() {
    insta::assert_snapshot!(shown(&example("web.json"), &controller(), &known()));
}

#[test]
fn everything_that_asks_for_rights() {
    let specs = text(
        r#"{"builders": [{
            "type": "amazon-chroot", "ami_name": "all-{{timestamp}}", "source_ami": "resolve:ssm:/golden/base:3",
            "ami_regions": ["eu-west-1"], "ami_users": ["123456789013"], "ami_groups": ["all"],
            "ami_product_codes": ["0123456789abcdefghijklmno"], "root_device_name": "/dev/xvda", "root_volume_size": 8,
            "ami_block_device_mappings": [
                {"device_name": "/dev/xvda", "delete_on_termination": true},
                {"device_name": "/dev/sdb", "snapshot_id": "snap-0123456789abcdef0"}
            ]
        }]}"#,
    );
    let instance = Some("i-0123456789abcdef0".parse().unwrap());
    insta::assert_snapshot!(shown(&specs, &Caller::Instance { instance }, &known()));
}

/// Where nothing is known of the place, everything is left open but what the build's tags hold.
#[test]
fn a_parameter_of_amazons_in_an_unknown_place() {
    let specs = text(
        r#"{"builders": [{"type": "amazon-chroot", "ami_name": "least",
            "source_ami": "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"}]}"#,
    );
    insta::assert_snapshot!(shown(&specs, &controller(), &ArnScope::default()));
}

/// Two builders are one policy: what they share stands in it once.
#[test]
fn two_builders() {
    let specs = text(
        r#"{"builders": [
            {"type": "amazon-chroot", "name": "a", "ami_name": "one", "source_ami": "ami-01234567", "region": "us-east-1"},
            {"type": "amazon-chroot", "name": "b", "ami_name": "two", "source_ami": "ami-01234567", "region": "us-west-2",
             "ami_users": ["123456789013"]}
        ]}"#,
    );
    insta::assert_snapshot!(shown(&specs, &controller(), &known()));
}
