//! What a fixture is made of: the embedded cloud, images to bake from, and what the stack's template makes.

use std::{fs, path::Path};

use bakehouse_localcloud::{Delays, LocalCloud, disks, model::Import};
use bakehouse_protocol::{
    Region,
    spec::{Architecture, Virtualization},
};
use bakehouse_tests::moto::ACCOUNT;
use serde_json::{Value, json};

use super::{
    clock::now,
    disk::base_disk,
    names::STACK,
    options::Options,
    services::{REGION, Services},
};

pub(crate) fn open_cloud(dir: &Path, delays: Delays) -> LocalCloud {
    let mut settings = disks::Settings::new(1, now);
    settings.account = ACCOUNT.to_owned();
    settings.delays = delays;
    LocalCloud::open(&dir.join("cloud"), settings).unwrap()
}

/// Brings in an image to bake from.
pub(crate) fn import(cloud: &LocalCloud, dir: &Path, region: &Region, name: &str, base: Option<&Path>) -> String {
    let raw = base.map_or_else(
        || {
            let raw = dir.join(format!("{name}.raw"));
            base_disk(dir, &raw, |tree| fs::write(tree.join("etc/base"), name).unwrap());
            raw
        },
        Path::to_owned,
    );
    let gib = u32::try_from(fs::metadata(&raw).unwrap().len().div_ceil(1 << 30)).unwrap().max(1);
    let import = Import {
        name: name.to_owned(),
        description: String::new(),
        size: gib,
        architecture: if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X86_64 },
        virtualization_type: Virtualization::Hvm,
        root_device_name: "/dev/xvda".to_owned(),
        owner: None,
        owner_alias: None,
        deprecation_time: None,
        encrypted_with: None,
        tags: [].into(),
    };
    cloud.import_disk(region, &raw, import).unwrap().image_id.to_string()
}

/// What the stack's template makes, as far as the tests need it.
pub(crate) fn make_stack(services: &Services, options: &Options) -> (String, String, Value) {
    let dead = services.make_queue(&format!("{STACK}-inbox-dead"), json!({}));
    let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{STACK}-inbox-dead");
    let redrive = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 5 }).to_string();
    let inbox = services.make_queue(
        &format!("{STACK}-inbox"),
        json!({ "VisibilityTimeout": options.visibility.to_string(), "RedrivePolicy": redrive }),
    );
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let attributes = ["pk", "sk", "state", "id"].map(attribute);
    services.dynamodb(
        "CreateTable",
        json!({
            "TableName": STACK,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": attributes,
            "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by_state",
                "KeySchema": [key("state", "HASH"), key("id", "RANGE")],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": ["recipe", "phase", "accepted_at", "tick_at", "resources"],
                },
            }],
        }),
    );
    let bucket = format!("{STACK}-bundles-{ACCOUNT}-{REGION}");
    services.make_bucket(&bucket);
    let group = format!("/bakehouse/{STACK}/builds");
    services.logs("CreateLogGroup", json!({ "logGroupName": group }));
    let config = json!({
        "bakehouse": 1,
        "name": STACK,
        "region": REGION,
        "account": ACCOUNT,
        "table": STACK,
        "inbox_url": inbox,
        "bucket": bucket,
        "builds_log_group": group,
        "host_queue_prefix": format!("{STACK}-host-"),
        "host_role_arn": format!("arn:aws:iam::{ACCOUNT}:role/{STACK}-host"),
        "allow_host_access": options.allow_host_access,
        "host_silence_seconds": 120,
    });
    let name = format!("/bakehouse/{STACK}");
    services.ssm("PutParameter", json!({ "Name": name, "Type": "String", "Value": config.to_string() }));
    (inbox, dead, config)
}
