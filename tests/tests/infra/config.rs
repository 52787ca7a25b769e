//! What the template writes and our programs read.

use std::path::Path;

use bakehouse_protocol::{
    BuildId, Envelope, InboxMessage, OnDemand, StackConfig,
    message::{BuildTarget, Request},
};
use bakehouse_tests::template::{ACCOUNT, INSTANCE, REGION, STACK, Template};
use bakehouse_tests::{iam, roles};
use serde_json::{Value, json};

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} of {value}"))
}

/// The configuration for the hosts: what stands between the lines `CONFIG` of the user data.
fn agents(template: &Template) -> Value {
    let host = template.resource("HostTemplate");
    let script = text(&host, "/Properties/LaunchTemplateData/UserData");
    let (_, rest) = script.split_once("<<'CONFIG'\n").unwrap();
    let (config, _) = rest.split_once("\nCONFIG\n").unwrap();
    serde_json::from_str(config).unwrap()
}

fn functions(template: &Template) -> Value {
    let function = template.resource("Controller");
    serde_json::from_str(text(&function, "/Properties/Environment/Variables/BAKEHOUSE_CONFIG")).unwrap()
}

fn users(template: &Template) -> Value {
    serde_json::from_str(text(&template.resource("Config"), "/Properties/Value")).unwrap()
}

#[test]
fn all_three_configurations_agree() {
    let template = Template::read().unwrap().with("AllowHostAccess", "true").with("HostSilenceSeconds", "300");
    let config = users(&template);
    assert_eq!(functions(&template), config);
    let mut agents = agents(&template);
    assert_eq!(agents.as_object_mut().unwrap().remove("slots"), Some(json!(4)));
    assert_eq!(agents, config);

    let config: StackConfig = serde_json::from_value(config).unwrap();
    let expected = StackConfig {
        version: bakehouse_protocol::VERSION,
        name: STACK.to_owned(),
        region: REGION.parse().unwrap(),
        account: ACCOUNT.to_owned(),
        table: "bakehouse".to_owned(),
        inbox_url: format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/bakehouse-inbox"),
        bucket: format!("bakehouse-bundles-{ACCOUNT}-{REGION}"),
        builds_log_group: "/bakehouse/bakehouse/builds".to_owned(),
        host_queue_prefix: "bakehouse-host-".to_owned(),
        host_role_arn: format!("arn:aws:iam::{ACCOUNT}:role/bakehouse-HostRole"),
        host_role_id: "HostRole.RoleId".to_owned(),
        allow_host_access: true,
        host_silence_seconds: 300,
    };
    assert_eq!(config, expected);
}

#[test]
fn the_configuration_sets_every_field() {
    let template = Template::read().unwrap();
    let written = users(&template);
    let read: StackConfig = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
}

fn message(text: &str) -> InboxMessage {
    let envelope: Envelope<InboxMessage> = serde_json::from_str(text).unwrap();
    assert_eq!(envelope.version, bakehouse_protocol::VERSION);
    envelope.message
}

#[test]
fn messages_of_rules_and_schedules_are_understood() {
    let template = Template::read().unwrap().with("ScheduleRecipe", "web");
    let input = |rule: &str| message(text(&template.resource(rule), "/Properties/Targets/0/Input"));
    assert_eq!(input("PatrolRule"), InboxMessage::Patrol);
    assert_eq!(input("ReleaseRule"), InboxMessage::Release);
    let schedule = message(text(&template.resource("Schedule"), "/Properties/Target/Input"));
    let expected = Request {
        build: None::<BuildId>,
        target: BuildTarget::Recipe("web".to_owned()),
        vars: Default::default(),
        scheduled: Some("<aws.scheduler.scheduled-time>".to_owned()),
    };
    assert_eq!(schedule, InboxMessage::Request(expected));
}

#[test]
fn every_rule_may_send_to_the_inbox_and_no_other() {
    let template = Template::read().unwrap();
    let rules = template.of_type("AWS::Events::Rule");
    let arns: Vec<Value> = rules
        .iter()
        .map(|rule| {
            let resource = template.resource(rule);
            assert_eq!(resource["Properties"]["Targets"].as_array().map(Vec::len), Some(1), "{rule}");
            Value::from(format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}"))
        })
        .collect();
    let policy = template.resource("InboxPolicy");
    let statements = policy["Properties"]["PolicyDocument"]["Statement"].as_array().unwrap();
    let rules = statements.iter().find(|statement| statement["Sid"] == "RulesOfThisStack").unwrap();
    let mut allowed = rules["Condition"]["ArnEquals"]["aws:SourceArn"].as_array().unwrap().clone();
    allowed.sort_by_key(Value::to_string);
    assert_eq!(allowed, arns);
}

/// A message that a function held when it died comes again before its sender counts as silent, even if it happens
/// twice.
#[test]
fn a_message_is_redelivered_before_its_host_counts_as_silent() {
    let template = Template::read().unwrap();
    let visibility = template.resource("Inbox")["Properties"]["VisibilityTimeout"].as_u64().unwrap();
    let timeout = template.resource("Controller")["Properties"]["Timeout"].as_u64().unwrap();
    assert!(visibility >= timeout, "Lambda refuses a queue that hides messages for less than the function's time");
    let silence = &template.json["Parameters"]["HostSilenceSeconds"];
    for value in ["Default", "MinValue"] {
        let silence = silence[value].as_u64().unwrap();
        assert!(2 * visibility < silence, "HostSilenceSeconds, {value}: {silence}, with {visibility} s twice");
    }
}

/// A valid lifecycle hook, or none.
#[test]
fn a_lifecycle_hook_is_none_or_a_valid_one() {
    let template = Template::read().unwrap();
    assert_eq!(template.resource("HostFarewell"), Value::Null);
    let allowed = template.json["Parameters"]["HostFarewellSeconds"]["AllowedValues"].as_array().unwrap();
    assert_eq!(allowed[0], 0);
    for seconds in &allowed[1..] {
        assert!((30..=7200).contains(&seconds.as_u64().unwrap()), "{seconds}");
        let hook = template.clone().with("HostFarewellSeconds", &seconds.to_string()).resource("HostFarewell");
        assert_eq!(hook["Properties"]["HeartbeatTimeout"], *seconds);
    }
}

#[test]
fn a_host_has_no_ingress_and_egress_to_three_ports_or_all() {
    let goes_out = |template: &Template| {
        let group = template.resource("HostGroup");
        assert_eq!(group["Properties"].get("SecurityGroupIngress"), None);
        let rules = group["Properties"]["SecurityGroupEgress"].as_array().unwrap();
        rules.iter().map(|rule| rule["ToPort"].as_u64()).collect::<std::collections::BTreeSet<_>>()
    };
    let template = Template::read().unwrap();
    assert!(template.of_type("AWS::EC2::SecurityGroupIngress").is_empty());
    assert_eq!(goes_out(&template), [Some(53), Some(80), Some(443)].into());
    assert_eq!(goes_out(&template.with("HostEgress", "all")), [None].into());
}

/// The controller sends its ticks to the inbox that invokes it. By default Lambda takes that for a loop and ends a
/// chain of such invocations at about the 16th. With that off, an alarm must report a real loop.
#[test]
fn loop_detection_is_off_and_an_alarm_counts_invocations() {
    let template = Template::read().unwrap();
    let function = template.resource("Controller");
    assert_eq!(text(&function, "/Properties/RecursiveLoop"), "Allow");
    let alarms = template.of_type("AWS::CloudWatch::Alarm").into_iter().map(|name| template.resource(&name));
    let counting: Vec<_> =
        alarms.map(|alarm| alarm["Properties"].clone()).filter(|alarm| alarm["MetricName"] == "Invocations").collect();
    let [alarm] = &counting[..] else { panic!("{counting:?}") };
    assert_eq!(alarm["Namespace"], "AWS/Lambda");
    assert_eq!(alarm["Statistic"], "Sum");
    assert_eq!(alarm["ComparisonOperator"], "GreaterThanThreshold");
    let name = text(&function, "/Properties/FunctionName");
    assert_eq!(alarm["Dimensions"], json!([{ "Name": "FunctionName", "Value": name }]));
    // Between what ten full hosts make and what MaximumConcurrency allows; the template has the reckoning.
    let threshold = alarm["Threshold"].as_u64().unwrap() * 300 / alarm["Period"].as_u64().unwrap();
    assert!((2 * 1_300..12_000 / 2).contains(&threshold), "{threshold}");
}

#[test]
fn every_alarm_notifies_the_topic_if_there_is_one() {
    let actions = |template: &Template| {
        let alarms = template.of_type("AWS::CloudWatch::Alarm").into_iter();
        alarms.map(|name| template.resource(&name)["Properties"]["AlarmActions"].clone()).collect::<Vec<_>>()
    };
    let template = Template::read().unwrap();
    assert!(actions(&template).iter().all(Value::is_null));
    let topic = "arn:aws:sns:us-east-1:123456789012:ops";
    let value = actions(&template.with("AlarmTopicArn", topic));
    assert!(!value.is_empty() && value.iter().all(|actions| actions == &json!([topic])), "{value:?}");
}

/// By the function's source: linking it here would bring AWS's SDK along.
#[test]
fn alarms_use_metrics_of_the_function() {
    let template = Template::read().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../controller/lambda/src/metrics.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let mut ours = 0;
    for alarm in template.of_type("AWS::CloudWatch::Alarm") {
        let alarm = template.resource(&alarm);
        let properties = &alarm["Properties"];
        if text(properties, "/Namespace").starts_with("AWS/") {
            continue;
        }
        ours += 1;
        assert!(source.contains(&format!("NAMESPACE: &str = \"{}\"", text(properties, "/Namespace"))));
        assert!(source.contains(&format!("=> \"{}\"", text(properties, "/MetricName"))), "{properties}");
        assert_eq!(properties["Dimensions"].as_array().map(Vec::len), Some(1));
        assert_eq!(text(properties, "/Dimensions/0/Value"), STACK);
        assert!(source.contains(&format!("vec![\"{}\"]", text(properties, "/Dimensions/0/Name"))), "{properties}");
    }
    assert_eq!(ours, 2, "builds failing, and no host");
}

#[test]
fn the_controller_starts_and_stops_only_the_host_on_demand() {
    let variable = |template: &Template| {
        let function = template.resource("Controller");
        function.pointer("/Properties/Environment/Variables/BAKEHOUSE_ON_DEMAND").cloned()
    };
    let rights = |template: &Template| {
        let role = roles::policy(template, roles::CONTROLLER);
        let may = |action: &str, instance: &str| {
            role.allows(&iam::Request {
                action: action.to_owned(),
                resource: format!("arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance}"),
                context: [("ec2:Region".to_owned(), REGION.to_owned())].into(),
            })
        };
        ["ec2:StartInstances", "ec2:StopInstances"]
            .map(|action| (may(action, INSTANCE), may(action, "i-0123456789abcdef0")))
    };
    let without = Template::read().unwrap();
    assert_eq!(variable(&without), None);
    assert_eq!(rights(&without), [(false, false); 2]);
    assert_eq!(without.resource("OnDemandHost"), Value::Null);

    let with = without.with("HostOnDemand", "true").with("HostIdleSeconds", "600");
    let value = variable(&with).unwrap();
    let value: OnDemand = serde_json::from_str(value.as_str().unwrap()).unwrap();
    assert_eq!(value, OnDemand { instances: vec![INSTANCE.parse().unwrap()], idle_seconds: 600 });
    assert_eq!(rights(&with), [(true, false); 2]);
    // The controller attaches volumes to what carries this tag.
    let tags = with.resource("OnDemandHost")["Properties"]["Tags"].clone();
    assert!(tags.as_array().unwrap().contains(&json!({ "Key": "bakehouse:stack", "Value": STACK })), "{tags}");
    // What it is made from is what the other hosts are made from, so that an upgrade reaches it.
    let group = with.resource("Hosts")["Properties"]["LaunchTemplate"].clone();
    assert_eq!(with.resource("OnDemandHost")["Properties"]["LaunchTemplate"], group);
}
