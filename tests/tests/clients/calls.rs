//! The calls that Packer 1.6.6 and Bakehouse make for one template, on one `bakehouse local serve`: Bakehouse as on an
//! instance, through the SDK. What is sent must be equal, or stand in the list below with its reason; and what is in
//! the list must occur.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    common::{Fixture, base_disk},
    packer::{DEVICE, Lock, packer_command, program},
    served::Served,
};

/// The calls that are compared.
const ACTIONS: [&str; 6] =
    ["CreateVolume", "RegisterImage", "CopyImage", "ModifyImageAttribute", "ModifySnapshotAttribute", "CreateTags"];

/// What differs: the call, the parameter (or its beginning, with `*`), and why that is right.
const DIFFERENCES: [(&str, &str, &str); 13] = [
    ("*", "Version", "each SDK has the API version of its time"),
    ("*", "ClientToken", "Bakehouse's calls are safe to repeat"),
    ("CreateVolume", "TagSpecification.*", "Bakehouse's own tags are on the volume from the start"),
    ("CreateVolume", "Encrypted", "Packer sends `false` also where nothing is said of encryption"),
    ("RegisterImage", "TagSpecification.*", "Bakehouse's images have their tags from the start"),
    ("RegisterImage", "Description", "Bakehouse sets it when it registers, Packer by a call of its own"),
    ("RegisterImage", "EnaSupport", "Bakehouse inherits it from the source"),
    ("RegisterImage", "SriovNetSupport", "Bakehouse inherits it from the source"),
    ("CopyImage", "TagSpecification.*", "Bakehouse's copies have their tags from the start"),
    ("CopyImage", "KmsKeyId", "Packer sends an empty key also where nothing is encrypted"),
    (
        "ModifySnapshotAttribute",
        "UserId.*",
        "Packer sends the old parameter beside the new one, which EC2 does not need",
    ),
    ("ModifyImageAttribute", "*", "Packer sets each attribute by a call, the description among them"),
    ("CreateTags", "*", "Packer tags everything afterwards, Bakehouse only what changes when the image is to stay"),
];

/// The templates: a name, and the options beyond the base's.
fn templates() -> Vec<(&'static str, Value)> {
    vec![
        ("plain", json!({})),
        ("sized", json!({ "root_volume_size": 2, "root_volume_type": "gp2" })),
        (
            "shared",
            json!({ "ami_users": ["123456789012"], "snapshot_users": ["123456789012"], "ami_description": "of {{.SourceAMI}}" }),
        ),
        ("copied", json!({ "ami_regions": ["eu-central-1"], "tags": { "Stage": "prod" } })),
        (
            "mapped",
            json!({
                "root_device_name": "/dev/xvda",
                "root_volume_size": 2,
                "ami_block_device_mappings": [
                    { "device_name": "/dev/xvda", "volume_type": "gp2", "delete_on_termination": true },
                    { "device_name": "/dev/xvdb", "volume_size": 1, "volume_type": "gp2" },
                    { "device_name": "/dev/xvdc", "virtual_name": "ephemeral0" },
                ],
            }),
        ),
        ("flagged", json!({ "ena_support": true, "sriov_support": true, "ami_virtualization_type": "hvm" })),
    ]
}

/// What one program sent: for each call and region its parameters, ids replaced by their kind.
type Sent = BTreeMap<(String, String), BTreeMap<String, BTreeSet<String>>>;

fn sent(calls: &[Value], name: &str) -> Sent {
    let mut sent = Sent::new();
    for call in calls.iter().filter(|call| ACTIONS.contains(&call["action"].as_str().unwrap())) {
        assert!(call["code"].is_null(), "{call:#}");
        let key = (call["action"].as_str().unwrap().to_owned(), call["region"].as_str().unwrap_or_default().to_owned());
        let parameters = sent.entry(key).or_default();
        for (parameter, value) in call["parameters"].as_object().unwrap() {
            if parameter != "Action" {
                let value = kind_of(value.as_str().unwrap(), name);
                parameters.entry(parameter.clone()).or_default().insert(value);
            }
        }
    }
    sent
}

fn kind_of(value: &str, name: &str) -> String {
    if value == name {
        return "(name)".to_owned();
    }
    let id = ["ami-", "snap-", "vol-", "i-"].into_iter().find(|kind| {
        value
            .strip_prefix(kind)
            .is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    });
    id.map_or_else(|| value.to_owned(), |kind| format!("({kind})"))
}

/// Returns the index of the entry that allows this difference.
fn allowed(action: &str, parameter: &str) -> Option<usize> {
    let matches = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern == text,
    };
    DIFFERENCES.iter().position(|(call, name, _)| matches(call, action) && matches(name, parameter))
}

#[test]
fn root_packer_and_bakehouse_send_the_same_or_it_is_listed() {
    let test = "root_packer_and_bakehouse_send_the_same_or_it_is_listed";
    let Some(fixture) = Fixture::bare(test) else { return };
    let Some(program) = program(test) else { return };
    let _lock = Lock::new();
    let raw = fixture.path().join("base.raw");
    base_disk(fixture.path(), &raw, |_| {});
    fixture.run(["local", "import", raw.to_str().unwrap(), "--name", "base"]).exits(0);
    let served = Served::start(&fixture);
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (name, options) in templates() {
        let mut all =
            json!({ "ami_name": format!("{name}-{{{{user `by`}}}}"), "device_path": DEVICE, "mount_partition": "1" });
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let path = fixture.template(&format!("{name}.json"), all, json!([{ "type": "shell", "inline": ["true"] }]));
        let mut template: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        template["variables"] = json!({ "by": "" });
        let template = fixture.file(&format!("{name}.json"), &template.to_string());

        let before = served.calls().len();
        let output = packer_command(&fixture, &program, &served, &template).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        fs::remove_dir(fixture.mounts().join("xvdp")).unwrap();
        let middle = served.calls().len();
        let mut bakehouse = fixture.command(["build", &template, "-var", "by=bakehouse"]);
        bakehouse
            .env("BAKEHOUSE_STATE", fixture.path().join("on-instance"))
            .env("BAKEHOUSE_BY_ID", fixture.state().join("cloud/by-id"))
            .env("AWS_ENDPOINT_URL_EC2", served.url())
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", served.url())
            .env("AWS_ACCESS_KEY_ID", &served.environment["AWS_ACCESS_KEY_ID"])
            .env("AWS_SECRET_ACCESS_KEY", &served.environment["AWS_SECRET_ACCESS_KEY"])
            .stdin(Stdio::null());
        let output = bakehouse.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let calls = served.calls();
        let packer = sent(&calls[before..middle], &format!("{name}-packer"));
        let ours = sent(&calls[middle..], &format!("{name}-bakehouse"));
        let keys: BTreeSet<_> = packer.keys().chain(ours.keys()).cloned().collect();
        for (action, region) in keys {
            let none = BTreeMap::new();
            let of = |sent: &Sent| sent.get(&(action.clone(), region.clone())).cloned().unwrap_or_else(|| none.clone());
            let (one, two) = (of(&packer), of(&ours));
            let parameters: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
            for parameter in parameters.into_iter().filter(|parameter| one.get(*parameter) != two.get(*parameter)) {
                match allowed(&action, parameter) {
                    Some(index) => drop(used.insert(index)),
                    None => wrong.push(format!(
                        "{name}: {action} in {region}: {parameter}: Packer {:?}, Bakehouse {:?}",
                        one.get(parameter),
                        two.get(parameter)
                    )),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unused: Vec<_> =
        (0..DIFFERENCES.len()).filter(|index| !used.contains(index)).map(|index| DIFFERENCES[index]).collect();
    assert!(unused.is_empty(), "these do not differ: {unused:#?}");
    assert!(served.end(), "it ends well on SIGINT");
}
