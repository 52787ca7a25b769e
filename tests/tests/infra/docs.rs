//! What docs/deploy.md says of the template.

use std::{collections::BTreeSet, path::Path};

use bakehouse_tests::template::{STACK, Template, path};

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy.md")).unwrap()
}

/// The words between backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_documented_parameters_exist() {
    let page = page();
    let (_, table) = page.split_once("| Parameter | Default |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let template = Template::read().unwrap();
    let mut listed = 0;
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let name = row.split('|').nth(1).unwrap();
        for name in quoted(name) {
            assert!(template.json["Parameters"][name].is_object(), "the template has no parameter {name}");
            listed += 1;
        }
    }
    assert!(listed > 15, "{listed}");
}

/// What is in the hosts' launch template, or decides where they run: with another value the group replaces them.
#[test]
fn the_page_lists_what_replaces_the_hosts() {
    let template = Template::read().unwrap();
    let hosts = |template: &Template| {
        let group = template.resource("Hosts")["Properties"]["VPCZoneIdentifier"].clone();
        // Another VPC means another security group, and with it another launch template.
        let vpc = template.resource("HostGroup")["Properties"]["VpcId"].clone();
        (template.resource("HostTemplate"), group, vpc)
    };
    let now = hosts(&template);
    let parameters = template.json["Parameters"].as_object().unwrap();
    let replaces = |name: &&String| hosts(&template.clone().with(name, "7")) != now;
    let replacing: BTreeSet<&str> = parameters.keys().filter(replaces).map(String::as_str).collect();
    assert!(replacing.contains("AgentSha256") && !replacing.contains("HostsMax"), "{replacing:?}");

    let page = page();
    let (_, listed) = page.split_once("**These parameters replace the hosts**").unwrap();
    let (listed, _) = listed.split_once(". ").unwrap();
    assert_eq!(quoted(listed), replacing);
}

#[test]
fn the_page_explains_each_alarm() {
    let template = Template::read().unwrap();
    let page = page();
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    assert!(!alarms.is_empty());
    for alarm in alarms {
        let name = template.resource(&alarm)["Properties"]["AlarmName"].clone();
        let name = name.as_str().unwrap().strip_prefix(STACK).unwrap().trim_start_matches('-');
        let tells = |row: &str| row.starts_with("| ") && row.split('|').nth(1).unwrap().contains(&format!("*{name}*"));
        assert!(page.lines().any(tells), "no row on the alarm {name}");
    }
}

/// `aws cloudformation deploy` takes no larger one as it is.
#[test]
fn the_template_can_be_deployed_from_a_file() {
    assert!(std::fs::metadata(path()).unwrap().len() <= 51_200);
}
